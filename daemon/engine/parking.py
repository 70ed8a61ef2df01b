"""Parking: what a disabled or missing endpoint is owed waits, visibly, and comes back when it is enabled.

Guarded here: no step moves more than a thousand deliveries in one transaction, a move that was cut short goes on at the
next start, and nothing is disabled without somebody being told first. Steps take turns, and each looks first whether
its endpoint still stands as it did, so that of two moves at once the later word wins and neither undoes the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import structlog

from daemon.core.breaker import Trouble
from daemon.core.delivery import Delivery, DeliveryState
from daemon.core.ids import DeliveryId
from daemon.engine.alerts import OPS, Alerts
from daemon.engine.clock import Clock
from daemon.engine.endpoint_lanes import EndpointLanes
from daemon.engine.ports import Outbox
from daemon.engine.pump import Pump
from daemon.engine.standing import Standing

STEP = 1_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking:
    """Disables and enables endpoints.

    *plan* puts a delivery on its lane's agenda, *forget* lets go of it; *is_known* says whether a name is configured.
    """

    outbox: Outbox
    standing: Standing
    pump: Pump
    lanes: EndpointLanes
    alerts: Alerts
    clock: Clock
    plan: Callable[[Delivery, float], None]
    forget: Callable[[str], object]
    is_known: Callable[[str], bool]
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _disabling: set[str] = field(default_factory=set)

    async def disable(self, name: str, reason: str, rule: str) -> None:
        """Disable an endpoint durably and park what it is owed; told to the journal and to ``ops`` before it is done.

        *rule* names what did it: ``410``, ``operator``, ``failing``. Of several at once, and where it is disabled
        already, the first word stands.
        """
        if name not in self._disabling and self.standing.disabled(name) is None:
            self._disabling.add(name)
            try:
                await self._disable(name, reason, rule)
            finally:
                self._disabling.discard(name)
        await self.park_if_disabled(name)

    async def enable(self, name: str) -> None:
        """Enable an endpoint and send what was parked, oldest first, at a rising rate."""
        await self.standing.enable(name)
        if self.standing.disabled(name) is not None:
            return
        lane = self.lanes.of(name, None)
        lane.resume()
        self.pump.wake(lane)
        log.info("endpoint.enabled", endpoint=name)
        await self._unpark(name)

    async def release(self, names: Iterable[str]) -> None:
        """Send what was parked for those of *names* that are not disabled, and park the rest of the others.

        Where there is nothing to move nothing is written, however many names there are.
        """
        counts = await self.outbox.counts()
        for name in names:
            if self.standing.disabled(name) is None and counts.get((name, DeliveryState.PARKED)):
                await self._unpark(name)
            elif self.standing.disabled(name) is not None and counts.get((name, DeliveryState.PENDING)):
                await self.park_if_disabled(name)

    async def park_if_disabled(self, name: str) -> bool:
        """Park what a disabled endpoint is owed; False where it is not disabled."""
        disabled = self.standing.disabled(name)
        if disabled is not None:
            await self.park(name, f"endpoint disabled: {disabled[1]}")
        return disabled is not None

    async def park(self, name: str, reason: str) -> None:
        """Park all that is pending at *name*, in small steps, as long as it is disabled or gone."""
        while moved := await self._parked(name, reason):
            self._let_go(name, moved)

    async def _disable(self, name: str, reason: str, rule: str) -> None:
        log.warning("endpoint.disabled", endpoint=name, reason=reason, rule=rule)
        if name != OPS:
            await self.alerts.commit("endpoint.disabled", {"endpoint": name, "reason": reason, "rule": rule})
        await self.standing.disable(name, reason)
        self.lanes.of(name, None).trip(Trouble.DISABLED, self.clock.now())

    def _takes(self, name: str) -> bool:
        return self.is_known(name) and self.standing.disabled(name) is None

    async def _parked(self, name: str, reason: str) -> list[DeliveryId]:
        async with self._turn:
            return [] if self._takes(name) else await self.outbox.park(name, reason, self.clock.now_at(), STEP)

    async def _unparked(self, name: str) -> list[tuple[Delivery, float]]:
        async with self._turn:
            return await self.outbox.unpark(name, self.clock.now_at(), STEP) if self._takes(name) else []

    def _let_go(self, name: str, moved: Sequence[DeliveryId]) -> None:
        lane = self.pump.lanes.get(name)
        for delivery_id in moved:
            self.forget(delivery_id)
            if lane is not None:
                lane.drop(delivery_id)

    async def _unpark(self, name: str) -> None:
        while moved := await self._unparked(name):
            for delivery, due in moved:
                self.plan(delivery, due + self.clock.shift)
