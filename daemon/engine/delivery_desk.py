"""The delivery desk: what callers ask about events, deliveries and endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from daemon.core.delivery import Delivery, DeliveryState
from daemon.core.endpoint import Endpoint
from daemon.core.errors import NotFound, UnknownEndpoint
from daemon.core.ids import DeliveryId, EventId
from daemon.core.record import DeliveryRecord
from daemon.core.wall import rfc3339
from daemon.engine.clock import Clock
from daemon.engine.courier import Courier
from daemon.engine.desks import EndpointView
from daemon.engine.ports import Outbox


@dataclass(frozen=True, slots=True)
class DeliveryDesk:
    """Implements the ``Deliveries`` port for the API; ``configured`` answers the endpoints of the configuration."""

    courier: Courier
    outbox: Outbox
    configured: Callable[[], Mapping[str, Endpoint]]
    clock: Clock
    rotation_ends_at: Callable[[str], float | None] = lambda _name: None

    async def redeliver(self, event_id: EventId) -> list[DeliveryRecord]:
        """Send an event again to wherever it was owed, or to ``default`` where it was owed to nobody."""
        feed_item = await self.outbox.event(event_id)
        if feed_item is None:
            raise NotFound(f"no event {event_id}")
        before = await self.outbox.deliveries_of(event_id)
        spare = () if before or not self.has("default") else (self.courier.owing.to("default", event_id),)
        if not before and not spare:
            raise UnknownEndpoint(f"event {event_id} was owed to no endpoint, and no endpoint default is configured")
        for record in await self.outbox.redeliver(event_id, spare, self.clock.now_at()) or []:
            if not await self.courier.parking.park_if_disabled(record.endpoint):
                self.courier.plan_again(_delivery(record))
        return await self.outbox.deliveries_of(event_id)

    async def redeliver_one(self, delivery_id: DeliveryId) -> DeliveryRecord:
        """Send one delivery again, whatever became of it; to a disabled endpoint it waits parked."""
        for delivery in await self.outbox.owe_again([delivery_id], self.clock.now_at()):
            if not await self.courier.parking.park_if_disabled(delivery.endpoint):
                self.courier.plan_again(delivery)
        found = await self.outbox.delivery(delivery_id)
        if found is None:
            raise NotFound(f"no delivery {delivery_id[:60]!r}")
        return found[0]

    async def endpoints(self) -> list[EndpointView]:
        """Return the configured endpoints, by name."""
        counts = await self.outbox.counts()
        return [self._view(endpoint, counts) for _, endpoint in sorted(self.configured().items())]

    async def enable(self, name: str) -> EndpointView:
        """Enable an endpoint and send what was parked."""
        self._known(name)
        await self.courier.parking.enable(name)
        return await self.view(name)

    async def disable(self, name: str) -> EndpointView:
        """Disable an endpoint; its events are parked until it is enabled."""
        self._known(name)
        await self.courier.parking.disable(name, "disabled by an operator", "operator")
        return await self.view(name)

    async def view(self, name: str) -> EndpointView:
        """Return one endpoint as it stands."""
        return self._view(self._known(name), await self.outbox.counts())

    async def test(self, name: str) -> DeliveryRecord:
        """Owe the endpoint a signed ``endpoint.test`` event."""
        self._known(name)
        facts = {"endpoint": name, "sent_at": rfc3339(self.clock.now_at())}
        delivery_id = await self.courier.send_test("endpoint.test", dict(facts), name)
        found = await self.outbox.delivery(delivery_id)
        assert found is not None
        return found[0]

    def has(self, name: str) -> bool:
        """Whether an endpoint of that name is configured."""
        return name in self.configured()

    def names(self) -> list[str]:
        """Return the names of the configured endpoints."""
        return sorted(self.configured())

    async def wait_for_event(self, after: int, seconds: float) -> None:
        """Return as soon as an event with ``seq`` above *after* is committed, or after *seconds*."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    bell = self.courier.next_event
                    if await self.outbox.feed(after, 1):
                        return
                    await bell.wait()
        except TimeoutError:
            return

    def _known(self, name: str) -> Endpoint:
        endpoint = self.configured().get(name)
        if endpoint is None:
            raise NotFound(f'no endpoint "{name}" is configured; configured are: {", ".join(self.names()) or "none"}')
        return endpoint

    def _view(self, endpoint: Endpoint, counts: Mapping[tuple[str, DeliveryState], int]) -> EndpointView:
        state, reason, since_at = self._state(endpoint.name)
        lane = self.courier.pump.lanes.get(endpoint.name)
        return EndpointView(
            name=endpoint.name,
            url=endpoint.url,
            source=endpoint.source,
            state=state,
            reason=reason,
            since_at=since_at,
            keys=tuple(key.fingerprint for key in endpoint.keys),
            timeout=endpoint.timeout,
            concurrency=endpoint.concurrency,
            in_flight=0 if lane is None else len(lane.running),
            pending=counts.get((endpoint.name, DeliveryState.PENDING), 0),
            parked=counts.get((endpoint.name, DeliveryState.PARKED), 0),
            dead=counts.get((endpoint.name, DeliveryState.DEAD), 0),
            headers=tuple(header for header, _ in endpoint.headers),
            events=endpoint.events,
            providers=endpoint.providers,
            where=endpoint.where,
            rate=endpoint.rate,
            schedule=endpoint.schedule,
            disable_after=endpoint.disable_after,
            has_ca=endpoint.ca is not None,
            store_response=endpoint.store_response,
            public_key=next((key.public for key in endpoint.keys if key.public is not None), None),
            rotation_ends_at=self.rotation_ends_at(endpoint.name),
        )

    def _state(self, name: str) -> tuple[str, str | None, float | None]:
        disabled = self.courier.standing.disabled(name)
        if disabled is not None:
            return "disabled", disabled[1], disabled[0]
        failing = self.courier.standing.failing(name)
        if failing is not None:
            return "failing", failing[1], failing[0]
        return "ok", None, None


def _delivery(record: DeliveryRecord) -> Delivery:
    return Delivery(
        id=record.id,
        event_id=record.event_id,
        endpoint=record.endpoint,
        url=record.url,
        attempts=record.attempts,
        tries=record.tries,
    )
