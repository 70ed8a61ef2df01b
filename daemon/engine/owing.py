"""What is owed of an event: nothing, a delivery, or a parked one where the endpoint is disabled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.core.delivery import Delivery, DeliveryState
from daemon.core.endpoint import Endpoint
from daemon.core.event import Event
from daemon.core.ids import EventId
from daemon.core.record import Owed, Target, ToUrl
from daemon.engine.clock import Clock, Mint
from daemon.engine.filtering import Filter
from daemon.engine.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Owing:
    """Decides what an endpoint is owed; ``find`` answers the endpoint of a name, ``origin`` names a URL's lane."""

    find: Callable[[str, str | None], Endpoint | None]
    origin: Callable[[str], str]
    standing: Standing
    clock: Clock
    mint: Mint
    filter: Filter = field(default_factory=Filter)

    def of(self, target: Target | None, event: Event) -> tuple[Owed, ...]:
        """Return what is owed of a new event to its *target*: nothing where the endpoint does not want it."""
        if target is None:
            return ()
        if isinstance(target, ToUrl):
            return (self.to(self.origin(target.url), event.id, target.url),)
        endpoint = self.find(target.name, None)
        if endpoint is not None and not self.filter.wants(endpoint, event):
            return ()
        return (self.to(target.name, event.id),)

    def to(self, endpoint: str, event_id: EventId, url: str | None = None) -> Owed:
        """Return the delivery of an event to an endpoint, whatever its filter; parked where it is disabled."""
        delivery = Delivery(id=self.mint.delivery(), event_id=event_id, endpoint=endpoint, url=url)
        now_at = self.clock.now_at()
        disabled = self.standing.disabled(endpoint)
        if disabled is None:
            return Owed(delivery=delivery, due_at=now_at)
        reason = f"endpoint disabled: {disabled[1]}"
        return Owed(delivery=delivery, due_at=now_at, state=DeliveryState.PARKED, reason=reason)
