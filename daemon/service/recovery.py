"""Bringing back what was watched and owed, calmly: nothing twice, no herd, the most urgent first."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import structlog

from daemon.core.durations import Durations
from daemon.core.record import LaneState
from daemon.engine.account import HOLD_CAP
from daemon.engine.clock import Clock
from daemon.engine.courier import Courier
from daemon.engine.downloads import Downloads
from daemon.engine.lanes import lane_state, restore
from daemon.engine.ports import Ledger, Outbox, Saves, Watchlist
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
        """Bring back lanes, then tasks, then deliveries, then outputs to be saved."""
        await self._lanes()
        tasks = await self._tasks()
        deliveries = await self._deliveries()
        saves = await self._saves()
        log.info("service.recovered", tasks=tasks, deliveries=deliveries, saves=saves)

    async def _lanes(self) -> None:
        saved = await self.ledger.lanes()
        await recall(self.watcher, self.ledger, self.watcher.accounts)
        for name, account in self.watcher.accounts.items():
            account.lane.pace.forget_burst(self.clock.now())
            if name in saved:
                restore(account, saved[name], self.clock, hold_cap=HOLD_CAP)

    async def _tasks(self) -> int:
        now, count = self.clock.now(), 0
        async for chunk in self.watchlist.live(self.clock.shift, self.clock.now_at()):
            for task in chunk:
                if task.provider not in self.watcher.accounts:
                    self.watcher.accounts[task.provider] = orphanage(task.provider)
                    self.watcher.pump.add(self.watcher.accounts[task.provider].lane)
                facts = self.watcher.accounts[task.provider].facts
                is_overdue = task.next_at <= now
                due = min(max(task.next_at, now), now + max(facts.max_gap, facts.typical, GAP_FLOOR))
                self.watcher.watch(task, due=due, rank=task.deadline if is_overdue else 0.0)
            count += len(chunk)
        return count

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


async def recall(watcher: Watcher, ledger: Ledger, lanes: Container[str]) -> None:
    """Give *lanes* back what was learned in them before."""
    for (lane, model), packed in (await ledger.durations()).items():
        table = Durations.unpack(packed)
        if table is not None and lane in lanes and lane in watcher.accounts:
            watcher.accounts[lane].cadence.remember(model, table)


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
        """Save at most *limit* life tables that have learned something since they were last saved."""
        tables: dict[tuple[str, str], bytes] = {}
        for account in self._watcher.accounts.values():
            for model, table in account.cadence.tables().items():
                key = (account.name, model)
                if len(tables) < limit and table.changes > self._learned.get(key, 0):
                    tables[key] = table.pack()
                    self._learned[key] = table.changes
        if tables:
            await self._ledger.save_durations(tables)
