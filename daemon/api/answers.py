"""Records as the API shows them: plain JSON members, in the order the contract names them."""

from __future__ import annotations

from dataclasses import asdict, fields
from functools import lru_cache
from math import isfinite

from daemon.core import wall
from daemon.core.delivery import Refusal
from daemon.core.event import encode, error_json, outputs_json
from daemon.core.late import LateEnd
from daemon.core.observation import Json
from daemon.core.record import AttemptRecord, DeliveryRecord, FeedItem, StoredResult, Target, TaskRecord, ToEndpoint
from daemon.core.saving import SaveRecord
from daemon.engine.desks import EndpointView, LaneView
from daemon.engine.endpoint_ports import Replayed, Revealed

_STAGES = ("dns", "connect", "tls", "first_byte")


@lru_cache(maxsize=4096)
def rfc3339(at: float) -> str:
    """Return a wall-clock second as text; many answers name the same few moments."""
    return wall.rfc3339(at)


def moment(at: float | None) -> str | None:
    """Return a wall-clock second as text, and None for None."""
    return None if at is None else rfc3339(at)


def task_json(record: TaskRecord) -> dict[str, Json]:
    """Return a task as every call about one shows it."""
    return {
        "id": record.id,
        "provider": record.provider,
        "remote_id": record.remote_id,
        "model": record.model,
        "status": str(record.status),
        "progress": record.progress,
        "queue_position": record.queue_position,
        "outputs": _outputs(record) if record.outputs else [],
        "error": error_json(record.error),
        "metadata": record.metadata,
        "created_at": rfc3339(record.created_at),
        "registered_at": rfc3339(record.registered_at),
        "updated_at": rfc3339(record.updated_at),
        "ended_at": moment(record.ended_at),
        "deadline_at": rfc3339(record.deadline_at),
        "polls": record.polls,
        "next_poll_at": moment(record.next_poll_at),
        "next_poll_reason": record.next_poll_reason,
        "last_miss": record.last_miss,
        "webhook": target_json(record.target),
        "event_id": record.event_id,
        "late": late_json(record.late),
    }


def late_json(late: LateEnd | None) -> Json:
    """Return how a task that had timed out ended after all."""
    if late is None:
        return None
    return {
        "status": late.status,
        "outputs": outputs_json(late.outputs),
        "error": error_json(late.error),
        "finished_at": moment(late.finished_at),
        "detected_at": rfc3339(late.detected_at),
        "event_id": late.event_id,
    }


def _outputs(record: TaskRecord) -> list[Json]:
    """Return the outputs of a task, each with how its copy stands."""
    saved = {one.number: saved_json(one) for one in record.saves}
    shown = outputs_json(record.outputs)
    return [one | {"saved": saved.get(n)} if isinstance(one, dict) else one for n, one in enumerate(shown)]


def saved_json(one: SaveRecord) -> Json:
    """Return how Pollhook's copy of an output stands."""
    return {
        "state": one.state,
        "bytes": one.size,
        "sha256": one.sha256,
        "content_type": one.content_type,
        "reason": one.reason,
    }


def target_json(target: Target | None) -> Json:
    """Return where a task's events go."""
    if target is None:
        return None
    return {"endpoint": target.name} if isinstance(target, ToEndpoint) else {"url": target.url}


def result_json(stored: StoredResult) -> dict[str, Json]:
    """Return the answer of a result request."""
    return {
        "task_id": stored.task_id,
        "outputs": outputs_json(stored.outputs),
        "response": stored.body,
        "requested_at": rfc3339(stored.intended_at),
        "stored_at": moment(stored.stored_at),
    }


def event_bytes(item: FeedItem, deliveries: list[DeliveryRecord] | None = None) -> bytes:
    """Return an event as JSON in which ``body`` is the very bytes that are signed."""
    head = encode({"id": item.id, "type": item.type, "created_at": rfc3339(item.created_at)})
    tail = b"" if deliveries is None else b',"deliveries":' + encode([delivery_json(one) for one in deliveries])
    return b"".join((head[:-1], b',"body":', item.body, tail, b"}"))


def delivery_json(record: DeliveryRecord) -> dict[str, Json]:
    """Return one delivery; ``attempt_count`` counts the POSTs made so far."""
    return {
        "id": record.id,
        "event_id": record.event_id,
        "event_type": record.event_type,
        "task_id": record.task_id,
        "endpoint": record.endpoint,
        "url": record.url,
        "state": record.state,
        "attempt_count": record.attempts,
        "due_at": moment(record.due_at),
        "reason": record.reason,
        "created_at": rfc3339(record.created_at),
        "updated_at": rfc3339(record.updated_at),
    }


def _rounded(attempt: AttemptRecord, stage: str) -> float | None:
    seconds: float | None = getattr(attempt.stages, stage)
    return None if seconds is None else round(seconds, 6)


def attempt_json(attempt: AttemptRecord) -> dict[str, Json]:
    """Return one attempt; of a refused target it says no more than that, so that it maps no network."""
    is_refused = attempt.refusal is Refusal.TARGET_NOT_ALLOWED
    return {
        "number": attempt.number,
        "started_at": rfc3339(attempt.started_at),
        "seconds": None if is_refused else round(attempt.seconds, 6),
        "http_status": attempt.http_status,
        "refusal": attempt.refusal,
        "detail": None if is_refused else attempt.detail,
        "address": None if is_refused else attempt.address,
        "due_at": moment(attempt.due_at),
        "stages": dict.fromkeys(_STAGES) if is_refused else {name: _rounded(attempt, name) for name in _STAGES},
        "keys": list(attempt.keys),
        "next_at": moment(attempt.next_at),
        "next_why": None if is_refused else attempt.next_why,
        "response": attempt.response,
    }


def lane_json(lane: LaneView) -> dict[str, Json]:
    """Return one lane."""
    learned: list[Json] = [dict(asdict(each)) for each in lane.durations]
    return _shown(lane) | {"durations": learned}


def endpoint_json(endpoint: EndpointView) -> dict[str, Json]:
    """Return one endpoint: its keys by fingerprint only, its URL without the query, which may hold a token."""
    path, mark, _ = endpoint.url.partition("?")
    return _shown(endpoint) | {"url": f"{path}?…" if mark else path}


def revealed_json(revealed: Revealed) -> dict[str, Json]:
    """Return one endpoint with the key that is told this once."""
    return endpoint_json(revealed.view) | {"secret": revealed.secret, "signing_key": revealed.signing_key}


def replayed_json(replayed: Replayed) -> dict[str, Json]:
    """Return what a window held."""
    return {
        "dry_run": replayed.is_dry,
        "count": sum(replayed.matched.values()),
        "by_state": dict(replayed.matched),
        "oldest_at": moment(replayed.oldest_at),
        "newest_at": moment(replayed.newest_at),
    }


def page_json(data: list[Json], following: str | None) -> dict[str, Json]:
    """Return one page of a list."""
    return {"data": data, "next": following}


def _shown(view: LaneView | EndpointView) -> dict[str, Json]:
    return {field.name: _value(field.name, getattr(view, field.name)) for field in fields(view)}


def _value(name: str, value: Json | tuple[str | float, ...]) -> Json:
    if isinstance(value, tuple):
        return [item for item in value if isinstance(item, str | float)]
    if isinstance(value, float):
        return rfc3339(value) if name.endswith("_at") else _finite(value)
    return value


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
