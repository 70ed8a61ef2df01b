"""The desk: what callers ask about tasks, answered from the store and the live watchlist together.

Guarded here: 201 means that the end will be told, so an answer comes only after the commit; and a full watchlist says
so instead of dropping anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from daemon.core.errors import AlreadyEnded, Mistake, NoResult, NotEnded, NotFound, UnknownProvider, WatchlistFull
from daemon.core.ids import TaskId
from daemon.core.record import Added, Application, Claim, StoredResult, TaskQuery, TaskRecord
from daemon.core.task import Status
from daemon.engine.account import Account
from daemon.engine.applying import applied, as_task
from daemon.engine.clock import Clock, Dice, Mint
from daemon.engine.desks import LaneView
from daemon.engine.lanes import lane_view
from daemon.engine.ports import Shelf, Watchlist
from daemon.engine.watcher import Watcher

RETRY_WHEN_FULL = 30
SLICE = 50
LANES_NAMED = 8

log = structlog.get_logger()


class TaskDesk:
    """Implements the ``Tasks`` port for the API, over the watcher and the store."""

    def __init__(
        self, watcher: Watcher, watchlist: Watchlist, shelf: Shelf, *, clock: Clock, dice: Dice, max_tasks: int
    ) -> None:
        self.max_tasks = max_tasks
        self._watcher = watcher
        self._watchlist = watchlist
        self._shelf = shelf
        self._clock = clock
        self._mint = Mint(clock=clock, dice=dice)
        self._joining = 0

    async def register(self, applications: Sequence[Application], claim: Claim | None) -> list[Added | Mistake]:
        """Register all in one commit; see the port."""
        if claim is not None and (known := await self._watchlist.claimed(claim)) is not None:
            if len(known) == len(applications):
                return list(known)
            claim = None
        answers: list[TaskRecord | Mistake] = []
        for application in applications:
            answers.append(self._apply(application))
            if len(answers) % SLICE == 0:
                await asyncio.sleep(0)
        newcomers = [answer for answer in answers if isinstance(answer, TaskRecord)]
        if len(newcomers) > self._room:
            answers = await self._fitting(answers)
            newcomers = [answer for answer in answers if isinstance(answer, TaskRecord)]
        added = iter(await self._add(newcomers, claim) if newcomers else ())
        return [next(added) if isinstance(answer, TaskRecord) else answer for answer in answers]

    async def show(self, task_id: TaskId) -> TaskRecord:
        """Return a task with the live state of this moment."""
        record = await self._watchlist.record(task_id)
        if record is None:
            raise NotFound(f"no task {task_id}")
        return self._watcher.overlaid(record)

    async def page(self, query: TaskQuery) -> list[TaskRecord]:
        """Return tasks newest first, live state included."""
        return [self._watcher.overlaid(record) for record in await self._watchlist.page(query)]

    async def wait(self, task_id: TaskId, seconds: float) -> TaskRecord:
        """Return the task once it has ended, or as it stands after *seconds*."""
        if task_id in self._watcher.live:
            await self._watcher.ended.rung(task_id, seconds)
        return await self.show(task_id)

    async def stop(self, task_id: TaskId) -> TaskRecord:
        """Stop watching; no event is told."""
        stopped = await self._watchlist.stop(task_id, self._clock.now_at())
        if stopped is None:
            record = await self.show(task_id)
            if record.status is Status.STOPPED:
                return record
            raise AlreadyEnded(f"task {task_id} has ended already: {record.status}")
        self._watcher.forget(task_id)
        log.info("task.stopped", task=task_id, lane=stopped.provider)
        return stopped

    async def poll_now(self, task_id: TaskId, seconds: float) -> tuple[TaskRecord, bool]:
        """Poll next, within the lane's limits; see the port."""
        task = self._watcher.live.get(task_id)
        if task is None:
            record = await self.show(task_id)
            raise AlreadyEnded(f"task {task_id} has ended already: {record.status}")
        account = self._watcher.accounts[task.provider]
        due = max(self._clock.now(), task.polled + account.facts.min_gap)
        self._watcher.pump.plan(account.lane, task_id, due)
        was_polled = await self._watcher.polled.rung(task_id, seconds)
        return await self.show(task_id), was_polled

    async def result(self, task_id: TaskId, *, repeat: bool) -> StoredResult:
        """Run the result request on demand, or answer the stored result; see the port."""
        record = await self.show(task_id)
        if not record.status.is_terminal:
            raise NotEnded(f"task {task_id} is {record.status}; its result can be asked for once it has succeeded")
        if record.status is not Status.SUCCEEDED:
            raise NoResult(f"task {task_id} ended as {record.status}, so it has no result")
        account = self._account(record.provider)
        return await self._watcher.results.on_demand(
            account.provider, as_task(record, self._clock.shift), repeat=repeat
        )

    async def output(self, task_id: TaskId, number: int) -> tuple[Path, str]:
        """Return the file and content type of a stored output."""
        found = await self._shelf.find(task_id, number)
        if found is None:
            raise NotFound(await self._why_not_stored(task_id, number))
        return found

    async def _why_not_stored(self, task_id: TaskId, number: int) -> str:
        record = await self.show(task_id)
        for one in record.saves:
            if one.number == number:
                return f"output {number} of task {task_id} is {one.state}: {one.reason or 'it is still to be fetched'}"
        return f"Pollhook holds no output {number} of task {task_id}; outputs are kept where save_outputs asks for it"

    def lanes(self) -> list[LaneView]:
        """Return every lane, by name."""
        counts: dict[str, int] = {}
        for task in self._watcher.live.values():
            counts[task.provider] = counts.get(task.provider, 0) + 1
        shown = sorted(self._watcher.accounts.values(), key=lambda account: account.name)
        return [lane_view(account, counts.get(account.name, 0), self._clock) for account in shown]

    def _apply(self, application: Application) -> TaskRecord | Mistake:
        try:
            account = self._account(application.provider)
            admission = account.provider.admit(application)
        except Mistake as mistake:
            return mistake
        return applied(application, admission, account, task_id=self._mint.task(), clock=self._clock)

    def _account(self, name: str) -> Account:
        account = self._watcher.accounts.get(name)
        if account is None or not account.is_configured:
            names = sorted(account.name for account in self._watcher.accounts.values() if account.is_configured)
            known = ", ".join(names) or "none; add a [providers.NAME] table to the config"
            raise UnknownProvider(f'no provider "{name}" is configured; configured are: {known}')
        return account

    async def _add(self, newcomers: Sequence[TaskRecord], claim: Claim | None) -> list[Added]:
        self._joining += len(newcomers)
        try:
            added = await self._watchlist.add(newcomers, claim)
        finally:
            self._joining -= len(newcomers)
        if len(added) != len(newcomers):
            # the same request came at once, when there was room for another number of them, and made the claim its own
            return await self._add(newcomers, None)
        new = [each.record for each in added if each.is_new]
        now, shift = self._clock.now(), self._clock.shift
        for record in new:
            self._watcher.watch(as_task(record, shift, seen=now))
        _log_registered(new)
        return added

    @property
    def _room(self) -> int:
        return self.max_tasks - len(self._watcher.live) - self._joining

    async def _fitting(self, answers: Sequence[TaskRecord | Mistake]) -> list[TaskRecord | Mistake]:
        """Return *answers* with those refused that find no room; tasks already known need none."""
        records = [answer for answer in answers if isinstance(answer, TaskRecord)]
        known = {each.id for each in records if await self._watchlist.find(each.provider, each.remote_id) is not None}
        room = self._room
        told: list[TaskRecord | Mistake] = []
        for answer in answers:
            if isinstance(answer, TaskRecord) and answer.id not in known:
                room -= 1
                told.append(answer if room >= 0 else self._full())
            else:
                told.append(answer)
        return told

    def _full(self) -> WatchlistFull:
        return WatchlistFull(
            f"the watchlist is full: {len(self._watcher.live)} tasks of at most {self.max_tasks}; "
            "wait for some to end, stop some, or raise [polling] max_tasks",
            retry_after=RETRY_WHEN_FULL,
        )


def _log_registered(new: Sequence[TaskRecord]) -> None:
    """Say in one line what has come: one task, or many by the first and last of them."""
    if len(new) == 1:
        log.info("task.registered", task=new[0].id, lane=new[0].provider)
    elif new:
        lanes = sorted({record.provider for record in new})
        log.info(
            "task.registered", count=len(new), first=new[0].id, last=new[-1].id, lane=", ".join(lanes[:LANES_NAMED])
        )
