"""What the store keeps of a task: the caller's words, the provider's, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from daemon.core.breaker import Trouble
from daemon.core.delivery import NO_STAGES, Delivery, DeliveryState, Refusal, Stages
from daemon.core.ids import DeliveryId, EventId, TaskId
from daemon.core.late import LateEnd
from daemon.core.observation import Json, Output, TaskError
from daemon.core.saving import SaveRecord
from daemon.core.task import LaneName, Params, Saving, Status, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class ToEndpoint:
    """Send the events to the endpoint of this name."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToUrl:
    """Send the events to this URL, which arrived over the API and is judged by the egress rules."""

    url: str


Target: TypeAlias = ToEndpoint | ToUrl


@dataclass(slots=True, kw_only=True)
class Application:
    """A registration as the caller sent it, its fields well-formed but not yet held against a definition.

    A value that nobody writes to, not frozen for the same reason as TaskRecord.

    ``submission`` is the provider's own answer to the submit call, from which the definition reads what the other
    fields leave out. ``deadline`` and ``first_poll_after`` are seconds, ``created_at`` is wall-clock seconds.
    """

    provider: str
    remote_id: str | None = None
    submission: Json = None
    status_url: str | None = None
    model: str | None = None
    params: Params = ()
    metadata: dict[str, Json] = field(default_factory=dict)
    target: Target | None = None
    created_at: float | None = None
    deadline: float | None = None
    first_poll_after: float | None = None
    fetch_result: bool | None = None
    save_outputs: Saving | None = None
    recheck: bool | None = None
    wishes: frozenset[Wish] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What a provider definition makes of an application: enough to poll, on origins the key may be sent to."""

    remote_id: str
    model: str | None
    params: Params
    status_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An Idempotency-Key and the SHA-256 (hex) of the request it came with."""

    key: str
    fingerprint: str


@dataclass(slots=True, kw_only=True)
class TaskRecord:
    """One row of the watchlist, whole; for a live task the fields that polls change may lag behind memory.

    A value that nobody writes to; it is not frozen because that triples what making one costs, once a registration.

    ``saves`` is how the copies of its outputs stand, those it holds because they came inside an answer among them.
    """

    id: TaskId
    provider: LaneName
    remote_id: str
    model: str | None
    params: Params
    status_url: str | None
    fetch_result: bool | None
    wishes: frozenset[Wish]
    metadata: dict[str, Json]
    target: Target | None
    status: Status
    progress: float | None
    queue_position: int | None
    outputs: tuple[Output, ...]
    error: TaskError | None
    created_at: float
    registered_at: float
    updated_at: float
    started_at: float | None
    finished_at: float | None
    ended_at: float | None
    deadline_at: float
    polls: int
    next_poll_at: float | None
    next_poll_reason: str | None
    last_miss: str | None
    event_id: EventId | None
    save_outputs: Saving | None = None
    saves: tuple[SaveRecord, ...] = ()
    recheck: bool | None = None
    late: LateEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A registration's answer: the task as committed, and whether it is new or was on the watchlist already."""

    record: TaskRecord
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """Which tasks to list, newest first; ``before`` is the id the last page ended with."""

    status: Status | None = None
    provider: str | None = None
    model: str | None = None
    before: TaskId | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """A result request that bills: its intent, committed before it is sent, and its answer once seen.

    ``body`` is the provider's answer as shown to callers; None means that the answer was never seen.
    """

    task_id: TaskId
    intended_at: float
    stored_at: float | None
    outputs: tuple[Output, ...]
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedItem:
    """One event of the pull feed; ``seq`` rises by commit order and has no gaps."""

    seq: int
    id: EventId
    type: str
    task_id: TaskId | None
    created_at: float
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A delivery and the wall-clock second it is due; ``state`` is ``parked`` where its endpoint is disabled."""

    delivery: Delivery
    due_at: float
    state: DeliveryState = DeliveryState.PENDING
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """One row of the outbox."""

    id: DeliveryId
    event_id: EventId
    event_type: str
    task_id: TaskId | None
    endpoint: str
    url: str | None
    state: DeliveryState
    attempts: int
    tries: int
    due_at: float | None
    reason: str | None
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One POST of a delivery: when, how long, what came back, and what followed; times are wall-clock seconds.

    ``keys`` are the fingerprints of those that signed. ``response`` is the beginning of the answer's body, kept only
    where the endpoint asks for it.
    """

    number: int
    started_at: float
    seconds: float
    http_status: int | None
    refusal: Refusal | None
    detail: str | None
    address: str | None
    due_at: float | None = None
    stages: Stages = NO_STAGES
    keys: tuple[str, ...] = ()
    next_at: float | None = None
    next_why: str | None = None
    response: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryQuery:
    """Which deliveries to list, newest first."""

    state: DeliveryState | None = None
    endpoint: str | None = None
    before: DeliveryId | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowQuery:
    """Which deliveries of an endpoint to send again, oldest first: made from ``since`` to before ``until``, wall-clock.

    ``after`` is the id the last step ended with.
    """

    endpoint: str
    since: float
    until: float
    states: frozenset[DeliveryState]
    after: DeliveryId | None = None
    limit: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneState:
    """What a lane must remember over a restart; ``key_mark`` is a keyed hash, so a new key is noticed."""

    name: str
    trouble: Trouble | None
    trouble_at: float | None
    held_until_at: float
    tat_at: float
    key_mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """How an endpoint stands over a restart: disabled or not, and failing or not, each since when and why."""

    name: str
    disabled_at: float | None = None
    disabled_reason: str | None = None
    failing_since: float | None = None
    failing_why: str | None = None
