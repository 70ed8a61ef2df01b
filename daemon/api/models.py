"""The answers' shapes as models, from which the OpenAPI document is made; a test holds the answers to them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from daemon.core.delivery import DeliveryState, Refusal
from daemon.core.saving import SaveState
from daemon.core.task import Status

_CLOSED = ConfigDict(extra="forbid", defer_build=True)
_KIND = Literal["content_blocked", "invalid_request", "inference", "timeout", "canceled", "expired", "lost", "provider"]
When = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-21T20:11:40.512Z"])]
AnyJson = Annotated[object, Field(description="any JSON value")]


class FieldProblem(BaseModel):
    """One bad field."""

    model_config = _CLOSED
    field: str
    message: str


class ProblemDocument(BaseModel):
    """RFC 9457; ``code`` is stable, ``errors`` lists every bad field."""

    model_config = _CLOSED
    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[FieldProblem] | None = None
    retry_after: int | None = None


class OutputShown(BaseModel):
    """One thing a task made."""

    model_config = _CLOSED
    url: str
    kind: str
    needs_auth: bool
    expires_at: When | None


class SavedShown(BaseModel):
    """How Pollhook's own copy of an output stands; a saved one is served at ``/v1/tasks/{id}/outputs/{n}``."""

    model_config = _CLOSED
    state: SaveState
    bytes: int | None
    sha256: str | None
    content_type: str | None
    reason: str | None


class TaskOutputShown(OutputShown):
    """One output of a task, and its copy; ``saved`` is null where none is wanted."""

    saved: SavedShown | None


class ErrorShown(BaseModel):
    """Why a task did not succeed."""

    model_config = _CLOSED
    code: str | None
    message: str
    kind: _KIND | str


class WebhookShown(BaseModel):
    """Where the events go."""

    model_config = _CLOSED
    endpoint: str | None = None
    url: str | None = None


class LateShown(BaseModel):
    """How the provider ended a task that had timed out, seen by a re-check and told as ``task.late``."""

    model_config = _CLOSED
    status: Status
    outputs: list[OutputShown]
    error: ErrorShown | None
    finished_at: When | None
    detected_at: When
    event_id: str


class TaskShown(BaseModel):
    """One task."""

    model_config = _CLOSED
    id: str = Field(examples=["tsk_01k2m3n4p5q6r7s8t9v0w1x2y3"])
    provider: str
    remote_id: str
    model: str | None
    status: Status
    progress: float | None
    queue_position: int | None
    outputs: list[TaskOutputShown]
    error: ErrorShown | None
    metadata: dict[str, AnyJson]
    created_at: When
    registered_at: When
    updated_at: When
    ended_at: When | None
    deadline_at: When
    polls: int
    next_poll_at: When | None
    next_poll_reason: str | None
    last_miss: str | None
    webhook: WebhookShown | None
    event_id: str | None
    late: LateShown | None


class TaskList(BaseModel):
    """A page of tasks, newest first."""

    model_config = _CLOSED
    data: list[TaskShown]
    next: str | None


class BatchItem(BaseModel):
    """The answer to one registration of a batch: a task, or a problem."""

    model_config = _CLOSED
    status: int
    task: TaskShown | None = None
    problem: ProblemDocument | None = None


class BatchAnswer(BaseModel):
    """The answers of a batch, in order."""

    model_config = _CLOSED
    data: list[BatchItem]


class ResultShown(BaseModel):
    """The answer of a result request."""

    model_config = _CLOSED
    task_id: str
    outputs: list[OutputShown]
    response: AnyJson
    requested_at: When
    stored_at: When | None


class DeliveryShown(BaseModel):
    """One event owed to one endpoint; ``attempt_count`` counts the POSTs made."""

    model_config = _CLOSED
    id: str
    event_id: str
    event_type: str
    task_id: str | None
    endpoint: str
    url: str | None
    state: DeliveryState
    attempt_count: int
    due_at: When | None
    reason: str | None
    created_at: When
    updated_at: When


class DeliveryList(BaseModel):
    """A page of deliveries, newest first."""

    model_config = _CLOSED
    data: list[DeliveryShown]
    next: str | None


class StagesShown(BaseModel):
    """Seconds that each stage of an attempt took; null for one not gone through, as on a kept connection."""

    model_config = _CLOSED
    dns: float | None
    connect: float | None
    tls: float | None
    first_byte: float | None


class AttemptShown(BaseModel):
    """One POST; ``keys`` are the fingerprints of what signed, ``response`` is the answer's first 1 KiB where asked."""

    model_config = _CLOSED
    number: int
    started_at: When
    seconds: float | None
    http_status: int | None
    refusal: Refusal | None
    detail: str | None
    address: str | None
    due_at: When | None
    stages: StagesShown
    keys: list[str]
    next_at: When | None
    next_why: str | None
    response: str | None


class DeliveryWithAttempts(DeliveryShown):
    """One delivery with its attempts, the first one first."""

    attempts: list[AttemptShown]


class EventShown(BaseModel):
    """One event; ``body`` is what the webhook says."""

    model_config = _CLOSED
    id: str
    type: str
    created_at: When
    body: dict[str, AnyJson]


class EventWithDeliveries(EventShown):
    """One event and what became of it."""

    deliveries: list[DeliveryShown]


class EventFeed(BaseModel):
    """A page of the feed, oldest first; ``next`` is where to go on, always."""

    model_config = _CLOSED
    data: list[EventShown]
    next: str


class Health(BaseModel):
    """Well or ready, and no more."""

    model_config = _CLOSED
    status: Literal["ok"]


class ResultWish(BaseModel):
    """``repeat`` sends the result request again although an earlier one is unresolved and may have been billed."""

    model_config = ConfigDict(extra="forbid", strict=True)
    repeat: bool = False
