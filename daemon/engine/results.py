"""Result requests that bill: intent first, then one request, never repeated on its own.

Guarded here: the intent is committed before a byte is sent; a request whose answer was never seen is repeated only at
a person's explicit word.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias
from weakref import WeakValueDictionary

import structlog

from daemon.core.errors import NoResult, ResultUnresolved
from daemon.core.expiry import dated
from daemon.core.ids import TaskId
from daemon.core.observation import Ended, Missed, Observation, Output, Response
from daemon.core.record import StoredResult
from daemon.core.task import Miss, Task
from daemon.engine.clock import Clock
from daemon.engine.downloads import Downloads
from daemon.engine.ports import Provider, Shelf, Watchlist

UNRESOLVED = "result_unresolved"
_SURELY_UNBILLED = frozenset(
    {Miss.THROTTLED, Miss.UNAUTHORIZED, Miss.NOT_FOUND, Miss.FORBIDDEN, Miss.REFUSED, Miss.CONFLICT}
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """The result request surely cost nothing and brought nothing; ask again later."""

    seen: Missed


Fetched: TypeAlias = Ended | NotYet


class Results:
    """Fetches, keeps and answers the results of one daemon's tasks."""

    def __init__(self, watchlist: Watchlist, shelf: Shelf, downloads: Downloads, clock: Clock) -> None:
        self._watchlist = watchlist
        self._shelf = shelf
        self._downloads = downloads
        self._clock = clock
        self._locks: WeakValueDictionary[TaskId, asyncio.Lock] = WeakValueDictionary()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def complete(self, provider: Provider, task: Task, known: Ended) -> Fetched:
        """Add the billed result to *known*, an end that asks for it; a request of unknown fate is not repeated."""
        stored = await self._watchlist.result(task.id)
        if stored is not None:
            return _completed(known, stored)
        if not await self._watchlist.intend_result(task.id, self._clock.now_at()):
            return _unresolved(known)
        seen = await provider.result(task)
        if isinstance(seen, Ended):
            outputs = await self.shelve(task.id, seen.outputs)
            await self._watchlist.store_result(task.id, outputs, seen.response.body, self._clock.now_at())
            return replace(seen, outputs=outputs, created_at=known.created_at, finished_at=known.finished_at)
        if _was_free(seen):
            await self._watchlist.withdraw_result(task.id)
            return NotYet(seen=_with_known(seen, known))
        log.warning("result.unresolved", task=task.id, lane=task.provider, saw=_told(seen))
        return _unresolved(known)

    async def on_demand(self, provider: Provider, task: Task, *, repeat: bool) -> StoredResult:
        """Answer the stored result, or send the request once now; see ``Tasks.result`` for the mistakes."""
        lock = self._locks.setdefault(task.id, asyncio.Lock())
        async with lock, self._counted():
            return await self._on_demand(provider, task, repeat=repeat)

    async def drained(self) -> None:
        """Return once no result request is under way."""
        await self._idle.wait()

    async def shelve(self, task_id: TaskId, outputs: Sequence[Output]) -> tuple[Output, ...]:
        """Put inline bytes on the shelf and return *outputs* with the URLs under which Pollhook serves them.

        A link that says when it ends gets that time.
        """
        kept = []
        for number, output in enumerate(outputs):
            if output.inline is None:
                kept.append(dated(output))
                continue
            await self._shelf.keep(task_id, number, output.inline)
            url = f"/v1/tasks/{task_id}/outputs/{number}"
            kept.append(replace(output, url=url, needs_auth=True, inline=None))
        return tuple(kept)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _on_demand(self, provider: Provider, task: Task, *, repeat: bool) -> StoredResult:
        stored = await self._watchlist.result(task.id)
        if stored is not None and stored.stored_at is not None:
            return stored
        if stored is not None:
            if provider.bills and not repeat:
                raise ResultUnresolved(
                    "an earlier result request was sent and its answer never seen, so the provider may have billed it; "
                    'send {"repeat": true} to ask once more'
                )
            await self._watchlist.withdraw_result(task.id)
        if not await self._watchlist.intend_result(task.id, self._clock.now_at()):
            raise ResultUnresolved("another result request for this task is under way; ask again in a moment")
        return await self._send(provider, task)

    async def _send(self, provider: Provider, task: Task) -> StoredResult:
        try:
            seen = await provider.result(task)
        except NoResult:
            await self._watchlist.withdraw_result(task.id)
            raise
        if not isinstance(seen, Ended):
            if _was_free(seen):
                await self._watchlist.withdraw_result(task.id)
            raise NoResult(f"the provider gave no result this time ({_told(seen)}); ask again")
        outputs = await self.shelve(task.id, seen.outputs)
        saves = self._downloads.owed(task, outputs)
        await self._watchlist.store_result(task.id, outputs, seen.response.body, self._clock.now_at(), saves)
        self._downloads.take(saves)
        stored = await self._watchlist.result(task.id)
        assert stored is not None
        return stored


def _completed(known: Ended, stored: StoredResult) -> Ended:
    if stored.stored_at is None:
        return _unresolved(known)
    return replace(known, outputs=stored.outputs, response=Response(body=stored.body), result_due=False)


def _unresolved(known: Ended) -> Ended:
    return replace(known, response=replace(known.response, omitted=UNRESOLVED), result_due=False)


def _was_free(seen: Observation) -> bool:
    return not isinstance(seen, Missed) or seen.unsent or seen.miss in _SURELY_UNBILLED


def _with_known(seen: Observation, known: Ended) -> Missed:
    settled = replace(known, result_due=False)
    if isinstance(seen, Missed):
        return replace(seen, miss=Miss.RESULT_MISSING, detail=_told(seen), known=settled)
    return Missed(miss=Miss.RESULT_MISSING, detail="the result is not ready yet", known=settled)


def _told(seen: Observation) -> str:
    return f"{seen.miss}: {seen.detail}" if isinstance(seen, Missed) else "not ready yet"
