"""Holding: an end whose outputs are to be saved before it is told waits here, and is never lost by waiting.

Guarded here: the copies are owed on disk before anybody waits for them, so that a crash loses none; and whatever the
provider says or fails to say meanwhile, the end that was seen is the one that is told.
"""

from __future__ import annotations

from daemon.core.event import fitted
from daemon.core.expiry import dated
from daemon.core.ids import TaskId
from daemon.core.observation import Ended, Missed
from daemon.core.saving import SaveRecord, SaveState, saves_of
from daemon.core.task import Miss, Saving, Task
from daemon.engine.downloads import Downloads


class Holding:
    """The ends that wait for their outputs."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads
        self._ends: dict[TaskId, Ended] = {}

    async def hold(self, task: Task, ended: Ended) -> Missed | None:
        """Return None where *ended* may be told now; else have its outputs fetched and say what it waits for."""
        if self._downloads.saving(task) is not Saving.BEFORE_EVENT:
            return None
        wanted = saves_of(task.id, task.provider, [dated(output) for output in fitted(ended).outputs])
        standing = await self._downloads.ahead(wanted) if wanted else []
        missing = [one for one in standing if one.state is not SaveState.SAVED]
        if not missing:
            self.forget(task.id)
            return None
        self._ends[task.id] = ended
        return Missed(miss=Miss.RESULT_MISSING, detail=_told(missing, len(standing)), known=ended)

    def held(self, task_id: TaskId) -> Ended | None:
        """Return the end that waits, if one does."""
        return self._ends.get(task_id)

    def forget(self, task_id: TaskId) -> None:
        """Let go of an end."""
        self._ends.pop(task_id, None)


def _told(missing: list[SaveRecord], count: int) -> str:
    first = missing[0]
    why = f"; output {first.number}: {first.reason}" if first.reason else ""
    return f"{len(missing)} of {count} outputs are still to be saved{why}"
