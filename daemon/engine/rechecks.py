"""Re-checks: tasks that timed out are asked about for a while, out of what their lane has to spare.

Guarded here: nothing is taken from live tasks (a lane with a due task, a hold, trouble or no free slot waits), and a
late end is told once, by compare-and-set, after the commit. Where no task lives, a re-check is the probe of a lane in
trouble, since nothing else would find it well again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from math import inf
from operator import attrgetter

import structlog

from daemon.core.errors import Fault
from daemon.core.event import fitted, late_event
from daemon.core.ids import TaskId
from daemon.core.late import RAREST, LateEnd, recheck_gap
from daemon.core.observation import Ended, Observation, Pending
from daemon.core.task import Miss, Status, Task
from daemon.engine.account import Account
from daemon.engine.applying import as_task
from daemon.engine.clock import Clock, Mint
from daemon.engine.courier import Courier
from daemon.engine.ports import LateEnding, Recheck, Rechecks, Watchlist
from daemon.engine.watcher import Watcher

TICK = 5.0
KEPT = 10_000
PER_TICK = 20
UNKNOWN_AFTER = 3
KIND = "recheck"
_GONE = frozenset({Miss.NOT_FOUND, Miss.FORBIDDEN})

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Owed:
    task: Task
    ended: float
    until: float
    due: float
    unknown: int = 0


@dataclass(slots=True, kw_only=True)
class Rechecker:
    """Asks about timed-out tasks until they end, their day is over, or they are watched anew; at most 10,000, and those
    that time out past them are not asked about.
    """

    watcher: Watcher
    watchlist: Watchlist
    rechecks: Rechecks
    courier: Courier
    clock: Clock
    mint: Mint
    on_crash: Callable[[str], None]
    most: int = KEPT
    owed: dict[TaskId, _Owed] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Hear of every task that times out."""
        self.watcher.timed_out = self.take

    async def recover(self) -> int:
        """Take up what was owed before a restart; each comes due within its own gap, so no herd forms."""
        now_at, count = self.clock.now_at(), 0
        async for chunk in self.rechecks.owed():
            for n, recheck in enumerate(chunk):
                await self.take(recheck, share=(n % 16 + 1) / 16)
            count += len(chunk)
        log.debug("rechecks.recovered", count=count, at=now_at)
        return count

    async def take(self, recheck: Recheck, *, share: float = 1.0) -> None:
        """Ask about a task that has timed out, for the first time after *share* of its gap."""
        record = await self.watchlist.record(recheck.task_id)
        account = None if record is None else self.watcher.accounts.get(record.provider)
        if record is None or account is None or record.ended_at is None:
            return
        if len(self.owed) >= self.most:
            await self.rechecks.drop(recheck.task_id)
            return
        now, shift = self.clock.now(), self.clock.shift
        ended = min(record.ended_at + shift, now)
        gap = recheck_gap(now - ended, account.cadence.bounds.retention)
        until = min(recheck.until_at + shift, now + account.facts.recheck_for)
        task = as_task(record, shift)
        task.polls = 0  # these polls are of another kind: how often it was asked while it lived is on record
        self.owed[task.id] = _Owed(task=task, ended=ended, until=until, due=now + share * gap)

    async def run(self) -> None:
        """Re-check until cancelled: each tick at most one at a time per lane."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(TICK)
                for name, due in self._due().items():
                    if name not in self._busy:
                        self._busy.add(name)
                        group.create_task(self._lane(name, due), name=f"rechecks of {name}")

    def _due(self) -> dict[str, list[_Owed]]:
        """Return by lane the few that have been due longest."""
        now = self.clock.now()
        lanes: dict[str, list[_Owed]] = {}
        for owed in self.owed.values():
            if owed.due <= now:
                lanes.setdefault(owed.task.provider, []).append(owed)
        return {name: nsmallest(PER_TICK, due, key=attrgetter("due")) for name, due in lanes.items()}

    async def _lane(self, name: str, due: Sequence[_Owed]) -> None:
        try:
            for owed in due:
                account = self.watcher.accounts.get(name)
                if account is None or await self._is_over(account, owed):
                    await self._drop(owed.task.id)
                elif has_spare(account, self.clock.now()):
                    await self._contained(account, owed)
        finally:
            self._busy.discard(name)

    async def _is_over(self, account: Account, owed: _Owed) -> bool:
        if self.clock.now() >= owed.until or not account.is_configured or account.facts.recheck_for <= 0:
            return True
        return await self.watchlist.find(owed.task.provider, owed.task.remote_id) is not None

    async def _contained(self, account: Account, owed: _Owed) -> None:
        """Re-check; a bug in one lets it rest as long as may be, and stops nothing else."""
        try:
            await self._recheck(account, owed)
        except Fault:
            raise
        except Exception:
            log.exception("work.crashed", kind=KIND, lane=account.name, key=owed.task.id, rests_for=RAREST)
            self.on_crash(KIND)
            owed.due = self.clock.now() + RAREST

    async def _recheck(self, account: Account, owed: _Owed) -> None:
        task, now, provider = owed.task, self.clock.now(), account.provider
        account.lane.pace.spend(now)
        account.lane.breaker.started(task.id, now)
        try:
            seen = await provider.poll(task)
            if account.provider is provider:
                self.watcher.lane_alerts.heed(account, task, seen)
        finally:
            account.lane.breaker.ended(task.id)
            self.watcher.pump.wake(account.lane)
        now = self.clock.now()
        account.learn(task, seen, now=now, shift=self.clock.shift)
        if isinstance(seen, Ended) and seen.outcome.is_providers_word:
            await self._tell(task, seen)
            return
        if isinstance(seen, Pending):
            task.heard(now, seen.mark)
        owed.unknown = owed.unknown + 1 if _is_gone(seen) else 0
        if owed.unknown >= UNKNOWN_AFTER:
            await self._drop(task.id)
            return
        owed.due = now + recheck_gap(now - owed.ended, account.cadence.bounds.retention)

    async def _tell(self, task: Task, seen: Ended) -> None:
        record = await self.watchlist.record(task.id)
        self.owed.pop(task.id, None)
        if record is None or record.status is not Status.TIMED_OUT:
            return
        ended, now_at = fitted(seen), self.clock.now_at()
        ended = replace(ended, outputs=await self.watcher.results.shelve(task.id, ended.outputs))
        event = late_event(self.mint.event(), record, ended, detected_at=now_at)
        owed = self.courier.owe(record.target, event)
        late = LateEnd(
            status=ended.outcome,
            outputs=ended.outputs,
            error=ended.error,
            finished_at=ended.finished_at,
            detected_at=now_at,
            event_id=event.id,
        )
        if await self.rechecks.settle(LateEnding(task_id=task.id, late=late, event=event, owed=owed)):
            self.courier.take(owed, event)
            log.info("task.late", task=task.id, lane=task.provider, outcome=ended.outcome, event_id=event.id)

    async def _drop(self, task_id: TaskId) -> None:
        self.owed.pop(task_id, None)
        await self.rechecks.drop(task_id)


def has_spare(account: Account, now: float) -> bool:
    """Whether a lane can afford a request that no live task waits for; one in trouble only where none lives."""
    lane = account.lane
    if lane.held_until > now or (lane.breaker.is_open and (len(lane) or lane.breaker.ready_at() > now)):
        return False
    is_idle = len(lane.running) < max(1, min(lane.slots, int(lane.window)) - 1) and lane.agenda.first_due() > now
    return is_idle and (lane.pace.rate == inf or lane.pace.allows(now))


def _is_gone(seen: Observation) -> bool:
    if isinstance(seen, Ended):
        return True
    return not isinstance(seen, Pending) and seen.miss in _GONE
