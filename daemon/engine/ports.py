"""The ports: what the engine asks of the world, in the domain's words.

A port's law is in its docstrings; the contract suites in ``tests/`` hold every implementation, fake or real, to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

from daemon.core.delivery import Delivery, DeliveryState, Receipt
from daemon.core.event import Event
from daemon.core.ids import DeliveryId, EventId, TaskId
from daemon.core.late import LateEnd
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
    WindowQuery,
)
from daemon.core.saving import Access, Fetched, Save, SaveBounds, SaveRecord, SaveState
from daemon.core.task import Task


class Provider(Protocol):
    """One configured provider account."""

    @property
    def unknown_words(self) -> tuple[str, ...]:
        """The last few distinct status words that the definition does not know."""
        ...

    @property
    def reading_troubles(self) -> tuple[str, ...]:
        """Why the last few answers that hold data could not be read, with the shape of each, never its content."""
        ...

    def admit(self, application: Application) -> Admission:
        """Hold *application* against the definition; raise InvalidRegistration or HostNotAllowed."""
        ...

    async def poll(self, task: Task) -> Observation:
        """Ask once how *task* stands. Never raises for weather; cancelling it closes the connection."""
        ...

    @property
    def bills(self) -> bool:
        """Whether the result request costs money."""
        ...

    @property
    def party(self) -> int:
        """How many tasks one status request can tell; 1 where each needs its own."""
        ...

    async def poll_many(self, tasks: Sequence[Task]) -> Mapping[TaskId, Observation]:
        """Ask once how all of *tasks* (at most ``party``) stand; one that the answer does not hold is left out.

        Weather is the same Missed for each. Never raises for it.
        """
        ...

    async def result(self, task: Task) -> Observation:
        """Send the definition's result request once, whatever it costs: Ended with outputs, Pending for *not yet*,
        Missed otherwise (``unsent`` where nothing left this machine). Raises NoResult where there is none.
        """
        ...

    async def access(self, url: str) -> Access | None:
        """Return how to GET *url* with the key; None where the key may not be sent there, or there is none."""
        ...


class Fetcher(Protocol):
    """Whoever fetches outputs."""

    async def fetch(
        self,
        save: Save,
        part: Path,
        *,
        bounds: SaveBounds,
        home: str,
        access: Callable[[str], Awaitable[Access | None]],
        grows: Callable[[int], str | None],
    ) -> Fetched:
        """Make one try to bring the bytes of *save* into the file *part*, on from where the last one broke off.

        Copied means whole and durable. A link on the origin *home* may stand on a loopback or private address.
        *access* answers how to GET a link that needs the key, which stays with its own origin. *grows* is
        told the bytes that *part* is about to hold and says why there is no room for them. Never raises for weather.
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
    saves: tuple[Save, ...] = ()
    recheck_until: float | None = None


class Recheck(NamedTuple):
    """A task that timed out, and until when (wall clock) it is asked about."""

    task_id: TaskId
    until_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LateEnding:
    """All that one transaction commits when a task that had timed out is seen to have ended."""

    task_id: TaskId
    late: LateEnd
    event: Event
    owed: tuple[Owed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveSettled:
    """All that one transaction commits after a try to fetch an output; ``record`` describes what was saved."""

    save: Save
    record: SaveRecord
    due_at: float | None

    @property
    def state(self) -> SaveState:
        """The state it is left in."""
        return self.record.state


class Lack(StrEnum):
    """What an end that was seen still lacks before it is told: copies of its outputs, or its result."""

    COPIES = "copies"
    RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEnd:
    """An end that was seen and is not told yet; ``is_pending`` while a copy of one of its outputs is."""

    task_id: TaskId
    ended: Ended
    lacks: Lack
    is_pending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """All that one transaction commits after an attempt: the attempt, and the state the delivery is left in.

    ``counts`` is false for a probe that used up none of the schedule.
    """

    delivery: Delivery
    attempt: AttemptRecord
    state: DeliveryState
    due_at: float | None
    reason: str | None
    counts: bool = True


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

    def live(self, shift: float, now_at: float) -> AsyncIterator[list[Task]]:
        """Stream every live task in chunks; *shift* turns wall seconds into monotonic ones (monotonic = wall + shift).

        No deadline lies further after *now_at* than it lay after its registration, whatever the clock did since.
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

    async def store_result(
        self, task_id: TaskId, outputs: Sequence[Output], body: Json, at: float, saves: Sequence[Save] = ()
    ) -> None:
        """Record the answer of the intended result request; for a task that ended, its outputs and *saves* too."""
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

    async def park(self, endpoint: str, reason: str, at: float, limit: int) -> list[DeliveryId]:
        """Park the oldest pending deliveries of *endpoint*, at most *limit*; return which."""
        ...

    async def unpark(self, endpoint: str, at: float, limit: int) -> list[tuple[Delivery, float]]:
        """Make the oldest parked deliveries of *endpoint* pending and due at *at*, at most *limit*, oldest first."""
        ...

    async def windowed(self, query: WindowQuery) -> list[DeliveryRecord]:
        """Return the deliveries of an endpoint that were made in a window, oldest first, at most ``limit``."""
        ...

    async def owe_again(self, delivery_ids: Sequence[DeliveryId], at: float) -> list[Delivery]:
        """Make these deliveries pending and due at *at* with tries 0; return those that are there."""
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

    async def durations(self) -> dict[tuple[str, str], bytes]:
        """Return the packed life table of every (lane, model); the model is empty for the lane's own."""
        ...

    async def save_durations(self, tables: Mapping[tuple[str, str], bytes]) -> None:
        """Save packed life tables. May be lost in a crash."""
        ...

    async def drop_durations(self, keys: Sequence[tuple[str, str]]) -> None:
        """Forget the life tables of these (lane, model)."""
        ...

    async def endpoints(self) -> dict[str, EndpointState]:
        """Return the state of every endpoint that has one."""
        ...

    async def save_failing(self, name: str, at: float | None, why: str | None) -> None:
        """Save since when and why an endpoint fails, or that it does not; whether it is disabled stays as it was."""
        ...

    async def save_disabled(self, name: str, at: float | None, reason: str | None) -> None:
        """Save since when and why an endpoint is disabled, or that it is not."""
        ...


class Shelf(Protocol):
    """Where outputs lie that Pollhook holds, inline ones and saved ones: files beside the database."""

    async def keep(self, task_id: TaskId, number: int, inline: Inline) -> None:
        """Store the bytes of output *number*, durable when this returns; storing again replaces."""
        ...

    async def find(self, task_id: TaskId, number: int) -> tuple[Path, str] | None:
        """Return the file and content type of output *number*."""
        ...

    async def discard(self, task_ids: Sequence[TaskId]) -> None:
        """Delete all outputs of these tasks."""
        ...

    async def draft(self, task_id: TaskId, number: int) -> Path:
        """Return where the bytes of output *number* may gather before they are whole."""
        ...

    async def adopt(self, task_id: TaskId, number: int) -> bool:
        """Make the whole, durable draft the output itself; False where it is gone. It is found once it is settled."""
        ...

    async def drop_draft(self, task_id: TaskId, number: int) -> None:
        """Delete what gathered of output *number*."""
        ...


class Saves(Protocol):
    """The outputs to be fetched, on disk; same laws as the watchlist. ``Ending.saves`` are committed with the end."""

    def due(self, shift: float) -> AsyncIterator[list[tuple[Save, float]]]:
        """Stream the pending saves in chunks, each with its due time in monotonic seconds, earliest first."""
        ...

    async def pending(self, task_id: TaskId, number: int) -> Save | None:
        """Return a pending save; None where it is not pending (any more)."""
        ...

    async def hold(self, task_id: TaskId, ended: Ended, saves: Sequence[Save], at: float) -> list[SaveRecord]:
        """Record *ended* as the end that waits for *saves*, want them, due at *at*, and return how each stands.

        One that is pending already gets the new link, one that failed begins anew where its link is another. The end
        is let go by the transaction that ends its task. Where the task is not live, the answer is empty and
        nothing is written.
        """
        ...

    async def witness(self, task_id: TaskId, ended: Ended) -> None:
        """Record *ended* as an end that was seen and lacks its result; nothing where the task is not live."""
        ...

    def held(self) -> AsyncIterator[list[HeldEnd]]:
        """Stream in chunks the ends that were seen and are not told yet."""
        ...

    async def settle(self, settled: SaveSettled) -> bool:
        """Record a try and where it leaves the save; False where its task is gone."""
        ...

    async def used(self) -> int:
        """Return how many bytes all outputs on the shelf take."""
        ...


class Rechecks(Protocol):
    """The re-checks owed to tasks that timed out, on disk; written with the task's end."""

    def owed(self) -> AsyncIterator[list[Recheck]]:
        """Stream the tasks still owed re-checks, in chunks."""
        ...

    async def settle(self, ending: LateEnding) -> bool:
        """Commit a late end with its event and deliveries; False, having written nothing, where none is owed."""
        ...

    async def drop(self, task_id: TaskId) -> None:
        """Owe a task no more re-checks; a late end that was seen stays."""
        ...


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

    def saved(self, lane: str, result: str, *, size: int, seconds: float) -> None:
        """Count a try to fetch an output: ``saved`` or a SaveFault, the bytes saved, and its time."""
        ...

    def endpoint_gone(self, endpoint: str) -> None:
        """Show no more what was counted of an endpoint that was deleted."""
        ...

    def work_crashed(self, kind: str) -> None:
        """Count a bug that was contained."""
        ...
