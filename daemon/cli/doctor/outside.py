"""The checks that ask others, all at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog
from yarl import URL

from daemon.cli.doctor.finding import Finding
from daemon.cli.doctor.lanes import lanes
from daemon.cli.doctor.network import endpoints, names
from daemon.providers.account import Account


async def outside(accounts: Sequence[Account], targets: Mapping[str, str]) -> list[Finding]:
    """Resolve every name, ask every lane once, connect to every endpoint."""
    structlog.configure(processors=[_silence])
    hosts = [account.definition.base.host or "" for account in accounts]
    hosts += [URL(url).host or "" for url in targets.values()]
    found = await asyncio.gather(names(filter(None, hosts)), lanes(accounts), endpoints(targets.items()))
    return [finding for each in found for finding in each]


def _silence(_logger: object, _name: str, _event: object) -> str:
    raise structlog.DropEvent
