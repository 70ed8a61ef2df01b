"""``provider try``: one real poll of a configured lane, and everything that was seen on the way.

Nothing is stored and no daemon is asked. A request that bills is never sent. Keys are masked wherever they show.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

import structlog

from daemon.cli.complaint import misuse
from daemon.cli.recording import Exchange, recorder
from daemon.cli.revealing import Revealing
from daemon.cli.say import Object
from daemon.cli.settings import read_settings
from daemon.config.located import located
from daemon.core.errors import InvalidRegistration, Mistake
from daemon.core.ids import TaskId
from daemon.core.record import Application
from daemon.core.task import LaneName, Task
from daemon.net.session import open_session
from daemon.providers.account import Account
from daemon.providers.catalog import Catalog
from daemon.providers.client import HttpProvider
from daemon.providers.mistakes import DefinitionError


def configured(name: str, config: Path | None) -> Account:
    """Return the lane *name* as it is configured; complain where it is not, or not well."""
    settings = read_settings(config)
    if name not in settings.providers:
        raise misuse(f'no provider "{name}" is configured; there are: {", ".join(settings.providers) or "none"}')
    try:
        return Catalog(settings.providers_dir).account(name, settings.providers[name])
    except DefinitionError as error:
        raise misuse("the provider cannot be used", *located(error.faults, config, os.environ)) from None


def attempt(account: Account, application: Application) -> Object:
    """Poll once what *application* names, and return all of it as JSON: requests, answers, readings, observation."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return asyncio.run(_attempt(account, application))


async def _attempt(account: Account, application: Application) -> Object:
    exchanges: list[Exchange] = []
    session = open_session(guard=None, keep_alive=0)
    session.trace_configs.append(recorder(exchanges))
    async with session:
        provider = HttpProvider(account, session, time.time)
        seen = await provider.poll(made_up(provider, application))
    revealing = Revealing(account, exchanges)
    return {
        "provider": account.name,
        "definition": account.preset,
        "exchanges": [revealing.exchange(each, is_result=place > 0) for place, each in enumerate(exchanges)],
        "observation": revealing.observation(seen),
    }


def made_up(provider: HttpProvider, application: Application) -> Task:
    """Return a task that stands on no watchlist; complain where the definition would not take it."""
    try:
        admitted = provider.admit(application)
    except InvalidRegistration as mistake:
        hints = (f"{each.field}: {each.message}" for each in mistake.errors)
        raise misuse("the provider would not take such a task", *hints) from None
    except Mistake as mistake:
        raise misuse(str(mistake)) from None
    now = time.monotonic()
    return Task(
        id=TaskId("tsk_try"),
        provider=LaneName(application.provider),
        remote_id=admitted.remote_id,
        model=admitted.model,
        params=admitted.params,
        status_url=admitted.status_url,
        updated_at=time.time(),
        born=now,
        deadline=now + 3600,
        next_at=now,
    )
