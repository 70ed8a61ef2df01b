"""Holding: an end whose outputs are to be saved before it is told waits here, and is never lost by waiting.

Guarded here: the copies are owed on disk before anybody waits for them, so that a crash loses none; and whatever the
provider says or fails to say meanwhile, the end that was seen is the one that is told; only its links may be refreshed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from daemon.core.event import fitted
from daemon.core.expiry import dated
from daemon.core.ids import TaskId
from daemon.core.judge import Finish
from daemon.core.observation import Ended, Missed, Observation, Output
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
        ended = fitted(ended)
        wanted = saves_of(task.id, task.provider, [dated(output) for output in ended.outputs])
        standing = await self._downloads.ahead(wanted) if wanted else []
        pending = [one for one in standing if one.state is SaveState.PENDING]
        if not pending:
            self.forget(task.id)
            return None
        self._ends[task.id] = ended
        return Missed(miss=Miss.RESULT_MISSING, detail=_told(pending, len(standing)), known=ended)

    def held(self, task_id: TaskId) -> Ended | None:
        """Return the end that waits, if one does."""
        return self._ends.get(task_id)

    def reading(self, task_id: TaskId, seen: Observation) -> Observation:
        """Read *seen* in the light of the end that waits: the same end again refreshes its links, all else is no news.

        Where no end waits, it is what it is.
        """
        held = self._ends.get(task_id)
        if held is None:
            return seen
        if isinstance(seen, Missed):
            return replace(seen, miss=Miss.RESULT_MISSING, known=held)
        said = seen.outcome if isinstance(seen, Ended) else seen.status
        if isinstance(seen, Ended) and said == held.outcome:
            return replace(held, outputs=_refreshed(held.outputs, fitted(seen).outputs))
        detail = f"it {held.outcome} and its outputs are still to be saved; now the provider says {said}"
        return Missed(miss=Miss.RESULT_MISSING, detail=detail, known=held)

    def told(self, end: Finish) -> Ended:
        """Return the end to tell: the one that was seen and waits, before any that our own patience makes."""
        return self._ends.get(end.task.id) or end.ended

    def forget(self, task_id: TaskId) -> None:
        """Let go of an end."""
        self._ends.pop(task_id, None)


def _refreshed(held: tuple[Output, ...], fresh: tuple[Output, ...]) -> tuple[Output, ...]:
    """Return *held* with the links of *fresh*, each in its old place; *held* itself where it is not surely the same."""
    if len(held) == len(fresh) == 1 and held[0].kind == fresh[0].kind:
        return fresh
    links = _by_resource(fresh)
    if not len(links) == len(fresh) == len(held) or links.keys() != _by_resource(held).keys():
        return held
    return tuple(links[_resource(output)] for output in held)


def _by_resource(outputs: Sequence[Output]) -> dict[str, Output]:
    return {_resource(output): output for output in outputs}


def _resource(output: Output) -> str:
    return output.url.partition("?")[0]


def _told(missing: list[SaveRecord], count: int) -> str:
    first = missing[0]
    why = f"; output {first.number}: {first.reason}" if first.reason else ""
    return f"{len(missing)} of {count} outputs are still to be saved{why}"
