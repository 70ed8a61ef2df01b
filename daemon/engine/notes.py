"""Notes: what may be lost in a crash, written in batches so that no poll waits for the disk."""

from __future__ import annotations

import asyncio

from daemon.core.ids import TaskId
from daemon.core.task import Task
from daemon.engine.clock import Clock
from daemon.engine.ports import Watchlist

INTERVAL = 1.0
BATCH = 1000


class Notes:
    """Collects tasks whose visible state changed and writes them about once a second; a quiet second writes nothing."""

    def __init__(self, watchlist: Watchlist, clock: Clock) -> None:
        self._watchlist = watchlist
        self._clock = clock
        self._dirty: dict[TaskId, Task] = {}
        self._something = asyncio.Event()

    def take(self, task: Task) -> None:
        """Write *task* with the next batch."""
        self._dirty[task.id] = task
        self._something.set()

    def forget(self, task_id: TaskId) -> None:
        """Leave out a task that has ended."""
        self._dirty.pop(task_id, None)

    async def run(self) -> None:
        """Write batches until cancelled."""
        while True:
            await self._something.wait()
            await asyncio.sleep(INTERVAL)
            await self.flush()

    async def flush(self) -> None:
        """Write all that has been taken."""
        self._something.clear()
        tasks, self._dirty = list(self._dirty.values()), {}
        for start in range(0, len(tasks), BATCH):
            await self._watchlist.note(tasks[start : start + BATCH], self._clock.shift)


def shows_change(before: Task, after: Task) -> bool:
    """Whether a poll changed what callers see of a task."""
    return (before.status, before.progress, before.queue_position, before.started_at, before.created_at) != (
        after.status,
        after.progress,
        after.queue_position,
        after.started_at,
        after.created_at,
    )
