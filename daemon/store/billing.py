"""Result requests that bill: the intent is on disk before the request leaves, and the answer is asked for once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from daemon.core.ids import TaskId
from daemon.core.observation import Json, Output
from daemon.core.record import StoredResult
from daemon.core.saving import Save
from daemon.store.rows import json_text, outputs_of, outputs_text
from daemon.store.saves import replace_saves

_INTEND = """
INSERT INTO results (task_id, intended_at)
SELECT id, :at FROM tasks WHERE id = :id
ON CONFLICT (task_id) DO NOTHING
"""

_STORE = """
INSERT INTO results (task_id, intended_at, stored_at, outputs, body)
SELECT id, :at, :at, :outputs, :body FROM tasks WHERE id = :id
ON CONFLICT (task_id) DO UPDATE SET stored_at = :at, outputs = :outputs, body = :body
"""

_SHOW_OUTPUTS = """
UPDATE tasks SET outputs = :outputs, updated_at = :at
WHERE id = :id AND status NOT IN ('queued', 'running')
"""

_WITHDRAW = "DELETE FROM results WHERE task_id = ? AND stored_at IS NULL"
_RESULT = "SELECT task_id, intended_at, stored_at, outputs, body FROM results WHERE task_id = ?"


def intend(task_id: TaskId, at: float, connection: sqlite3.Connection) -> bool:
    """Write the intent; False where there is an intent or a result already, or no such task."""
    return connection.execute(_INTEND, {"id": task_id, "at": at}).rowcount == 1


def store(
    task_id: TaskId,
    outputs: Sequence[Output],
    body: Json,
    at: float,
    connection: sqlite3.Connection,
    *,
    saves: Sequence[Save],
) -> None:
    """Write the answer, and its outputs into a task that has ended; one that lives gets them when it ends."""
    values = {"id": task_id, "at": at, "outputs": outputs_text(outputs), "body": json_text(body)}
    connection.execute(_STORE, values)
    if outputs and connection.execute(_SHOW_OUTPUTS, values).rowcount:
        replace_saves(connection, task_id, saves, at)


def withdraw(task_id: TaskId, connection: sqlite3.Connection) -> None:
    """Delete the intent, never a result."""
    connection.execute(_WITHDRAW, (task_id,))


def result(task_id: TaskId, connection: sqlite3.Connection) -> StoredResult | None:
    """Return the intent or the result."""
    row = connection.execute(_RESULT, (task_id,)).fetchone()
    if row is None:
        return None
    id_, intended_at, stored_at, outputs, body = row
    return StoredResult(
        task_id=id_,
        intended_at=intended_at,
        stored_at=stored_at,
        outputs=outputs_of(outputs),
        body=json.loads(body),
    )
