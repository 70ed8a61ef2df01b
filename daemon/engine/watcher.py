"""The watcher: keeps tasks on the watchlist, polls them as their lanes allow, and ends each of them once.

Guarded here: promise, then tell. A registration is answered, an end told and a waiter woken only after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from math import inf
from typing import assert_never

import structlog

from daemon.core.event import ending_event, fitted
from daemon.core.ids import TaskId
from daemon.core.judge import Finish, Wait, judge, overdue
from daemon.core.observation import Ended, Missed, Observation, Pending
from daemon.core.record import TaskRecord
from daemon.core.task import Task
from daemon.engine.account import Account
from daemon.engine.applying import overlaid, with_provider_times
from daemon.engine.bells import Bells
from daemon.engine.clock import Clock, Dice, Mint
from daemon.engine.courier import Courier
from daemon.engine.downloads import Downloads
from daemon.engine.holding import Holding
from daemon.engine.interim import Interim
from daemon.engine.lane_alerts import LaneAlerts
from daemon.engine.notes import Notes, shows_change
from daemon.engine.ports import Ending, Observer, Recheck, Shelf, Watchlist
from daemon.engine.pump import Pump
from daemon.engine.results import NotYet, Results
from daemon.engine.tracing import Traces

SWEEP = 15.0
SWEEP_BATCH = 100

log = structlog.get_logger()


class Watcher:
    """The watching half of the daemon: live tasks, their lanes, and the one way a task ends."""

    def __init__(
        self,
        *,
        watchlist: Watchlist,
        shelf: Shelf,
        courier: Courier,
        downloads: Downloads,
        clock: Clock,
        dice: Dice,
        observer: Observer,
        max_in_flight: int,
    ) -> None:
        self._watchlist = watchlist
        self._courier = courier
        self._downloads = downloads
        self._clock = clock
        self._dice = dice
        self._mint = Mint(clock=clock, dice=dice)
        self._interim = Interim(watchlist, courier, clock, self._mint)
        self._observer = observer
        self.traces: Traces | None = None
        self.pump = Pump("poll", self.work, cap=max_in_flight, clock=clock, on_crash=observer.work_crashed)
        self.lane_alerts = LaneAlerts(courier.alerts, clock)
        self.notes = Notes(watchlist, clock)
        self.results = Results(watchlist, shelf, downloads, clock)
        self.holding = Holding(downloads, self.results)
        self.accounts: dict[str, Account] = {}
        self.live: dict[TaskId, Task] = {}
        self.ended = Bells()
        self.polled = Bells()
        self.timed_out: Callable[[Recheck], Awaitable[None]] = _nobody
        downloads.join(self.accounts, self.release)

    def live_in(self, lane: str) -> list[Task]:
        """Return the live tasks of one lane."""
        return [task for task in self.live.values() if task.provider == lane]

    def watch(self, task: Task, *, due: float | None = None, rank: float = 0.0) -> None:
        """Put a committed task under its lane, *due* when it says or at its next poll; *rank* orders equals."""
        account = self.accounts[task.provider]
        self.live[task.id] = task
        self.pump.plan(account.lane, task.id, task.next_at if due is None else due, rank)

    def watch_all(self, lane: str, tasks: Sequence[Task], now: float) -> None:
        """Put many committed tasks under *lane* at once; of those overdue at *now* the first deadline goes first."""
        self.live.update((task.id, task) for task in tasks)
        entries = [
            (now, task.deadline, task.id) if task.next_at <= now else (task.next_at, 0.0, task.id) for task in tasks
        ]
        self.pump.fill(self.accounts[lane].lane, entries)

    async def work(self, key: str) -> float | None:
        """Poll one task once; return when it wants another poll, or None once it has ended."""
        task = self.live.get(TaskId(key))
        if task is None:
            return None
        account = self.accounts[task.provider]
        started = self._clock.now()
        provider = account.provider
        told = await account.parties.poll(provider, task)
        seen = told.seen
        if task.id not in self.live:
            account.parties.forget(task.id)
            return None
        task.asked(self._clock.now())
        self._count(account, task, seen, started=started)
        if told.speaks and account.provider is provider:
            self.lane_alerts.heed(account, task, seen)
        try:
            return await self._decide(account, task, account.blames_key(seen), now=task.polled)
        finally:
            self.polled.ring(task.id)

    async def sweep(self) -> None:
        """End what is past its deadline in lanes that cannot poll (parked, unreachable, held) at this moment."""
        for account in list(self.accounts.values()):
            now = self._clock.now()
            if not account.lane.breaker.is_open and account.lane.held_until <= now:
                continue
            late = [end for task in self.live_in(account.name) if (end := overdue(task, now)) is not None]
            late = [end for end in late if end.task.id not in account.lane.running]
            for start in range(0, len(late), SWEEP_BATCH):
                batch = late[start : start + SWEEP_BATCH]
                await asyncio.gather(*(self._finish(account, end.task, self.holding.told(end)) for end in batch))

    async def run_sweeps(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(SWEEP)
            await self.sweep()

    def _count(self, account: Account, task: Task, seen: Observation, *, started: float) -> None:
        result = seen.miss if isinstance(seen, Missed) else seen.outcome if isinstance(seen, Ended) else seen.status
        lateness, seconds = max(0.0, started - task.next_at), self._clock.now() - started
        self._observer.polled(account.name, result, lateness=lateness, seconds=seconds)
        if self.traces is not None:
            self.traces.polled(task.id, result)
        account.started(task, started)

    async def _decide(self, account: Account, task: Task, seen: Observation, *, now: float) -> float | None:
        told = with_provider_times(task, seen, self._clock)
        if self.holding.held(task.id) is None:
            account.learn(told, seen, now=now, shift=self._clock.shift)
        await self.holding.witness(task, seen)
        seen = self.holding.reading(task.id, seen)
        verdict = judge(
            told,
            seen,
            account.cadence,
            patience=account.patience,
            heard=account.heard,
            now=now,
            roll=self._dice.roll(),
        )
        match verdict:
            case Wait():
                return await self._wait_on(task, verdict, seen, now=now)
            case Finish():
                if isinstance(seen, Missed):
                    await self._finish(account, verdict.task, self.holding.told(verdict))
                    return None
                return await self._end(account, verdict.task, verdict.ended)
            case _:
                assert_never(verdict)

    async def _wait_on(self, before: Task, verdict: Wait, seen: Observation, *, now: float) -> float:
        task = verdict.task
        if isinstance(seen, Pending):
            task.heard(now, seen.mark)
        due = self._clock.now() + verdict.delay
        task.plan(due, verdict.reason)
        if task is not before:
            if shows_change(before, task):
                task.updated_at = self._clock.now_at()
                self.notes.take(task)
            if before.id in self.live:
                self.live[task.id] = task
        if verdict.tell:
            await self._interim.tell(task, verdict.tell)
        return due

    async def _end(self, account: Account, task: Task, ended: Ended) -> float | None:
        if ended.result_due:
            fetched = await self.results.complete(account.provider, task, ended)
            if isinstance(fetched, NotYet):
                self.lane_alerts.heed(account, task, fetched.seen)
                return await self._decide(account, replace(task, seen=-inf), fetched.seen, now=self._clock.now())
            ended = fetched
        held = await self.holding.hold(task, ended)
        if held is not None:
            return await self._decide(account, replace(task, seen=-inf), held, now=self._clock.now())
        await self._finish(account, task, ended)
        return None

    async def release(self, task_id: TaskId) -> None:
        """Tell an end that waited for its outputs, once none is pending."""
        task, ended = self.live.get(task_id), self.holding.held(task_id)
        if task is None or ended is None:
            return
        account = self.accounts[task.provider]
        if await self.holding.hold(task, ended) is None:
            await self._finish(account, task, ended)

    async def _finish(self, account: Account, task: Task, ended: Ended) -> None:
        record = await self._watchlist.record(task.id)
        if record is None or record.status.is_terminal:
            self.forget(task.id)
            return
        ended = fitted(replace(ended, started_at=ended.started_at or task.started_at))
        ended = replace(ended, outputs=await self.results.shelve(task.id, ended.outputs))
        now_at = self._clock.now_at()
        event = ending_event(self._mint.event(), record, ended, detected_at=now_at, polls=task.polls)
        owed = self._courier.owe(record.target, event)
        saves = self._downloads.owed(task, ended.outputs)
        until_at = account.recheck_until(record, ended.outcome, now_at)
        has_ended = await self._watchlist.finish(
            Ending(task=task, ended=ended, event=event, owed=owed, ended_at=now_at, saves=saves, recheck_until=until_at)
        )
        if has_ended and self.traces is not None:
            self.traces.ended(event)
        self.forget(task.id)
        if has_ended:
            self._courier.take(owed, event)
            self._downloads.take(saves)
            if until_at is not None:
                await self.timed_out(Recheck(task.id, until_at))
            delay = None if ended.finished_at is None else max(0.0, now_at - ended.finished_at)
            self._observer.ended(account.name, ended.outcome, polls=task.polls, delay=delay)
            log.info(
                "task.ended",
                task=task.id,
                lane=account.name,
                outcome=ended.outcome,
                polls=task.polls,
                event_id=event.id,
            )

    def overlaid(self, record: TaskRecord) -> TaskRecord:
        """Return *record* with the live state of this moment."""
        task = self.live.get(record.id)
        return record if task is None or record.status.is_terminal else overlaid(record, task, self._clock.shift)

    def note_all(self) -> None:
        """Note every live task as it stands, so that the next start plans from here."""
        for task in self.live.values():
            self.notes.take(task)

    def forget(self, task_id: TaskId) -> None:
        """Drop a task that has ended from memory, and wake those who wait for it."""
        task = self.live.pop(task_id, None)
        if task is not None:
            account = self.accounts[task.provider]
            account.lane.drop(task_id)
            account.parties.forget(task_id)
        if self.traces is not None:
            self.traces.forget(task_id)
        self.notes.forget(task_id)
        self.holding.forget(task_id)
        self.ended.ring(task_id)
        self.polled.ring(task_id)


async def _nobody(_recheck: Recheck) -> None:
    return None
