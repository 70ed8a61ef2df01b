"""What the API asks of the engine: views to show, and the two desks that answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Protocol

from daemon.core.endpoint import DISABLE_AFTER
from daemon.core.errors import Mistake
from daemon.core.ids import DeliveryId, EventId, TaskId
from daemon.core.record import Added, Application, Claim, DeliveryRecord, StoredResult, TaskQuery, TaskRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedDurations:
    """How long tasks of one model take, as learned from its last endings; seconds. ``model`` None is the lane's own."""

    model: str | None
    endings: int
    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """One lane as ``GET /v1/providers`` shows it; times are wall-clock seconds.

    ``state`` is ``ok``, ``held`` (the provider asked to wait), ``outage`` (single probes) or ``parked`` (the key was
    refused); ``reason`` says why, ``since_at`` since when, ``resumes_at`` when the next try may start. ``evidence`` is
    what the definition was written from.
    """

    name: str
    preset: str
    base_url: str
    state: str
    reason: str | None
    since_at: float | None
    resumes_at: float | None
    tasks: int
    in_flight: int
    rate: float
    burst: float
    concurrency: int
    min_gap: float
    max_gap: float
    deadline: float
    price: float
    typical: float
    polls: int
    misses: dict[str, int]
    last_miss: str | None
    last_miss_at: float | None
    unknown_words: tuple[str, ...]
    reading_troubles: tuple[str, ...] = ()
    durations: tuple[LearnedDurations, ...] = ()
    evidence: str = "unverified"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """One endpoint as the API shows it; never a secret, only key fingerprints and the names of its own headers.

    ``state`` is ``ok``, ``failing`` (single probes, events wait) or ``disabled``; ``public_key`` verifies its v1a
    signatures; ``rotation_ends_at`` is when the last of the older keys stops signing.
    """

    name: str
    url: str
    source: str
    state: str
    reason: str | None
    since_at: float | None
    keys: tuple[str, ...]
    timeout: float
    concurrency: int
    in_flight: int
    pending: int
    parked: int
    dead: int
    headers: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    where: str | None = None
    rate: float = inf
    schedule: tuple[float, ...] = ()
    disable_after: float = DISABLE_AFTER
    has_ca: bool = False
    store_response: bool = False
    public_key: str | None = None
    rotation_ends_at: float | None = None


class Tasks(Protocol):
    """The watcher, as the API sees it. Unknown ids raise NotFound; other mistakes as named."""

    async def register(self, applications: Sequence[Application], claim: Claim | None) -> list[Added | Mistake]:
        """Register all in one commit; an answer per application, in order. Raises KeyReused, or WatchlistFull where
        not one of them fits.
        """
        ...

    async def show(self, task_id: TaskId) -> TaskRecord:
        """Return a task with the live state of this moment."""
        ...

    async def page(self, query: TaskQuery) -> list[TaskRecord]:
        """Return tasks newest first, live state included."""
        ...

    async def wait(self, task_id: TaskId, seconds: float) -> TaskRecord:
        """Return the task once it has ended, or as it stands after *seconds*."""
        ...

    async def stop(self, task_id: TaskId) -> TaskRecord:
        """Stop watching; raises AlreadyEnded."""
        ...

    async def poll_now(self, task_id: TaskId, seconds: float) -> tuple[TaskRecord, bool]:
        """Poll next, within the lane's limits, and wait at most *seconds* for it; True where the poll was made.
        Raises AlreadyEnded.
        """
        ...

    async def result(self, task_id: TaskId, *, repeat: bool) -> StoredResult:
        """Run the result request on demand, or answer the stored result. Raises NotEnded, NoResult,
        ResultUnresolved (unless *repeat*).
        """
        ...

    async def output(self, task_id: TaskId, number: int) -> tuple[Path, str]:
        """Return the file and content type of a stored output."""
        ...

    def lanes(self) -> list[LaneView]:
        """Return every lane, by name."""
        ...


class Deliveries(Protocol):
    """The courier, as the API sees it. Unknown names and ids raise NotFound."""

    async def redeliver(self, event_id: EventId) -> list[DeliveryRecord]:
        """Send an event again to wherever it was owed."""
        ...

    async def redeliver_one(self, delivery_id: DeliveryId) -> DeliveryRecord:
        """Send one delivery again, whatever became of it; to a disabled endpoint it waits parked."""
        ...

    async def endpoints(self) -> list[EndpointView]:
        """Return every endpoint of the configuration and every origin with undelivered events, by name."""
        ...

    async def enable(self, name: str) -> EndpointView:
        """Enable an endpoint and send what was parked."""
        ...

    async def disable(self, name: str) -> EndpointView:
        """Disable an endpoint; its events are parked until it is enabled."""
        ...

    async def test(self, name: str) -> DeliveryRecord:
        """Owe the endpoint a signed ``endpoint.test`` event."""
        ...

    def has(self, name: str) -> bool:
        """Whether an endpoint of that name is configured."""
        ...

    def names(self) -> list[str]:
        """Return the names of the configured endpoints."""
        ...

    async def wait_for_event(self, after: int, seconds: float) -> None:
        """Return as soon as an event with ``seq`` above *after* is committed, or after *seconds*."""
        ...
