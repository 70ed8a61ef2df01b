"""SIGHUP: a new configuration applied to the running parts, without dropping a task or a delivery."""

from __future__ import annotations

import os
import sys

import structlog

from daemon.config import Settings, save_bounds, secrets
from daemon.observe.logs import configure, is_journal
from daemon.observe.redactor import Redactor
from daemon.service.accounts import adopt, configured_accounts
from daemon.service.parts import Parts, retention
from daemon.service.recovery import recall

_AT_START = ("server", "store", "egress")

log = structlog.get_logger()


async def reload_into(parts: Parts, settings: Settings, redactor: Redactor) -> list[str]:
    """Make *settings* those of *parts*; raises DefinitionError or BadSecret, with nothing changed, where one is wrong.

    Listeners, the database and the egress rules are those of the start: a change there is named and waits;
    the names are returned.
    """
    parts.recipe.price = settings.polling.price
    accounts = {name: parts.recipe.account(each) for name, each in configured_accounts(settings).items()}
    for secret in secrets(settings):
        redactor.add(secret)
    before = {name: endpoint.url for name, endpoint in parts.book.named.items()}
    await parts.book.adopt(settings)
    for secret in parts.book.secrets():
        redactor.add(secret)
    newcomers = accounts.keys() - parts.watcher.accounts.keys()
    _set_bounds(parts, settings)
    adopt(parts.watcher, accounts, now=parts.clock.now())
    await recall(parts.watcher, parts.store.ledger, newcomers)
    parts.courier.renew()
    for name in (name for name, one in parts.book.named.items() if before.get(name, one.url) != one.url):
        parts.courier.look_again(name)
    await parts.courier.parking.release(parts.book.named)
    configure(settings.log.level, settings.log.format, sys.stderr, redactor, journal=is_journal(sys.stderr, os.environ))
    waiting = needing_restart(parts.settings, settings)
    if waiting:
        log.warning("config.needs_restart", settings=waiting, advice="they stay as they were until a restart")
    parts.settings = settings.model_copy(update={table: getattr(parts.settings, table) for table in _AT_START})
    log.info("config.reloaded", lanes=sorted(accounts), endpoints=sorted(parts.book.named))
    return waiting


def needing_restart(running: Settings, wanted: Settings) -> list[str]:
    """Return the settings, as ``table.key``, that *wanted* changes and only a restart applies."""
    return [
        f"{table}.{key}"
        for table in _AT_START
        for key, value in getattr(wanted, table)
        if value != getattr(getattr(running, table), key)
    ]


def _set_bounds(parts: Parts, settings: Settings) -> None:
    """Set the bounds before lanes are woken, so that they wake to the new ones."""
    parts.watcher.pump.cap = settings.polling.max_in_flight
    parts.courier.pump.cap = settings.delivery.max_in_flight
    parts.downloads.pump.cap = settings.outputs.max_in_flight
    parts.downloads.room.bounds = save_bounds(settings)
    parts.tasks.max_tasks = settings.polling.max_tasks
    parts.janitor.retention = retention(settings)
