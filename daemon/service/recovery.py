"""Bringing back what was watched and owed, calmly: nothing twice, no herd, the most urgent first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from heapq import nlargest

import structlog

from daemon.core.durations import Durations
from daemon.core.record import LaneState
from daemon.core.task import Task
from daemon.engine.account import HOLD_CAP
from daemon.engine.clock import Clock
from daemon.engine.courier import Courier
from daemon.engine.downloads import Downloads
from daemon.engine.lanes import lane_state, restore
from daemon.engine.ports import Lack, Ledger, Outbox, Saves, Watchlist
from daemon.engine.watcher import Watcher
from daemon.service.accounts import orphanage

DUE_CAP = 24 * 3600.0
GAP_FLOOR = 60.0
TABLES_AT_ONCE = 50

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Reads the store into the watcher and the courier before either runs."""

    watcher: Watcher
    courier: Courier
    downloads: Downloads
    saves: Saves
    watchlist: Watchlist
    outbox: Outbox
    ledger: Ledger
    clock: Clock

    async def run(self) -> None:
        """Bring back lanes, then tasks, then deliveries, then outputs to be saved and the ends that wait."""
        await self._lanes()
        tasks = await self._tasks()
        deliveries = await self._deliveries()
        saves = await self._saves()
        held = await self._held()
        log.info("service.recovered", tasks=tasks, deliveries=deliveries, saves=saves, held=held)

    async def _lanes(self) -> None:
        saved = await self.ledger.lanes()
        await recall(self.watcher, self.ledger, self.watcher.accounts)
        for name, account in self.watcher.accounts.items():
            account.lane.pace.forget_burst(self.clock.now())
            if name in saved:
                restore(account, saved[name], self.clock, hold_cap=HOLD_CAP)

    async def _tasks(self) -> int:
        lanes: dict[str, list[Task]] = defaultdict(list)
        async for chunk in self.watchlist.live(self.clock.shift, self.clock.now_at()):
            for task in chunk:
                lanes[task.provider].append(task)
        for name, tasks in lanes.items():
            self._plan(name, tasks)
        return sum(map(len, lanes.values()))

    def _plan(self, lane: str, tasks: Sequence[Task]) -> None:
        """Put the tasks of one lane under it, none due later than its lane ever waits."""
        if lane not in self.watcher.accounts:
            self.watcher.accounts[lane] = orphanage(lane)
            self.watcher.pump.add(self.watcher.accounts[lane].lane)
        facts, now = self.watcher.accounts[lane].facts, self.clock.now()
        last = now + max(facts.max_gap, facts.typical, GAP_FLOOR)
        for task in tasks:
            if task.next_at > last:
                task.plan(last, task.next_reason)
        self.watcher.watch_all(lane, tasks, now)

    async def _deliveries(self) -> int:
        await self.courier.standing.load()
        now, count = self.clock.now(), 0
        async for chunk in self.outbox.due(self.clock.shift):
            for delivery, due in chunk:
                self.courier.plan(delivery, min(due, now + DUE_CAP))
            count += len(chunk)
        return count

    async def _saves(self) -> int:
        now, count = self.clock.now(), 0
        async for chunk in self.saves.due(self.clock.shift):
            for save, due in chunk:
                self.downloads.plan(save, 0.0 if due <= now else min(due, now + DUE_CAP))
            count += len(chunk)
        return count

    async def _held(self) -> int:
        """Bring back the ends that were seen; one whose outputs were all settled before the crash is told now."""
        count, settled = 0, []
        async for chunk in self.saves.held():
            for one in chunk:
                self.watcher.holding.remember(one)
            settled += [one.task_id for one in chunk if one.lacks is Lack.COPIES and not one.is_pending]
            count += len(chunk)
        for task_id in settled:
            await self.watcher.release(task_id)
        return count


async def recall(watcher: Watcher, ledger: Ledger, lanes: Container[str]) -> None:
    """Give *lanes* back what was learned in them before; models past those that a lane keeps are forgotten on disk."""
    surplus: list[tuple[str, str]] = []
    for (lane, model), packed in (await ledger.durations()).items():
        if lane in lanes and lane in watcher.accounts:
            table = Durations.unpack(packed)
            if table is not None and not watcher.accounts[lane].cadence.remember(model, table):
                surplus.append((lane, model))
    if surplus:
        await ledger.drop_durations(surplus)


class LaneKeeper:
    """Saves what lanes must remember, when it changed."""

    def __init__(self, watcher: Watcher, ledger: Ledger, clock: Clock) -> None:
        self._watcher = watcher
        self._ledger = ledger
        self._clock = clock
        self._saved: dict[str, tuple[object, ...]] = {}
        self._learned: dict[tuple[str, str], int] = {}

    async def save(self, *, everything: bool = False) -> None:
        """Save the lanes whose trouble or hold changed since the last time, or all with their limiters."""
        changed: list[LaneState] = []
        for account in self._watcher.accounts.values():
            mark = (account.is_parked, account.lane.held_until, account.facts.key_mark)
            if account.is_configured and (everything or self._saved.get(account.name, (False, 0.0)) != mark):
                changed.append(lane_state(account, self._clock))
                self._saved[account.name] = mark
        if changed:
            await self._ledger.save_lanes(changed)

    async def save_durations(self, limit: int = TABLES_AT_ONCE) -> None:
        """Save the *limit* life tables that have learned most since they were last saved; drop those of models that
        their lane keeps no more.
        """
        accounts = self._watcher.accounts.values()
        tables = {(each.name, model): table for each in accounts for model, table in each.cadence.tables().items()}
        gone = [key for key in self._learned if key not in tables]
        self._learned = {key: self._learned.get(key, 0) for key in tables}
        news = {key: abs(table.changes - self._learned[key]) for key, table in tables.items()}
        some = [key for key in nlargest(limit, news, key=news.__getitem__) if news[key]]
        if some:
            await self._ledger.save_durations({key: tables[key].pack() for key in some})
            self._learned |= {key: tables[key].changes for key in some}
        if gone:
            await self._ledger.drop_durations(gone)
