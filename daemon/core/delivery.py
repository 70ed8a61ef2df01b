"""A delivery's life: one event owed to one endpoint, and what follows from each answer to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from daemon.core.ids import DeliveryId, EventId

RETRY_AFTER_CAP = 24 * 3600.0
JITTER_FLOOR = 0.5


class DeliveryState(StrEnum):
    """Where a delivery stands; ``pending`` has a due time, the others have a reason or an answer."""

    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"
    DEAD = "dead"


class Refusal(StrEnum):
    """Why an attempt failed; the closed list that the attempt log and the metrics use."""

    HTTP = "http_status"
    REDIRECT = "redirect"
    GONE = "gone"
    TIMEOUT = "timeout"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    PROTOCOL = "protocol"
    TARGET_NOT_ALLOWED = "target_not_allowed"
    UNCONFIGURED = "endpoint_unconfigured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event owed to one endpoint.

    ``endpoint`` is an endpoint's name, or the origin of ``url`` where the registration named a URL; either way it
    is the name of the lane. ``attempts`` counts the POSTs made so far, ``tries`` those since it was last (re)sent:
    the schedule runs on tries.
    """

    id: DeliveryId
    event_id: EventId
    endpoint: str
    url: str | None
    attempts: int = 0
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """How many seconds each stage of an attempt took; None for one not gone through, as on a kept connection."""

    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None


NO_STAGES = Stages()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The endpoint took the event with a 2xx; ``keys`` are the fingerprints of those that signed."""

    http_status: int
    seconds: float
    address: str | None = None
    stages: Stages = NO_STAGES
    keys: tuple[str, ...] = ()
    response: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The endpoint did not take it, and why; ``retry_after`` is its wish in seconds, unclamped."""

    refusal: Refusal
    detail: str
    seconds: float
    http_status: int | None = None
    retry_after: float | None = None
    address: str | None = None
    stages: Stages = NO_STAGES
    keys: tuple[str, ...] = ()
    response: str | None = None

    @property
    def blames_endpoint(self) -> bool:
        """Whether every other event would have met the same: the endpoint is down, not this event unwelcome."""
        return self.http_status is None or self.http_status >= 500 or self.http_status in (408, 425, 429)


Receipt: TypeAlias = Accepted | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Done: the endpoint has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try again after ``delay`` seconds; ``flagged`` says that the owner should look (an unusual 4xx, a redirect).

    ``counts`` is false for a try that used up none of the schedule, and ``why`` then says why not.
    """

    delay: float
    flagged: bool
    counts: bool = True
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """Dead, with a reason; ``disables`` says that the endpoint is to be disabled (410)."""

    reason: str
    disables: bool = False


Settlement: TypeAlias = Delivered | Retry | GivenUp


STILL_DOWN = "the endpoint is known to be down: it waits in its place for the next probe"
HAS_MOVED = "the endpoint no longer has the address that answered so, which decides nothing"


class Stead(StrEnum):
    """How the endpoint of an attempt stood when the answer came."""

    UP = "up"
    DOWN = "down"
    MOVED = "moved"


def settle(
    delivery: Delivery, receipt: Receipt, schedule: Sequence[float], *, roll: float, stead: Stead = Stead.UP
) -> Settlement:
    """Decide what follows from *receipt*, the answer to try number ``delivery.tries`` + 1.

    *schedule* holds the seconds between tries after the first; *roll* in [0, 1) draws each wait from the whole of what
    lies between its floor, half the slot, and the slot. A Retry-After lengthens the wait, up to 24 hours, and never
    shortens it. An endpoint that was known to be down and is blamed again, or has another address by now, costs the
    delivery nothing: it keeps its place.
    """
    if isinstance(receipt, Accepted):
        return Delivered()
    if stead is Stead.MOVED:
        return Retry(delay=0.0, flagged=False, counts=False, why=HAS_MOVED)
    if receipt.refusal is Refusal.GONE:
        return GivenUp(reason="the endpoint answered 410 Gone", disables=True)
    wish = min(max(receipt.retry_after or 0.0, 0.0), RETRY_AFTER_CAP)
    if stead is Stead.DOWN and receipt.blames_endpoint:
        return Retry(delay=wish, flagged=False, counts=False, why=STILL_DOWN)
    if delivery.tries >= len(schedule):
        return GivenUp(reason=f"no success in {delivery.tries + 1} attempts, the last: {receipt.detail}")
    slot = schedule[delivery.tries] * (JITTER_FLOOR + (1 - JITTER_FLOOR) * roll)
    return Retry(delay=max(slot, wish), flagged=_is_odd(receipt))


def _is_odd(receipt: Refused) -> bool:
    status = receipt.http_status
    return status is not None and 300 <= status < 500 and status not in (408, 425, 429)
