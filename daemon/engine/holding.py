"""Holding: an end that was seen and is not told yet waits here, and is never lost by waiting.

Guarded here: the end is on disk before anybody waits, so that a crash does not lose it. One that waits for copies of
its outputs is the one that is told, whatever the provider says meanwhile; only its links may be refreshed. One whose
result is missing gives way to what the provider says, but not to its silence: it is never told as lost or timed out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from daemon.core.event import fitted
from daemon.core.ids import TaskId
from daemon.core.judge import Finish
from daemon.core.observation import Ended, Missed, Observation, Output, Response
from daemon.core.saving import SaveRecord, SaveState, saves_of
from daemon.core.task import Miss, Saving, Status, Task
from daemon.engine.downloads import Downloads
from daemon.engine.ports import HeldEnd, Lack
from daemon.engine.results import Results

_BARE = Response(omitted="result_unavailable")
_OURS = frozenset({Status.LOST, Status.TIMED_OUT})
_GONE = frozenset({Miss.NOT_FOUND, Miss.FORBIDDEN})


class Holding:
    """The ends that were seen and are not told yet."""

    def __init__(self, downloads: Downloads, results: Results) -> None:
        self._downloads = downloads
        self._results = results
        self._ends: dict[TaskId, Ended] = {}
        self._bare: dict[TaskId, Ended] = {}

    async def hold(self, task: Task, ended: Ended) -> Missed | None:
        """Return None where *ended* may be told now; else have its outputs fetched and say what it waits for."""
        if self._downloads.saving(task) is not Saving.BEFORE_EVENT:
            return None
        ended = fitted(ended)
        ended = replace(ended, outputs=await self._results.shelve(task.id, ended.outputs))
        wanted = saves_of(task.id, task.provider, ended.outputs)
        standing = await self._downloads.ahead(task.id, ended, wanted) if wanted else []
        pending = [one for one in standing if one.state is SaveState.PENDING]
        if not pending:
            self.forget(task.id)
            return None
        self._ends[task.id] = ended
        return Missed(miss=Miss.RESULT_MISSING, detail=_told(pending, len(standing)), known=ended)

    async def witness(self, task: Task, seen: Observation) -> None:
        """Keep the end that *seen* tells without its result, but not the body, unless it is kept already."""
        known = seen.known if isinstance(seen, Missed) else None
        before = self._bare.get(task.id)
        if known is None or task.id in self._ends or (before is not None and before.outcome == known.outcome):
            return
        bare = fitted(replace(known, response=_BARE))
        bare = replace(bare, outputs=await self._results.shelve(task.id, bare.outputs))
        await self._downloads.witness(task.id, bare)
        self._bare[task.id] = bare

    def remember(self, one: HeldEnd) -> None:
        """Take back an end that was seen before the restart."""
        kept = self._ends if one.lacks is Lack.COPIES else self._bare
        kept[one.task_id] = one.ended

    def held(self, task_id: TaskId) -> Ended | None:
        """Return the end that waits, if one does."""
        return self._ends.get(task_id)

    def reading(self, task_id: TaskId, seen: Observation) -> Observation:
        """Read *seen* in the light of the end that waits: the same end again refreshes its links, all else is no news.

        Where no end waits, it is what it is.
        """
        held = self._ends.get(task_id)
        if held is None:
            return self._in_silence(task_id, seen)
        if isinstance(seen, Missed):
            return replace(seen, miss=Miss.RESULT_MISSING, known=held)
        said = seen.outcome if isinstance(seen, Ended) else seen.status
        if isinstance(seen, Ended) and said == held.outcome:
            return replace(held, outputs=_refreshed(held.outputs, fitted(seen).outputs))
        detail = f"it {held.outcome} and its outputs are still to be saved; now the provider says {said}"
        return Missed(miss=Miss.RESULT_MISSING, detail=detail, known=held)

    def told(self, end: Finish) -> Ended:
        """Return the end to tell: the one that was seen and waits, before any that our own patience makes."""
        held, bare = self._ends.get(end.task.id), self._bare.get(end.task.id)
        if held is None and bare is not None and end.ended.outcome in _OURS:
            return bare
        return held or end.ended

    def forget(self, task_id: TaskId) -> None:
        """Let go of an end."""
        self._ends.pop(task_id, None)
        self._bare.pop(task_id, None)

    def _in_silence(self, task_id: TaskId, seen: Observation) -> Observation:
        bare = self._bare.get(task_id)
        if bare is None or not isinstance(seen, Missed) or seen.miss not in _GONE:
            return seen
        return replace(seen, miss=Miss.RESULT_MISSING, known=bare)


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
