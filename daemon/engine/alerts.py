"""Alerts: operational events to the endpoint ``ops``, beside the journal that always has them.

Guarded here: whoever raises an alert never waits for it, and more than a hundred waiting are dropped with a warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from daemon.core.observation import Json

OPS = "ops"
ALERTS_CAP = 100

Publish = Callable[[str, Mapping[str, Json], str], Awaitable[object]]

log = structlog.get_logger()


class Alerts:
    """Publishes what the operators should know; *publish* commits an event and owes it to an endpoint."""

    def __init__(self, publish: Publish, has_endpoint: Callable[[str], bool]) -> None:
        self._publish = publish
        self._has_endpoint = has_endpoint
        self._waiting: asyncio.Queue[tuple[str, Mapping[str, Json]]] = asyncio.Queue(ALERTS_CAP)

    def tell(self, kind: str, data: Mapping[str, Json]) -> None:
        """Tell the operators soon: an event to the endpoint ``ops`` if there is one."""
        if not self._has_endpoint(OPS):
            return
        if self._waiting.full():
            log.warning("alert.dropped", kind=kind, waiting=ALERTS_CAP)
            return
        self._waiting.put_nowait((kind, data))

    async def commit(self, kind: str, data: Mapping[str, Json]) -> None:
        """Tell the operators durably before this returns, where there is an endpoint ``ops``."""
        if self._has_endpoint(OPS):
            await self._publish(kind, data, OPS)

    async def run(self) -> None:
        """Publish what was raised until cancelled."""
        while True:
            kind, data = await self._waiting.get()
            await self._publish(kind, data, OPS)
