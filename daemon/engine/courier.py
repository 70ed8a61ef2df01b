"""The courier: brings every event to every endpoint it is owed to, or leaves it visibly parked or dead.

Guarded here: an attempt is told to nobody before it is recorded, each endpoint has its own lane, and nothing that waits
behind a failing endpoint is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from daemon.core.breaker import Trouble
from daemon.core.delivery import (
    Delivered,
    Delivery,
    DeliveryState,
    GivenUp,
    Retry,
    Settlement,
    Stead,
    settle,
)
from daemon.core.endpoint import Endpoint
from daemon.core.event import Event, operational_event
from daemon.core.ids import DeliveryId
from daemon.core.observation import Json
from daemon.core.record import Owed, Target, ToEndpoint
from daemon.engine.alerts import OPS, Alerts
from daemon.engine.attempts import log_attempt, settled_by
from daemon.engine.clock import Clock, Dice, Mint
from daemon.engine.endpoint_lanes import EndpointLanes
from daemon.engine.heeding import Heeding
from daemon.engine.owing import Owing
from daemon.engine.parking import Parking
from daemon.engine.ports import Ledger, Observer, Outbox, Sender
from daemon.engine.pump import Pump
from daemon.engine.standing import Standing

FRESH_CAP = 10_000
FRESH_BYTES = 32 << 20
UNCONFIGURED = "no endpoint of this name is configured"

log = structlog.get_logger()


class Courier:
    """The delivering half of the daemon: one lane per endpoint, driven by one pump.

    ``find`` answers the endpoint of a delivery, None where none is configured; ``origin`` names the lane of an
    ad-hoc URL.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        ledger: Ledger,
        sender: Sender,
        find: Callable[[str, str | None], Endpoint | None],
        origin: Callable[[str], str],
        clock: Clock,
        dice: Dice,
        observer: Observer,
        max_in_flight: int,
    ) -> None:
        self.find = find
        self.standing = Standing(ledger, clock)
        self.pump = Pump("deliver", self.work, cap=max_in_flight, clock=clock, on_crash=observer.work_crashed)
        self._lanes = EndpointLanes(self.pump, find, self.standing, clock)
        self._mint = Mint(clock=clock, dice=dice)
        self.owing = Owing(find=find, origin=origin, standing=self.standing, clock=clock, mint=self._mint)
        self.alerts = Alerts(self.publish, lambda name: find(name, None) is not None)
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._dice = dice
        self.parking = Parking(
            outbox=outbox,
            standing=self.standing,
            pump=self.pump,
            lanes=self._lanes,
            alerts=self.alerts,
            clock=clock,
            plan=self.plan,
            forget=self._forget,
            is_known=lambda name: find(name, None) is not None,
        )
        self._heeding = Heeding(
            lanes=self._lanes, standing=self.standing, parking=self.parking, observer=observer, clock=clock
        )
        self._fresh: dict[str, tuple[Delivery, Event]] = {}
        self._fresh_bytes = 0
        self._bell: asyncio.Event | None = None

    # ---- owing

    def owe(self, target: Target | None, event: Event) -> tuple[Owed, ...]:
        """Return what is owed of a new event: nothing without a target, a parked delivery to a disabled endpoint."""
        return self.owing.of(target, event)

    def take(self, owed: Sequence[Owed], event: Event | None) -> None:
        """Bring what has just been committed on its way, at once, and tell those who wait for events."""
        now = self._clock.now()
        for each in owed:
            if each.state is DeliveryState.PENDING:
                if event is not None:
                    self._keep_ready(each.delivery, event)
                self.plan(each.delivery, now)
                self._lanes.of(each.delivery.endpoint, each.delivery.url).hope(each.delivery.id)
        if self._bell is not None:
            self._bell.set()
            self._bell = None

    def plan(self, delivery: Delivery, due: float) -> None:
        """Put a pending delivery on its endpoint's agenda for monotonic *due*."""
        lane = self._lanes.of(delivery.endpoint, delivery.url)
        if delivery.tries:
            lane.demote(delivery.id)
        self.pump.plan(lane, delivery.id, due)

    def plan_again(self, delivery: Delivery) -> None:
        """Put a delivery that is sent once more on the agenda, due now, in the line of retries beside what is new."""
        lane = self._lanes.of(delivery.endpoint, delivery.url)
        if delivery.attempts:
            lane.demote(delivery.id)
        self.pump.plan(lane, delivery.id, self._clock.now())

    async def publish(self, kind: str, data: Mapping[str, Json], endpoint: str) -> None:
        """Commit an event that belongs to no task, owe it to *endpoint* where that wants it."""
        event = operational_event(self._mint.event(), kind, data, created_at=self._clock.now_at())
        await self._publish(event, self.owe(ToEndpoint(name=endpoint), event))

    async def send_test(self, kind: str, data: Mapping[str, Json], endpoint: str) -> DeliveryId:
        """Commit an event for *endpoint* whatever its filter says and return its delivery."""
        event = operational_event(self._mint.event(), kind, data, created_at=self._clock.now_at())
        owed = self.owing.to(endpoint, event.id)
        await self._publish(event, (owed,))
        return owed.delivery.id

    async def _publish(self, event: Event, owed: Sequence[Owed]) -> None:
        await self._outbox.publish(event, owed)
        self.take(owed, event)

    @property
    def next_event(self) -> asyncio.Event:
        """A bell that rings at the next commit of an event."""
        if self._bell is None:
            self._bell = asyncio.Event()
        return self._bell

    def renew(self) -> None:
        """Bring the lanes up to date with endpoints that changed."""
        self._lanes.renew()

    def forget_endpoint(self, name: str) -> None:
        """Let go of how a deleted endpoint stood; its lane is closed so that the rest can be parked."""
        self.standing.forget(name)
        self._heeding.observer.endpoint_gone(name)
        self._lanes.of(name, None).resume()

    def look_again(self, name: str) -> None:
        """Try an endpoint at once whose address changed, however it fared at the old one."""
        if self.standing.disabled(name) is None:
            lane = self._lanes.of(name, None)
            lane.resume()
            self.pump.wake(lane)

    # ---- one try

    async def work(self, key: str) -> float | None:
        """Make one attempt of one delivery; return when the next is due, or None where it is settled."""
        message = self._forget(key) or await self._outbox.message(DeliveryId(key))
        if message is None:
            return None
        delivery, event = message
        endpoint = self.find(delivery.endpoint, delivery.url)
        if endpoint is None:
            log.warning("endpoint.unconfigured", endpoint=delivery.endpoint)
            await self.parking.park(delivery.endpoint, UNCONFIGURED)
            return None
        started_at = self._clock.now_at()
        receipt = await self._sender.send(delivery, event)
        stead = self._stead(delivery, endpoint)
        settlement = settle(delivery, receipt, endpoint.schedule, roll=self._dice.roll(), stead=stead)
        settled = settled_by(delivery, receipt, settlement, started_at=started_at, now_at=self._clock.now_at())
        await self._outbox.settle(settled)
        log_attempt(settled, settlement)
        self._heeding.count(delivery, event, receipt)
        if stead is not Stead.MOVED:
            await self._heeding.heed(delivery, receipt)
            await self._heeding.judge(endpoint, receipt)
        return await self._follow(delivery, settlement)

    def _stead(self, delivery: Delivery, tried: Endpoint) -> Stead:
        present = self.find(delivery.endpoint, delivery.url)
        if present is None or present.url != tried.url:
            return Stead.MOVED
        is_down = self._lanes.of(delivery.endpoint, delivery.url).breaker.trouble is Trouble.OUTAGE
        return Stead.DOWN if is_down else Stead.UP

    async def _follow(self, delivery: Delivery, settlement: Settlement) -> float | None:
        match settlement:
            case Delivered():
                self._forget(delivery.id)
                return None
            case Retry():
                if settlement.counts:
                    self._lanes.of(delivery.endpoint, delivery.url).demote(delivery.id)
                is_disabled = self.standing.disabled(delivery.endpoint)
                return None if is_disabled else self._clock.now() + settlement.delay
            case GivenUp():
                self._forget(delivery.id)
                await self._give_up(delivery, settlement)
                return None

    async def _give_up(self, delivery: Delivery, given_up: GivenUp) -> None:
        if given_up.disables and delivery.url is None:
            if not self.standing.disabled(delivery.endpoint):
                await self.parking.disable(delivery.endpoint, given_up.reason, "410")
        else:
            log.warning("delivery.exhausted", delivery=delivery.id, endpoint=delivery.endpoint, why=given_up.reason)
            if delivery.endpoint != OPS:
                facts: dict[str, Json] = {
                    "delivery_id": delivery.id,
                    "event_id": delivery.event_id,
                    "endpoint": delivery.endpoint,
                    "reason": given_up.reason,
                }
                self.alerts.tell("delivery.exhausted", facts)

    def _keep_ready(self, delivery: Delivery, event: Event) -> None:
        """Spare the first try its reading, within a bound of deliveries and of bytes."""
        if len(self._fresh) < FRESH_CAP and self._fresh_bytes + len(event.body) <= FRESH_BYTES:
            self._fresh[delivery.id] = (delivery, event)
            self._fresh_bytes += len(event.body)

    def _forget(self, delivery_id: str) -> tuple[Delivery, Event] | None:
        message = self._fresh.pop(delivery_id, None)
        if message is not None:
            self._fresh_bytes -= len(message[1].body)
        return message
