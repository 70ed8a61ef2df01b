"""Re-checks on disk: owed with the end of a task that timed out, settled once by the late end that was seen."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from functools import partial

from daemon.core.ids import TaskId
from daemon.engine.ports import LateEnding, Recheck
from daemon.store.database import Database
from daemon.store.owing import owe, write_event
from daemon.store.rows import late_text

CHUNK_ROWS = 500

_OWE = "INSERT INTO rechecks (task_id, until_at) VALUES (?, ?)"
_OWED = "SELECT task_id, until_at FROM rechecks WHERE late IS NULL AND task_id > ? ORDER BY task_id LIMIT ?"
_SETTLE = "UPDATE rechecks SET late = ? WHERE task_id = ? AND late IS NULL"
_DROP = "DELETE FROM rechecks WHERE task_id = ? AND late IS NULL"


def owe_recheck(connection: sqlite3.Connection, task_id: TaskId, until_at: float) -> None:
    """Note that a task which times out in this transaction is asked about until then."""
    connection.execute(_OWE, (task_id, until_at))


class SqliteRechecks:
    """The port ``Rechecks`` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owed(self) -> AsyncIterator[list[Recheck]]:
        """Stream what is owed, 500 at a time."""
        after = ""
        while chunk := await self._database.read(partial(_chunk, after)):
            yield chunk
            after = chunk[-1].task_id

    async def settle(self, ending: LateEnding) -> bool:
        """Record a late end, once."""
        return await self._database.change(partial(_settle, ending))

    async def drop(self, task_id: TaskId) -> None:
        """Owe no more."""
        await self._database.change(partial(_drop, task_id))


def _chunk(after: str, connection: sqlite3.Connection) -> list[Recheck]:
    rows = connection.execute(_OWED, (after, CHUNK_ROWS)).fetchall()
    return [Recheck(TaskId(task_id), until_at) for task_id, until_at in rows]


def _drop(task_id: TaskId, connection: sqlite3.Connection) -> None:
    connection.execute(_DROP, (task_id,))


def _settle(ending: LateEnding, connection: sqlite3.Connection) -> bool:
    if connection.execute(_SETTLE, (late_text(ending.late), ending.task_id)).rowcount == 0:
        return False
    write_event(connection, ending.event)
    owe(connection, ending.owed, ending.event.created_at)
    return True
