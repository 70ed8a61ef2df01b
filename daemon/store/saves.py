"""The outputs to be fetched, on disk: owed with the end of their task, settled once their bytes lie on the shelf.

A save leaves ``pending`` only under ``WHERE state = 'pending'``; the row that lets the copy be found is written in the
transaction that says it is saved.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from functools import partial

from daemon.core.ids import TaskId
from daemon.core.observation import Ended
from daemon.core.saving import Save, SaveRecord, SaveState
from daemon.engine.ports import HeldEnd, Lack, SaveSettled
from daemon.store.database import Database
from daemon.store.held import held_chunk, hold_end
from daemon.store.rows import Row, legible
from daemon.store.standing import save_record

CHUNK_ROWS = 2_000
_COLUMNS = "task_id, number, lane, url, kind, needs_auth, expires_at, tries"

_OWE = """
INSERT INTO saves (task_id, number, lane, state, needs_auth, expires_at, due_at, kind, created_at, updated_at, url)
VALUES (:task_id, :number, :lane, 'pending', :needs_auth, :expires_at, :at, :kind, :at, :at, :url)
ON CONFLICT (task_id, number) DO UPDATE SET
  tries = CASE state WHEN 'failed' THEN 0 ELSE tries END,
  due_at = coalesce(due_at, excluded.due_at), reason = CASE state WHEN 'failed' THEN NULL ELSE reason END,
  state = 'pending', url = excluded.url, kind = excluded.kind, needs_auth = excluded.needs_auth,
  expires_at = excluded.expires_at, updated_at = excluded.updated_at
WHERE (state = 'pending' OR state = 'failed') AND url <> excluded.url
"""

_DUE = f"""
SELECT {_COLUMNS}, due_at
FROM saves INDEXED BY saves_due
WHERE state = 'pending' AND (due_at, task_id, number) > (?, ?, ?)
ORDER BY due_at, task_id, number
LIMIT ?
"""  # noqa: S608 (the columns are a constant of this module)

_PENDING = f"SELECT {_COLUMNS} FROM saves WHERE task_id = ? AND number = ? AND state = 'pending'"  # noqa: S608 (as above)
_STANDS = "SELECT number, state, NULL, NULL, NULL, reason FROM saves WHERE task_id = ? AND number = ?"

_SETTLE = """
UPDATE saves SET state = :state, tries = :tries, due_at = :due_at, reason = :reason
WHERE task_id = :task_id AND number = :number AND state = 'pending'
"""

_FOUND = """
INSERT INTO outputs (task_id, number, content_type, size, sha256)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (task_id, number) DO UPDATE SET
  content_type = excluded.content_type, size = excluded.size, sha256 = excluded.sha256
"""

_LINKS = "SELECT number, url FROM saves WHERE task_id = ?"
_UNOWE = "DELETE FROM saves WHERE task_id = ? AND number = ?"
_UNFIND = "DELETE FROM outputs WHERE task_id = ? AND number = ?"
_IS_KNOWN = "SELECT 1 FROM saves WHERE task_id = ? AND number = ?"
_USED = "SELECT coalesce(sum(size), 0) FROM outputs INDEXED BY outputs_by_size"


class SqliteSaves:
    """The port ``Saves`` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, shift: float) -> AsyncIterator[list[tuple[Save, float]]]:
        """Stream the pending saves, earliest first, 2,000 at a time."""
        after: tuple[float, str, int] = (float("-inf"), "", 0)
        while True:
            after, chunk = await self._database.read(partial(_due_chunk, after, shift))
            if not chunk:
                return
            yield chunk

    async def pending(self, task_id: TaskId, number: int) -> Save | None:
        """Return a pending save."""
        return await self._database.read(partial(_pending, task_id, number))

    async def hold(self, task_id: TaskId, ended: Ended, saves: Sequence[Save], at: float) -> list[SaveRecord]:
        """Record the end that waits for *saves*, want them, and return how each stands."""
        return await self._database.change(partial(_hold, task_id, ended, saves, at), weight=len(saves) + 1)

    async def witness(self, task_id: TaskId, ended: Ended) -> None:
        """Record an end that lacks its result."""
        await self._database.change(partial(_witness, task_id, ended))

    async def held(self) -> AsyncIterator[list[HeldEnd]]:
        """Stream the ends that wait, 500 at a time."""
        after = ""
        while chunk := await self._database.read(partial(held_chunk, after)):
            yield chunk
            after = chunk[-1].task_id

    async def settle(self, settled: SaveSettled) -> bool:
        """Record a try and where it leaves the save; False where its task is gone."""
        return await self._database.change(partial(_settle, settled))

    async def used(self) -> int:
        """Return how many bytes all outputs on the shelf take."""
        return await self._database.read(_used)


def owe_saves(connection: sqlite3.Connection, saves: Sequence[Save], at: float) -> None:
    """Insert saves due at *at*; one that is there is brought up to date."""
    connection.executemany(
        _OWE,
        [
            {
                "task_id": save.task_id,
                "number": save.number,
                "lane": save.lane,
                "needs_auth": save.needs_auth,
                "expires_at": save.expires_at,
                "kind": legible(save.kind),
                "url": legible(save.url),
                "at": at,
            }
            for save in saves
        ],
    )


def replace_saves(connection: sqlite3.Connection, task_id: TaskId, saves: Sequence[Save], at: float) -> None:
    """Owe *saves* of outputs that take the place of the ones before; a copy of another link is no copy of theirs."""
    links = {save.number: legible(save.url) for save in saves}
    for number, url in connection.execute(_LINKS, (task_id,)).fetchall():
        if links.get(number) != url:
            connection.execute(_UNOWE, (task_id, number))
            connection.executemany(_UNFIND, [(task_id, number)] if number in links else [])
    owe_saves(connection, saves, at)


def _hold(
    task_id: TaskId, ended: Ended, saves: Sequence[Save], at: float, connection: sqlite3.Connection
) -> list[SaveRecord]:
    if not hold_end(connection, task_id, ended, Lack.COPIES):
        return []
    owe_saves(connection, saves, at)
    return [save_record(connection.execute(_STANDS, (save.task_id, save.number)).fetchone()) for save in saves]


def _witness(task_id: TaskId, ended: Ended, connection: sqlite3.Connection) -> None:
    hold_end(connection, task_id, ended, Lack.RESULT)


def _due_chunk(
    after: tuple[float, str, int], shift: float, connection: sqlite3.Connection
) -> tuple[tuple[float, str, int], list[tuple[Save, float]]]:
    rows = connection.execute(_DUE, (*after, CHUNK_ROWS)).fetchall()
    last = (rows[-1][-1], rows[-1][0], rows[-1][1]) if rows else after
    return last, [(_save(row[:-1]), row[-1] + shift) for row in rows]


def _pending(task_id: TaskId, number: int, connection: sqlite3.Connection) -> Save | None:
    row = connection.execute(_PENDING, (task_id, number)).fetchone()
    return None if row is None else _save(row)


def _settle(settled: SaveSettled, connection: sqlite3.Connection) -> bool:
    save, record = settled.save, settled.record
    values = {
        "task_id": save.task_id,
        "number": save.number,
        "state": record.state.value,
        "tries": save.tries,
        "due_at": settled.due_at,
        "reason": legible(record.reason),
    }
    if connection.execute(_SETTLE, values).rowcount == 0:
        return connection.execute(_IS_KNOWN, (save.task_id, save.number)).fetchone() is not None
    if record.state is SaveState.SAVED:
        found = (save.task_id, save.number, record.content_type, record.size, record.sha256)
        connection.execute(_FOUND, found)
    return True


def _used(connection: sqlite3.Connection) -> int:
    (total,) = connection.execute(_USED).fetchone()
    return int(total)


def _save(row: Row) -> Save:
    task_id, number, lane, url, kind, needs_auth, expires_at, tries = row
    return Save(
        task_id=task_id,
        number=number,
        lane=lane,
        url=url,
        kind=kind,
        needs_auth=needs_auth == 1,
        expires_at=expires_at,
        tries=tries,
    )
