"""The janitor: deletes what is past its retention, in steps small enough to disturb nobody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from daemon.engine.clock import Clock
from daemon.engine.ports import Outbox, Shelf, Watchlist

STEP = 200
INTERVAL = 60.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long ended tasks, settled events and attempts are kept, in seconds."""

    tasks: float
    events: float
    attempts: float


@dataclass(slots=True)
class Janitor:
    """Prunes the store once a minute."""

    watchlist: Watchlist
    outbox: Outbox
    shelf: Shelf
    retention: Retention
    clock: Clock

    async def run(self) -> None:
        """Prune until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.tidy()

    async def tidy(self) -> None:
        """Delete all that is past its retention at this moment, a step at a time."""
        now_at = self.clock.now_at()
        tasks = rows = 0
        while gone := await self.watchlist.prune(now_at - self.retention.tasks, STEP):
            await self.shelf.discard(gone)
            tasks += len(gone)
        keep = self.retention
        while some := await self.outbox.prune(now_at - keep.events, now_at - keep.attempts, STEP):
            rows += some
        if tasks or rows:
            log.info("store.pruned", tasks=tasks, rows=rows)
