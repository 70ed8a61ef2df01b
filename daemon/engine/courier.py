"""The courier: brings every event to every endpoint it is owed to, or leaves it visibly parked or dead.

Guarded here: an attempt is told to nobody before it is recorded, each endpoint has its own lane, and nothing that waits
behind a failing endpoint is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from daemon.core.breaker import Trouble
from daemon.core.delivery import (
    Accepted,
    Delivered,
    Delivery,
    DeliveryState,
    GivenUp,
    Receipt,
    Retry,
    Settlement,
    settle,
)
from daemon.core.endpoint import Endpoint
from daemon.core.event import Event, operational_event
from daemon.core.ids import DeliveryId, EventId
from daemon.core.lane import Lane
from daemon.core.observation import Json
from daemon.core.record import Owed, Target, ToEndpoint, ToUrl
from daemon.engine.attempts import log_attempt, settled_by
from daemon.engine.clock import Clock, Dice, Mint
from daemon.engine.endpoint_lanes import EndpointLanes
from daemon.engine.ports import Ledger, Observer, Outbox, Sender
from daemon.engine.pump import Pump
from daemon.engine.standing import Standing

OPS = "ops"
HOLD_CAP = 3600.0
FRESH_CAP = 10_000
ALERTS_CAP = 100
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
        self._outbox = outbox
        self._sender = sender
        self._origin = origin
        self._clock = clock
        self._dice = dice
        self._mint = Mint(clock=clock, dice=dice)
        self._observer = observer
        self._fresh: dict[str, tuple[Delivery, Event]] = {}
        self._bell = asyncio.Event()
        self._alerts: asyncio.Queue[tuple[str, Mapping[str, Json]]] = asyncio.Queue(ALERTS_CAP)

    # ---- owing

    def owe(self, target: Target | None, event_id: EventId) -> tuple[Owed, ...]:
        """Return what is owed of a new event: nothing without a target, a parked delivery to a disabled endpoint."""
        match target:
            case None:
                return ()
            case ToEndpoint():
                return (self._owed(event_id, target.name, None),)
            case ToUrl():
                return (self._owed(event_id, self._origin(target.url), target.url),)

    def take(self, owed: Sequence[Owed], event: Event | None) -> None:
        """Bring what has just been committed on its way, at once, and tell those who wait for events."""
        now = self._clock.now()
        for each in owed:
            if each.state is DeliveryState.PENDING:
                if event is not None and len(self._fresh) < FRESH_CAP:
                    self._fresh[each.delivery.id] = (each.delivery, event)
                self.plan(each.delivery, now)
                self._lanes.of(each.delivery.endpoint, each.delivery.url).hope(each.delivery.id)
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def plan(self, delivery: Delivery, due: float) -> None:
        """Put a pending delivery on its endpoint's agenda for monotonic *due*."""
        self.pump.plan(self._lanes.of(delivery.endpoint, delivery.url), delivery.id, due)

    def alert(self, kind: str, data: Mapping[str, Json]) -> None:
        """Tell the operators: an event to the endpoint ``ops`` if there is one (the journal has it already)."""
        if self.find(OPS, None) is None:
            return
        if self._alerts.full():
            log.warning("alert.dropped", kind=kind, waiting=ALERTS_CAP)
            return
        self._alerts.put_nowait((kind, data))

    async def run_alerts(self) -> None:
        """Publish alerts until cancelled."""
        while True:
            kind, data = await self._alerts.get()
            await self.publish(kind, data, OPS)

    async def publish(self, kind: str, data: Mapping[str, Json], endpoint: str) -> DeliveryId:
        """Commit an event that belongs to no task, owe it to *endpoint* and return the delivery."""
        event = operational_event(self._mint.event(), kind, data, created_at=self._clock.now_at())
        owed = self.owe(ToEndpoint(name=endpoint), event.id)
        await self._outbox.publish(event, owed)
        self.take(owed, event)
        return owed[0].delivery.id

    @property
    def next_event(self) -> asyncio.Event:
        """A bell that rings at the next commit of an event."""
        return self._bell

    def renew(self) -> None:
        """Bring the lanes up to date with endpoints that changed."""
        self._lanes.renew()

    async def release(self, names: Iterable[str]) -> None:
        """Send what was parked for those of *names* that are not disabled."""
        for name in names:
            if not self.standing.disabled(name):
                await self._unpark(name)

    async def disable(self, name: str, reason: str) -> None:
        """Disable an endpoint durably and park what it is owed; announced in the journal and to ``ops``."""
        await self.standing.disable(name, reason)
        self._lanes.of(name, None).trip(Trouble.DISABLED, self._clock.now())
        await self.park_if_disabled(name)
        log.warning("endpoint.disabled", endpoint=name, reason=reason)
        if name != OPS:
            self.alert("endpoint.disabled", {"endpoint": name, "reason": reason})

    async def park_if_disabled(self, name: str) -> bool:
        """Park what a disabled endpoint is owed; False where it is not disabled."""
        disabled = self.standing.disabled(name)
        if disabled is not None:
            await self._park(name, f"endpoint disabled: {disabled[1]}")
        return disabled is not None

    async def enable(self, name: str) -> None:
        """Enable an endpoint and send what was parked, oldest first."""
        await self.standing.enable(name)
        lane = self._lanes.of(name, None)
        lane.resume()
        self.pump.wake(lane)
        await self._unpark(name)
        log.info("endpoint.enabled", endpoint=name)

    # ---- one try

    async def work(self, key: str) -> float | None:
        """Make one attempt of one delivery; return the seconds until the next, or None where it is settled."""
        message = self._fresh.pop(key, None) or await self._outbox.message(DeliveryId(key))
        if message is None:
            self._forget(key)
            return None
        delivery, event = message
        endpoint = self.find(delivery.endpoint, delivery.url)
        if endpoint is None:
            log.warning("endpoint.unconfigured", endpoint=delivery.endpoint)
            await self._park(delivery.endpoint, UNCONFIGURED)
            return None
        started_at = self._clock.now_at()
        receipt = await self._sender.send(delivery, event)
        settlement = settle(delivery, receipt, endpoint.schedule, roll=self._dice.roll())
        settled = settled_by(delivery, receipt, settlement, started_at=started_at, now_at=self._clock.now_at())
        await self._outbox.settle(settled)
        log_attempt(settled, settlement)
        self._heed(delivery, event, receipt)
        return await self._follow(delivery, settlement)

    def _heed(self, delivery: Delivery, event: Event, receipt: Receipt) -> None:
        lane, now = self._lanes.of(delivery.endpoint, delivery.url), self._clock.now()
        label = "url" if delivery.url is not None else delivery.endpoint
        first = None if delivery.attempts else self._clock.now_at() - event.created_at
        if isinstance(receipt, Accepted):
            self._reached(lane, delivery)
            self._observer.attempted(label, "delivered", seconds=receipt.seconds, first_after=first)
            return
        self._observer.attempted(label, receipt.refusal, seconds=receipt.seconds, first_after=first)
        if receipt.retry_after is not None:
            lane.hold(now + min(max(receipt.retry_after, 0.0), HOLD_CAP), f"asked for {receipt.retry_after:g} s")
        if not receipt.blames_endpoint:
            self._reached(lane, delivery)
        elif lane.went_badly(delivery.id, now):
            self.standing.fails(delivery.endpoint, receipt.detail)
            log.warning("endpoint.failing", endpoint=delivery.endpoint, why=receipt.detail, rule="5 failures in a row")

    def _reached(self, lane: Lane, delivery: Delivery) -> None:
        if lane.went_well(delivery.id):
            log.info("endpoint.recovered", endpoint=delivery.endpoint)
            self.standing.recovers(delivery.endpoint)

    async def _follow(self, delivery: Delivery, settlement: Settlement) -> float | None:
        match settlement:
            case Delivered():
                self._forget(delivery.id)
                return None
            case Retry():
                return None if self.standing.disabled(delivery.endpoint) else settlement.delay
            case GivenUp():
                self._forget(delivery.id)
                await self._give_up(delivery, settlement)
                return None

    async def _give_up(self, delivery: Delivery, given_up: GivenUp) -> None:
        if given_up.disables and delivery.url is None:
            if not self.standing.disabled(delivery.endpoint):
                await self.disable(delivery.endpoint, given_up.reason)
        else:
            log.warning("delivery.exhausted", delivery=delivery.id, endpoint=delivery.endpoint, why=given_up.reason)
            if delivery.endpoint != OPS:
                facts: dict[str, Json] = {
                    "delivery_id": delivery.id,
                    "event_id": delivery.event_id,
                    "endpoint": delivery.endpoint,
                    "reason": given_up.reason,
                }
                self.alert("delivery.exhausted", facts)

    async def _unpark(self, name: str) -> None:
        for delivery, due in await self._outbox.unpark(name, self._clock.now_at()):
            self.plan(delivery, due + self._clock.shift)

    async def _park(self, name: str, reason: str) -> None:
        lane = self.pump.lanes.get(name)
        for delivery_id in await self._outbox.park(name, reason, self._clock.now_at()):
            self._forget(delivery_id)
            if lane is not None:
                lane.drop(delivery_id)

    def _owed(self, event_id: EventId, endpoint: str, url: str | None) -> Owed:
        delivery = Delivery(id=self._mint.delivery(), event_id=event_id, endpoint=endpoint, url=url)
        now_at = self._clock.now_at()
        disabled = self.standing.disabled(endpoint)
        if disabled is not None:
            reason = f"endpoint disabled: {disabled[1]}"
            return Owed(delivery=delivery, due_at=now_at, state=DeliveryState.PARKED, reason=reason)
        return Owed(delivery=delivery, due_at=now_at)

    def _forget(self, delivery_id: str) -> None:
        self._fresh.pop(delivery_id, None)
