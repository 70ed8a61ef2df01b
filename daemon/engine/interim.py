"""Interim events: told of a task that lives, where its registration wished for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.core.event import progress_event
from daemon.core.task import Task, Wish
from daemon.engine.clock import Clock, Mint
from daemon.engine.courier import Courier
from daemon.engine.ports import Watchlist


@dataclass(frozen=True, slots=True)
class Interim:
    """Commits interim events and brings them on their way."""

    watchlist: Watchlist
    courier: Courier
    clock: Clock
    mint: Mint

    async def tell(self, task: Task, wishes: Sequence[Wish]) -> None:
        """Tell *wishes* of *task* as it stands now, unless it has ended."""
        record = await self.watchlist.record(task.id)
        if record is None or record.status.is_terminal:
            return
        events = [
            progress_event(
                self.mint.event(), record, wish, progress=task.progress, polls=task.polls, seen_at=self.clock.now_at()
            )
            for wish in wishes
        ]
        owed = [self.courier.owe(record.target, event) for event in events]
        flat = [each for group in owed for each in group]
        if await self.watchlist.tell(task, self.clock.shift, events, flat):
            for event, group in zip(events, owed, strict=True):
                self.courier.take(group, event)
