"""Rows of the watchlist as the domain's values, and back.

Lists and objects are JSON text, ASCII only, so that whatever a provider or caller sent (lone surrogates included)
comes back as it was. Text of strangers that is only shown (reasons, misses) is made legible instead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from math import inf
from typing import Any, TypeAlias

from daemon.core.ids import EventId
from daemon.core.late import LateEnd
from daemon.core.observation import Json, Output, TaskError
from daemon.core.record import Target, TaskRecord, ToEndpoint, ToUrl
from daemon.core.task import LaneName, Live, Params, Saving, Status, Task, Wish
from daemon.store.standing import SAVES_OF_TASK, save_records

Row: TypeAlias = tuple[Any, ...]
Value: TypeAlias = str | bytes | int | float | None

SELECT_TASK = f"""
SELECT id, provider, remote_id, model, params, status_url, fetch_result, wishes, metadata, target_endpoint, target_url,
       status, progress, queue_position, outputs, error, created_at, registered_at, updated_at, started_at,
       finished_at, ended_at, deadline_at, polls, next_poll_at, next_poll_reason, last_miss, event_id,
       save_outputs, {SAVES_OF_TASK}, recheck,
       (SELECT late FROM rechecks WHERE task_id = tasks.id)
FROM tasks
"""  # noqa: S608 (the column is a constant)

INSERT_TASK = """
INSERT INTO tasks (id, provider, remote_id, model, params, status_url, fetch_result, wishes, metadata, target_endpoint,
                   target_url, status, progress, queue_position, outputs, error, created_at, registered_at, updated_at,
                   started_at, finished_at, ended_at, deadline_at, polls, next_poll_at, next_poll_reason, last_miss,
                   event_id, save_outputs, recheck)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

SELECT_LIVE = """
SELECT seq, id, provider, remote_id, model, params, status_url, fetch_result, wishes, status, progress, queue_position,
       started_at, updated_at, created_at + :shift,
       min(deadline_at, :now_at + (deadline_at - registered_at)) + :shift, coalesce(next_poll_at, created_at) + :shift,
       next_poll_reason, polls, last_miss, save_outputs, started_at + :shift
FROM tasks INDEXED BY tasks_live
WHERE status IN ('queued', 'running') AND seq > :after
ORDER BY seq
LIMIT :limit
"""
"""Without INDEXED BY the planner takes the index on status and sorts every live task anew for each chunk."""

_COMPACT = json.JSONEncoder(separators=(",", ":"))
_SHARES = 4096
_LIVE: dict[str, Live] = {"queued": Status.QUEUED, "running": Status.RUNNING}


def task_record(row: Row) -> TaskRecord:
    """Return the record of a row of SELECT_TASK."""
    (id_, provider, remote_id, model, params, status_url, fetch_result, wishes, metadata, endpoint, url, status,
     progress, queue_position, outputs, error, created_at, registered_at, updated_at, started_at, finished_at,
     ended_at, deadline_at, polls, next_poll_at, next_poll_reason, last_miss, event_id, save_outputs,
     saves, recheck, late) = row  # fmt: skip
    return TaskRecord(
        id=id_,
        provider=provider,
        remote_id=remote_id,
        model=model,
        params=params_of(params),
        status_url=status_url,
        fetch_result=None if fetch_result is None else bool(fetch_result),
        wishes=wishes_of(wishes),
        metadata=json.loads(metadata),
        target=_target(endpoint, url),
        status=Status(status),
        progress=progress,
        queue_position=queue_position,
        outputs=outputs_of(outputs),
        error=error_of(error),
        created_at=created_at,
        registered_at=registered_at,
        updated_at=updated_at,
        started_at=started_at,
        finished_at=finished_at,
        ended_at=ended_at,
        deadline_at=deadline_at,
        polls=polls,
        next_poll_at=next_poll_at,
        next_poll_reason=next_poll_reason,
        last_miss=last_miss,
        event_id=event_id,
        save_outputs=None if save_outputs is None else Saving(save_outputs),
        saves=save_records(saves),
        recheck=None if recheck is None else bool(recheck),
        late=None if late is None else late_of(late),
    )


def task_row(record: TaskRecord) -> tuple[Value, ...]:
    """Return the parameters of INSERT_TASK for *record*."""
    target = record.target
    return (
        record.id,
        record.provider,
        record.remote_id,
        record.model,
        params_text(record.params),
        record.status_url,
        record.fetch_result,
        wishes_text(record.wishes),
        json_text(record.metadata) if record.metadata else "{}",
        target.name if isinstance(target, ToEndpoint) else None,
        target.url if isinstance(target, ToUrl) else None,
        str(record.status),
        record.progress,
        record.queue_position,
        outputs_text(record.outputs) if record.outputs else "[]",
        error_text(record.error),
        record.created_at,
        record.registered_at,
        record.updated_at,
        record.started_at,
        record.finished_at,
        record.ended_at,
        record.deadline_at,
        record.polls,
        record.next_poll_at,
        legible(record.next_poll_reason),
        legible(record.last_miss),
        record.event_id,
        None if record.save_outputs is None else record.save_outputs.value,
        record.recheck,
    )


def live_tasks(rows: Sequence[Row]) -> list[Task]:
    """Return the tasks of rows of SELECT_LIVE; equal names are one string in memory."""
    lanes: dict[LaneName, LaneName] = {}
    words: dict[str | None, str | None] = {}
    share = words.setdefault
    return [
        Task(
            id=id_,
            provider=lanes.setdefault(provider, provider),
            remote_id=remote_id,
            model=share(model, model),
            params=params_of(params),
            status_url=status_url,
            fetch_result=None if fetch_result is None else fetch_result == 1,
            wishes=wishes_of(wishes),
            status=_LIVE[status],
            progress=progress,
            queue_position=queue_position,
            started_at=started_at,
            begun=-inf if begun is None else begun,
            updated_at=updated_at,
            born=born,
            deadline=deadline,
            next_at=next_at,
            next_reason=share(reason, reason) or "",
            polls=polls,
            last_miss=last_miss,
            saving=None if save_outputs is None else Saving(save_outputs),
        )
        for (_, id_, provider, remote_id, model, params, status_url, fetch_result, wishes, status, progress,
             queue_position, started_at, updated_at, born, deadline, next_at, reason, polls, last_miss,
             save_outputs, begun) in rows
    ]  # fmt: skip


def late_text(late: LateEnd) -> str:
    """Return the late end as its column keeps it."""
    told: dict[str, Json] = {"status": late.status.value, "outputs": outputs_text(late.outputs)}
    told |= {"error": error_text(late.error), "finished_at": late.finished_at}
    return json_text(told | {"detected_at": late.detected_at, "event_id": late.event_id})


def late_of(text: str) -> LateEnd:
    """Return the late end of a column."""
    told = json.loads(text)
    return LateEnd(
        status=Status(told["status"]),
        outputs=outputs_of(told["outputs"]),
        error=error_of(told["error"]),
        finished_at=told["finished_at"],
        detected_at=told["detected_at"],
        event_id=EventId(told["event_id"]),
    )


def json_text(value: Json) -> str:
    """Return *value* as compact ASCII JSON."""
    return _COMPACT.encode(value)


@lru_cache(maxsize=_SHARES)
def params_of(text: str) -> Params:
    """Return params from their column; equal ones are one value in memory."""
    return tuple((name, value) for name, value in json.loads(text))


def params_text(params: Params) -> str:
    """Return params for their column."""
    return json_text([[name, value] for name, value in params]) if params else "[]"


@lru_cache(maxsize=_SHARES)
def wishes_of(text: str) -> frozenset[Wish]:
    """Return wishes from their column; equal ones are one value in memory."""
    return frozenset(Wish(word) for word in json.loads(text))


def wishes_text(wishes: frozenset[Wish]) -> str:
    """Return wishes for their column."""
    return json_text([*sorted(wishes)]) if wishes else "[]"


def outputs_of(text: str) -> tuple[Output, ...]:
    """Return outputs from their column, without inline bytes."""
    if text == "[]":
        return ()
    return tuple(Output(**fields) for fields in json.loads(text))


def outputs_text(outputs: Sequence[Output]) -> str:
    """Return outputs for their column; inline bytes stay on the shelf."""
    return json_text(
        [
            {"url": one.url, "kind": one.kind, "needs_auth": one.needs_auth, "expires_at": one.expires_at}
            for one in outputs
        ]
    )


def error_text(error: TaskError | None) -> str | None:
    """Return an error for its column."""
    return None if error is None else json_text({"code": error.code, "message": error.message, "kind": error.kind})


def error_of(text: str | None) -> TaskError | None:
    """Return an error from its column."""
    return None if text is None else TaskError(**json.loads(text))


def legible(text: str | None) -> str | None:
    """Return *text* with what UTF-8 cannot carry (a lone surrogate) turned into a question mark."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def _target(endpoint: str | None, url: str | None) -> Target | None:
    if endpoint is not None:
        return ToEndpoint(name=endpoint)
    return None if url is None else ToUrl(url=url)
