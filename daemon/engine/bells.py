"""Bells: those who wait for something about a task are woken together, once it has happened."""

from __future__ import annotations

import asyncio

from daemon.core.ids import TaskId


class Bells:
    """One bell per task somebody waits for."""

    def __init__(self) -> None:
        self._bells: dict[TaskId, asyncio.Event] = {}

    def ring(self, task_id: TaskId) -> None:
        """Wake all who wait for *task_id*."""
        bell = self._bells.pop(task_id, None)
        if bell is not None:
            bell.set()

    async def rung(self, task_id: TaskId, seconds: float) -> bool:
        """Wait for the next ring, at most *seconds*; return whether it rang."""
        bell = self._bells.setdefault(task_id, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            return False
        return True
