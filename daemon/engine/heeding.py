"""What an answer says of its endpoint: that it is up, down, slow, or of no use for days.

Guarded here: an endpoint's breaker opens on what every event would meet, its rule of days on having taken nothing at
all, whatever the refusals were; and what an address says that the endpoint no longer has is not held against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from daemon.core.delivery import Accepted, Delivery, Receipt
from daemon.core.endpoint import Endpoint, Source
from daemon.core.event import Event
from daemon.core.lane import Lane
from daemon.core.span import spoken
from daemon.core.wall import rfc3339
from daemon.engine.clock import Clock
from daemon.engine.endpoint_lanes import EndpointLanes
from daemon.engine.parking import Parking
from daemon.engine.ports import Observer
from daemon.engine.standing import Standing

HOLD_CAP = 3600.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heeding:
    """Lets the lanes and the standing of endpoints follow from what they answered."""

    lanes: EndpointLanes
    standing: Standing
    parking: Parking
    observer: Observer
    clock: Clock

    def count(self, delivery: Delivery, event: Event, receipt: Receipt) -> None:
        """Tell the observer of an attempt."""
        label = "url" if delivery.url is not None else delivery.endpoint
        first = None if delivery.attempts else self.clock.now_at() - event.created_at
        result = "delivered" if isinstance(receipt, Accepted) else receipt.refusal
        self.observer.attempted(label, result, seconds=receipt.seconds, first_after=first)

    async def heed(self, delivery: Delivery, receipt: Receipt) -> None:
        """Let the lane follow, wider or narrower, held, open or closed, and record how the endpoint stands."""
        lane, now = self.lanes.of(delivery.endpoint, delivery.url), self.clock.now()
        if isinstance(receipt, Accepted):
            self._is_up(lane, delivery)
            await self.standing.recovers(delivery.endpoint)
            return
        if receipt.retry_after is not None:
            lane.hold(now + min(max(receipt.retry_after, 0.0), HOLD_CAP), f"asked for {receipt.retry_after:g} s")
        if not receipt.blames_endpoint:
            self._is_up(lane, delivery)
        elif lane.went_badly(delivery.id, now):
            log.warning("endpoint.failing", endpoint=delivery.endpoint, why=receipt.detail, rule="5 failures in a row")
        if delivery.url is None:
            await self.standing.refuses(delivery.endpoint, delivery.id, receipt.detail)

    async def judge(self, endpoint: Endpoint, receipt: Receipt) -> None:
        """Disable a named endpoint that has taken nothing for as long as its rule allows."""
        if isinstance(receipt, Accepted) or endpoint.source is Source.URL or self.standing.disabled(endpoint.name):
            return
        since = self.standing.failing(endpoint.name)
        if since is not None and self.standing.has_failed_for(endpoint.name, endpoint.disable_after):
            reason = (
                f"no success since {rfc3339(since[0])}, longer than disable_after = {spoken(endpoint.disable_after)};"
                f" at last: {receipt.detail}"
            )
            await self.parking.disable(endpoint.name, reason, "failing")

    def _is_up(self, lane: Lane, delivery: Delivery) -> None:
        if lane.went_well(delivery.id):
            log.info("endpoint.recovered", endpoint=delivery.endpoint)
