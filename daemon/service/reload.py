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

_FIXED = ("server", "store", "egress")

log = structlog.get_logger()


async def reload_into(parts: Parts, settings: Settings, redactor: Redactor) -> None:
    """Make *settings* those of *parts*; raises DefinitionError or BadSecret, with nothing changed, where one is wrong.

    Listeners, the database and the egress rules are those of the start: a change there is logged and waits.
    """
    parts.recipe.price = settings.polling.price
    accounts = {name: parts.recipe.account(each) for name, each in configured_accounts(settings).items()}
    for secret in secrets(settings):
        redactor.add(secret)
    await parts.book.adopt(settings, parts.store.ledger)
    newcomers = accounts.keys() - parts.watcher.accounts.keys()
    adopt(parts.watcher, accounts, now=parts.clock.now())
    await recall(parts.watcher, parts.store.ledger, newcomers)
    parts.watcher.pump.cap = settings.polling.max_in_flight
    parts.courier.pump.cap = settings.delivery.max_in_flight
    parts.downloads.pump.cap = settings.outputs.max_in_flight
    parts.downloads.room.bounds = save_bounds(settings)
    parts.tasks.max_tasks = settings.polling.max_tasks
    parts.janitor.retention = retention(settings)
    parts.courier.renew()
    await parts.courier.release(parts.book.named)
    configure(settings.log.level, settings.log.format, sys.stderr, redactor, journal=is_journal(sys.stderr, os.environ))
    waiting = [name for name in _FIXED if getattr(settings, name) != getattr(parts.settings, name)]
    if waiting:
        log.warning("config.needs_restart", tables=waiting)
    parts.settings = settings
    log.info("config.reloaded", lanes=sorted(accounts), endpoints=sorted(parts.book.named))
