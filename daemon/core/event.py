"""What a webhook says, byte for byte: an event's body is frozen once and never serialised again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice

from daemon.core.ids import EventId, TaskId
from daemon.core.observation import Ended, Json, Output, Response, TaskError
from daemon.core.record import TaskRecord
from daemon.core.wall import rfc3339, rfc3339_or_none

BODY_LIMIT = 256 * 1024
RESPONSE_LIMIT = 64 * 1024
MESSAGE_LIMIT = 4 * 1024
URL_LIMIT = 8 * 1024
OUTPUTS_LIMIT = 100
_TRIMMED = 64
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An immutable message: its id is every delivery's ``webhook-id``, its body is what every attempt signs."""

    id: EventId
    type: str
    task_id: TaskId | None
    created_at: float
    body: bytes


def ending_event(event_id: EventId, record: TaskRecord, ended: Ended, *, detected_at: float, polls: int) -> Event:
    """Freeze the one terminal event of *record*; at most 256 KiB, the provider's body giving way first."""
    data = _task_data(record, ended.outcome, ended.outputs, ended.error) | {
        "timing": {
            "registered_at": rfc3339(record.registered_at),
            "started_at": rfc3339_or_none(ended.started_at),
            "finished_at": rfc3339_or_none(ended.finished_at),
            "detected_at": rfc3339(detected_at),
            "polls": polls,
        },
        **_response(ended.response),
    }
    return _frozen(event_id, f"task.{ended.outcome}", record.id, data, created_at=detected_at)


def late_event(event_id: EventId, record: TaskRecord, ended: Ended, *, detected_at: float) -> Event:
    """Freeze the corrective event of a task that had timed out: how the provider ended it after all."""
    data = _task_data(record, ended.outcome, ended.outputs, ended.error) | {
        "corrects": {"event_id": record.event_id, "status": record.status},
        "timing": {
            "registered_at": rfc3339(record.registered_at),
            "started_at": rfc3339_or_none(ended.started_at or record.started_at),
            "finished_at": rfc3339_or_none(ended.finished_at),
            "detected_at": rfc3339(detected_at),
            "polls": record.polls,
        },
        **_response(ended.response),
    }
    return _frozen(event_id, "task.late", record.id, data, created_at=detected_at)


def progress_event(
    event_id: EventId, record: TaskRecord, kind: str, *, progress: float | None, polls: int, seen_at: float
) -> Event:
    """Freeze a ``task.running`` or ``task.progress`` event for a task that lives."""
    data = _task_data(record, "running", (), None) | {
        "progress": progress,
        "timing": {
            "registered_at": rfc3339(record.registered_at),
            "started_at": rfc3339_or_none(record.started_at),
            "finished_at": None,
            "detected_at": rfc3339(seen_at),
            "polls": polls,
        },
        "response": None,
        "response_omitted": None,
    }
    return _frozen(event_id, f"task.{kind}", record.id, data, created_at=seen_at)


def operational_event(event_id: EventId, kind: str, data: Mapping[str, Json], *, created_at: float) -> Event:
    """Freeze an event about the daemon itself, such as ``provider.credentials_rejected``."""
    return _frozen(event_id, kind, None, dict(data), created_at=created_at)


def fitted(ended: Ended) -> Ended:
    """Return *ended* cut to the bounds of an event: text, outputs and the provider's body."""
    return replace(
        ended,
        outputs=tuple(output for output in ended.outputs if len(output.url) <= URL_LIMIT)[:OUTPUTS_LIMIT],
        error=None if ended.error is None else _fitted_error(ended.error),
        response=_fitted_response(ended.response),
    )


def encode(value: Json) -> bytes:
    """Serialise compactly as UTF-8; what UTF-8 cannot carry (a lone surrogate) becomes a question mark."""
    return _ENCODER.encode(value).encode("utf-8", "replace")


def outputs_json(outputs: tuple[Output, ...]) -> list[Json]:
    """Return *outputs* as events and the API show them."""
    return [
        {
            "url": output.url,
            "kind": output.kind,
            "needs_auth": output.needs_auth,
            "expires_at": rfc3339_or_none(output.expires_at),
        }
        for output in outputs
    ]


def error_json(error: TaskError | None) -> Json:
    """Return *error* as events and the API show it."""
    return None if error is None else {"code": error.code, "message": error.message, "kind": error.kind}


def _task_data(
    record: TaskRecord, status: str, outputs: tuple[Output, ...], error: TaskError | None
) -> dict[str, Json]:
    return {
        "task_id": record.id,
        "provider": record.provider,
        "remote_id": record.remote_id,
        "model": record.model,
        "status": status,
        "outputs": outputs_json(outputs),
        "error": error_json(error),
        "metadata": record.metadata,
    }


def _frozen(event_id: EventId, kind: str, task_id: TaskId | None, data: dict[str, Json], *, created_at: float) -> Event:
    envelope: dict[str, Json] = {"type": kind, "timestamp": rfc3339(created_at), "data": data}
    body = encode(envelope)
    kept = _TRIMMED
    while len(body) > BODY_LIMIT and kept:
        kept //= 2
        body = encode(envelope | {"data": _trimmed(data, kept)})
    return Event(id=event_id, type=kind, task_id=task_id, created_at=created_at, body=body)


def _trimmed(data: dict[str, Json], kept: int) -> dict[str, Json]:
    outputs = data.get("outputs")
    some = outputs[:kept] if isinstance(outputs, list) else outputs
    return data | {"outputs": some, "response": None, "response_omitted": "event_too_large"}


def _response(response: Response) -> dict[str, Json]:
    return {"response": response.body, "response_omitted": response.omitted}


def _fitted_response(response: Response) -> Response:
    body = response.body
    if body is None or (_is_shorter(body, RESPONSE_LIMIT) and len(encode(body)) <= RESPONSE_LIMIT):
        return response
    return Response(omitted="too_large")


def _is_shorter(value: Json, limit: int) -> bool:
    """Whether *value* may take at most *limit* bytes as JSON, told after a walk over that much of it at most."""
    stack: list[Json] = [value]
    while stack and limit >= 0:
        item = stack.pop()
        limit -= 1
        if isinstance(item, str):
            limit -= len(item)
        elif isinstance(item, int):
            limit -= item.bit_length() // 4
        elif isinstance(item, list):
            limit -= len(item)
            stack += item[: max(limit, 0)]
        elif isinstance(item, dict):
            limit -= len(item) + sum(map(len, islice(item, max(limit, 0))))
            stack += islice(item.values(), max(limit, 0))
    return limit >= 0


def _fitted_error(error: TaskError) -> TaskError:
    return replace(error, code=None if error.code is None else error.code[:256], message=error.message[:MESSAGE_LIMIT])
