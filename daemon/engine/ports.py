"""The ports: what the engine asks of the world and what the API asks of the engine, in the domain's words.

A port's law is in its docstrings; the contract suites in ``tests/`` hold every implementation, fake or real, to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemon.core.delivery import Delivery, DeliveryState, Receipt
from daemon.core.errors import Mistake
from daemon.core.event import Event
from daemon.core.ids import DeliveryId, EventId, TaskId
from daemon.core.observation import Ended, Inline, Json, Observation, Output
from daemon.core.record import (
    Added,
    Admission,
    Application,
    AttemptRecord,
    Claim,
    DeliveryQuery,
    DeliveryRecord,
    EndpointState,
    FeedItem,
    LaneState,
    Owed,
    StoredResult,
    TaskQuery,
    TaskRecord,
)
from daemon.core.task import Task

# ---- what the engine asks of the world


class Provider(Protocol):
    """One configured provider account."""

    @property
    def unknown_words(self) -> tuple[str, ...]:
        """The last few distinct status words that the definition does not know."""
        ...

    def admit(self, application: Application) -> Admission:
        """Hold *application* against the definition; raise InvalidRegistration or HostNotAllowed."""
        ...

    async def poll(self, task: Task) -> Observation:
        """Ask once how *task* stands. Never raises for weather; cancelling it closes the connection."""
        ...

    async def result(self, task: Task) -> Observation:
        """Send the definition's result request once, whatever it costs: Ended with outputs, Pending for *not yet*,
        Missed otherwise (``unsent`` where nothing left this machine). Raises NoResult where there is none.
        """
        ...


class Sender(Protocol):
    """Whoever POSTs events."""

    async def send(self, delivery: Delivery, event: Event) -> Receipt:
        """Make one signed attempt within its endpoint's time-out. Never raises for weather."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """All that one transaction commits when a task ends."""

    task: Task
    ended: Ended
    event: Event
    owed: tuple[Owed, ...]
    ended_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """All that one transaction commits after an attempt: the attempt, and the state the delivery is left in."""

    delivery: Delivery
    attempt: AttemptRecord
    state: DeliveryState
    due_at: float | None
    reason: str | None


class Watchlist(Protocol):
    """The tasks, on disk. A method that changes something returns after the commit is durable.

    Any failure of the database itself raises StoreFault, which ends the process.
    """

    async def add(self, newcomers: Sequence[TaskRecord], claim: Claim | None = None) -> list[Added]:
        """Put *newcomers* on the watchlist in one transaction, in order.

        Where (provider, remote_id) is live already, or has ended by the provider's own word, the answer is that task
        and nothing is written. A *claim* known with the same fingerprint answers the tasks it was made for; with
        another one it raises KeyReused and nothing is written.
        """
        ...

    async def claimed(self, claim: Claim) -> list[Added] | None:
        """Answer the tasks *claim* was made for (``is_new`` False), None for an unknown key; may raise KeyReused."""
        ...

    async def record(self, task_id: TaskId) -> TaskRecord | None:
        """Return one task as committed."""
        ...

    async def find(self, provider: str, remote_id: str) -> TaskRecord | None:
        """Return the task that a registration of this pair would be answered with, if there is one."""
        ...

    async def page(self, query: TaskQuery) -> list[TaskRecord]:
        """Return tasks newest first (by id), at most ``limit``."""
        ...

    def live(self, shift: float) -> AsyncIterator[list[Task]]:
        """Stream every live task in chunks; *shift* turns wall seconds into monotonic ones (monotonic = wall + shift).

        A task whose next poll was never recorded has ``next_at`` equal to its ``born``.
        """
        ...

    async def finish(self, ending: Ending) -> bool:
        """End a task by compare-and-set on a live status: task, event and deliveries in one transaction.

        Return False, having written nothing, where it had ended already.
        """
        ...

    async def tell(self, task: Task, shift: float, events: Sequence[Event], owed: Sequence[Owed]) -> bool:
        """Commit interim events of a live task with its present state; False where it has ended."""
        ...

    async def stop(self, task_id: TaskId, at: float) -> TaskRecord | None:
        """End a live task as ``stopped``, without an event; None where it is not live."""
        ...

    async def note(self, tasks: Sequence[Task], shift: float) -> None:
        """Record what polls changed of tasks still live: status, progress, polls, next poll. A crash may lose it."""
        ...

    async def intend_result(self, task_id: TaskId, at: float) -> bool:
        """Commit that the billing result request is about to be sent; False where an intent or a result exists."""
        ...

    async def store_result(self, task_id: TaskId, outputs: Sequence[Output], body: Json, at: float) -> None:
        """Record the answer of the intended result request; for a task that ended, its outputs too."""
        ...

    async def withdraw_result(self, task_id: TaskId) -> None:
        """Forget an intent whose request surely never left, or was answered *not yet*."""
        ...

    async def result(self, task_id: TaskId) -> StoredResult | None:
        """Return the intent or result of a task."""
        ...

    async def prune(self, before_at: float, limit: int) -> list[TaskId]:
        """Delete at most *limit* tasks that ended before *before_at*, with all their rows; return their ids."""
        ...


class Outbox(Protocol):
    """The events and what is owed of them, on disk; same laws as the watchlist."""

    def due(self, shift: float) -> AsyncIterator[list[tuple[Delivery, float]]]:
        """Stream the pending deliveries in chunks, each with its due time in monotonic seconds, earliest first."""
        ...

    async def message(self, delivery_id: DeliveryId) -> tuple[Delivery, Event] | None:
        """Return a pending delivery and its event; None where it is not pending (any more)."""
        ...

    async def settle(self, settled: Settled) -> None:
        """Record an attempt and where it leaves the delivery, in one transaction."""
        ...

    async def publish(self, event: Event, owed: Sequence[Owed]) -> None:
        """Commit an event that belongs to no ending (operational, test) and what is owed of it."""
        ...

    async def redeliver(self, event_id: EventId, owed: Sequence[Owed], at: float) -> list[DeliveryRecord] | None:
        """Owe an event again: its deliveries become pending and due at *at* with tries 0; *owed* serves where it has
        none. None for an unknown event.
        """
        ...

    async def park(self, endpoint: str, reason: str, at: float) -> list[DeliveryId]:
        """Park every pending delivery of *endpoint*; return which."""
        ...

    async def unpark(self, endpoint: str, at: float) -> list[tuple[Delivery, float]]:
        """Make every parked delivery of *endpoint* pending and due at *at*, oldest first."""
        ...

    async def feed(self, after: int, limit: int) -> list[FeedItem]:
        """Return events with ``seq`` above *after*, in order."""
        ...

    async def seq_of(self, event_id: EventId) -> int | None:
        """Return the place of an event in the feed."""
        ...

    async def event(self, event_id: EventId) -> FeedItem | None:
        """Return one event."""
        ...

    async def deliveries_of(self, event_id: EventId) -> list[DeliveryRecord]:
        """Return the deliveries of one event, oldest first."""
        ...

    async def page(self, query: DeliveryQuery) -> list[DeliveryRecord]:
        """Return deliveries newest first (by id), at most ``limit``."""
        ...

    async def delivery(self, delivery_id: DeliveryId) -> tuple[DeliveryRecord, list[AttemptRecord]] | None:
        """Return one delivery with its attempts, first attempt first."""
        ...

    async def counts(self) -> dict[tuple[str, DeliveryState], int]:
        """Return how many deliveries stand in each state, by endpoint; delivered ones are left out."""
        ...

    async def prune(self, events_before_at: float, attempts_before_at: float, limit: int) -> int:
        """Delete settled old events and attempts in one small step; return how many rows went."""
        ...


class Ledger(Protocol):
    """The small states that outlive a restart: of lanes and of endpoints."""

    async def lanes(self) -> dict[str, LaneState]:
        """Return the saved state of every lane."""
        ...

    async def save_lanes(self, states: Sequence[LaneState]) -> None:
        """Save lane states, replacing those of the same names."""
        ...

    async def endpoints(self) -> dict[str, EndpointState]:
        """Return the state of every endpoint that has one."""
        ...

    async def save_endpoint(self, state: EndpointState) -> None:
        """Save one endpoint's state."""
        ...


class Shelf(Protocol):
    """Where inline outputs lie: files beside the database."""

    async def keep(self, task_id: TaskId, number: int, inline: Inline) -> None:
        """Store the bytes of output *number*, durable when this returns; storing again replaces."""
        ...

    async def find(self, task_id: TaskId, number: int) -> tuple[Path, str] | None:
        """Return the file and content type of output *number*."""
        ...

    async def discard(self, task_ids: Sequence[TaskId]) -> None:
        """Delete all outputs of these tasks."""
        ...


# ---- what the API asks of the engine


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """One lane as ``GET /v1/providers`` shows it; times are wall-clock seconds.

    ``state`` is ``ok``, ``held`` (the provider asked to wait), ``outage`` (single probes) or ``parked`` (the key was
    refused); ``reason`` says why, ``since_at`` since when, ``resumes_at`` when the next try may start.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """One endpoint as the API shows it; never a secret, only key fingerprints.

    ``state`` is ``ok``, ``failing`` (single probes, events wait) or ``disabled``.
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


# ---- what the engine tells whoever measures


class Observer(Protocol):
    """The metrics; labels are bounded: lane names, endpoint names (``url`` for all ad-hoc origins), closed lists."""

    def polled(self, lane: str, result: str, *, lateness: float, seconds: float) -> None:
        """Count a poll: its result (a status word, or a Miss), start minus due, and how long it took."""
        ...

    def ended(self, lane: str, outcome: str, *, polls: int, delay: float | None) -> None:
        """Count an ending: polls it took, and detected minus the provider's finish time where that is known."""
        ...

    def attempted(self, endpoint: str, result: str, *, seconds: float, first_after: float | None) -> None:
        """Count an attempt: ``delivered`` or a Refusal, its time, and for a first one the seconds since the event."""
        ...

    def work_crashed(self, kind: str) -> None:
        """Count a bug that was contained."""
        ...
