"""What the metrics page reads from the running parts at each scrape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from daemon.core.delivery import DeliveryState
from daemon.engine.clock import Clock
from daemon.engine.courier import Courier
from daemon.engine.ports import Outbox
from daemon.engine.watcher import Watcher
from daemon.observe.metrics import Metrics

REFRESH = 5.0


@dataclass(slots=True)
class Gauges:
    """Reads the watcher and the courier; delivery counts are those of the last few seconds."""

    watcher: Watcher
    courier: Courier
    outbox: Outbox
    clock: Clock
    endpoints: Callable[[], Iterable[str]]
    max_tasks: Callable[[], int]
    free_bytes: Callable[[], int]
    counts: Mapping[tuple[str, DeliveryState], int] = field(default_factory=dict)

    def register(self, metrics: Metrics) -> None:
        """Show every gauge on *metrics*."""
        metrics.watch("pollhook_tasks_watched", "Live tasks, by lane.", self._tasks, ("lane",))
        metrics.watch("pollhook_tasks_limit", "Live tasks that [polling] max_tasks allows.", self.max_tasks)
        metrics.watch("pollhook_polls_in_flight", "Polls in flight, by lane.", self._in_flight, ("lane",))
        metrics.watch("pollhook_lane_parked", "1 where the lane's key was refused.", self._parked, ("lane",))
        metrics.watch(
            "pollhook_lane_held_seconds", "How long the lane still waits, as its provider asked.", self._held, ("lane",)
        )
        metrics.watch(
            "pollhook_lane_price_seconds", "Seconds of mean delay one poll is worth.", self._prices, ("lane",)
        )
        metrics.watch("pollhook_deliveries_in_flight", "Attempts in flight.", lambda: self.courier.pump.in_flight)
        metrics.watch("pollhook_deliveries", "Undelivered events, by state.", self._deliveries, ("state",))
        metrics.watch(
            "pollhook_oldest_due_delivery_seconds", "How long the longest-due delivery has waited.", self._oldest_due
        )
        metrics.watch("pollhook_endpoint_disabled", "1 where nothing is sent to it.", self._disabled, ("endpoint",))
        metrics.watch(
            "pollhook_endpoint_failing_seconds", "How long it has failed; 0: it works.", self._failing, ("endpoint",)
        )
        metrics.watch("pollhook_disk_free_bytes", "Bytes left on the database's disk.", self.free_bytes)

    async def run(self) -> None:
        """Refresh the delivery counts until cancelled."""
        while True:
            self.counts = await self.outbox.counts()
            await asyncio.sleep(REFRESH)

    def _tasks(self) -> dict[str | tuple[str, ...], float]:
        counts: dict[str | tuple[str, ...], float] = dict.fromkeys(self.watcher.accounts, 0.0)
        for task in self.watcher.live.values():
            counts[task.provider] += 1
        return counts

    def _in_flight(self) -> dict[str | tuple[str, ...], float]:
        return {name: len(account.lane.running) for name, account in self.watcher.accounts.items()}

    def _parked(self) -> dict[str | tuple[str, ...], float]:
        return {name: float(account.is_parked) for name, account in self.watcher.accounts.items()}

    def _held(self) -> dict[str | tuple[str, ...], float]:
        now = self.clock.now()
        return {name: max(0.0, account.lane.held_until - now) for name, account in self.watcher.accounts.items()}

    def _prices(self) -> dict[str | tuple[str, ...], float]:
        return {name: account.cadence.price for name, account in self.watcher.accounts.items()}

    def _deliveries(self) -> dict[str | tuple[str, ...], float]:
        states = (DeliveryState.PENDING, DeliveryState.PARKED, DeliveryState.DEAD)
        return {state: float(sum(count for (_, s), count in self.counts.items() if s is state)) for state in states}

    def _oldest_due(self) -> float:
        now = self.clock.now()
        waits = (now - lane.agenda.first_due() for lane in self.courier.pump.lanes.values())
        return max(0.0, max(waits, default=0.0))

    def _disabled(self) -> dict[str | tuple[str, ...], float]:
        return {name: float(self.courier.standing.disabled(name) is not None) for name in self.endpoints()}

    def _failing(self) -> dict[str | tuple[str, ...], float]:
        return {name: self._failing_for(name) for name in self.endpoints()}

    def _failing_for(self, name: str) -> float:
        failing = self.courier.standing.failing(name)
        return 0.0 if failing is None else max(0.0, self.clock.now_at() - failing[0])
