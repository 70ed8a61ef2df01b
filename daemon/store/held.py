"""Ends that were seen and wait to be told, on disk from before anybody waits: what the provider forgets, we do not.

A row lives only beside a live task: it is written under ``WHERE status IN ('queued', 'running')`` and goes in the
transaction that ends the task.
"""

from __future__ import annotations

import json
import sqlite3

from daemon.core.ids import TaskId
from daemon.core.observation import Ended, Json, Response
from daemon.core.task import Outcome, Status
from daemon.engine.ports import HeldEnd, Lack
from daemon.store.rows import Row, error_of, error_text, json_text, outputs_of, outputs_text

CHUNK_ROWS = 500

_HOLD = """
INSERT INTO held (task_id, lacks, ended)
SELECT id, :lacks, :ended FROM tasks WHERE id = :task_id AND status IN ('queued', 'running')
ON CONFLICT (task_id) DO UPDATE SET lacks = excluded.lacks, ended = excluded.ended
WHERE lacks <> excluded.lacks OR ended <> excluded.ended
"""
_IS_LIVE = "SELECT 1 FROM tasks WHERE id = ? AND status IN ('queued', 'running')"
_LET_GO = "DELETE FROM held WHERE task_id = ?"

_HELD = """
SELECT task_id, lacks, ended, EXISTS (SELECT 1 FROM saves WHERE saves.task_id = held.task_id AND state = 'pending')
FROM held
WHERE task_id > ?
ORDER BY task_id
LIMIT ?
"""

_OUTCOMES: dict[str, Outcome] = {
    "succeeded": Status.SUCCEEDED,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
    "expired": Status.EXPIRED,
    "lost": Status.LOST,
    "timed_out": Status.TIMED_OUT,
}


def hold_end(connection: sqlite3.Connection, task_id: TaskId, ended: Ended, lacks: Lack) -> bool:
    """Record *ended* and what it *lacks*; False, having written nothing, where the task is not live."""
    if connection.execute(_IS_LIVE, (task_id,)).fetchone() is None:
        return False
    connection.execute(_HOLD, {"task_id": task_id, "lacks": lacks.value, "ended": _text(ended)})
    return True


def let_go(connection: sqlite3.Connection, task_id: TaskId) -> None:
    """Forget the end that waits, if one does."""
    connection.execute(_LET_GO, (task_id,))


def held_chunk(after: str, connection: sqlite3.Connection) -> list[HeldEnd]:
    """Return the next held ends after task *after*, by task."""
    return [_held(row) for row in connection.execute(_HELD, (after, CHUNK_ROWS)).fetchall()]


def _held(row: Row) -> HeldEnd:
    task_id, lacks, text, is_pending = row
    return HeldEnd(task_id=task_id, ended=_ended(json.loads(text)), lacks=Lack(lacks), is_pending=bool(is_pending))


def _text(ended: Ended) -> str:
    values: list[Json] = [
        ended.outcome.value,
        outputs_text(ended.outputs),
        error_text(ended.error),
        ended.created_at,
        ended.started_at,
        ended.finished_at,
        ended.response.body,
        ended.response.omitted,
    ]
    return json_text(values)


def _ended(row: Row) -> Ended:
    outcome, outputs, error, created_at, started_at, finished_at, body, omitted = row
    return Ended(
        outcome=_OUTCOMES[outcome],
        outputs=outputs_of(outputs),
        error=error_of(error),
        created_at=created_at,
        started_at=started_at,
        finished_at=finished_at,
        response=Response(body=body, omitted=omitted),
    )
