"""The watchlist on disk: every task, how it ended, and what it owes from that moment on.

A task ends by compare-and-set: each transition out of life says ``WHERE status IN ('queued', 'running')``, and the
event and its deliveries are written in the same transaction or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from functools import partial

from daemon.core.event import Event
from daemon.core.ids import TaskId
from daemon.core.observation import Json, Output
from daemon.core.record import Added, Claim, Owed, StoredResult, TaskQuery, TaskRecord
from daemon.core.saving import Save
from daemon.core.task import Task
from daemon.engine.ports import Ending
from daemon.store import billing, newcomers
from daemon.store.database import Database
from daemon.store.held import let_go
from daemon.store.owing import owe, write_event
from daemon.store.rechecks import owe_recheck
from daemon.store.rows import SELECT_LIVE, SELECT_TASK, error_text, legible, live_tasks, outputs_text, task_record
from daemon.store.saves import owe_saves

CHUNK_ROWS = 2_000
NOTE_ROWS = 500

_FINISH = """
UPDATE tasks
SET status = :status, progress = :progress, queue_position = NULL, error = :error,
    outputs = coalesce((SELECT nullif(outputs, '[]') FROM results WHERE task_id = :id), :outputs),
    created_at = coalesce(:created_at, created_at), started_at = coalesce(:started_at, started_at),
    finished_at = :finished_at,
    ended_at = :ended_at, updated_at = :ended_at, polls = :polls, last_miss = :last_miss,
    next_poll_at = NULL, next_poll_reason = NULL, event_id = :event_id
WHERE id = :id AND status IN ('queued', 'running')
"""

_STOP = """
UPDATE tasks
SET status = 'stopped', ended_at = :at, updated_at = :at, next_poll_at = NULL, next_poll_reason = NULL
WHERE id = :id AND status IN ('queued', 'running')
"""

_NOTE = """
UPDATE tasks
SET status = :status, progress = :progress, queue_position = :queue_position,
    created_at = coalesce(:created_at, created_at), started_at = :started_at,
    updated_at = :updated_at, polls = :polls, next_poll_at = :next_poll_at, next_poll_reason = :next_poll_reason,
    last_miss = :last_miss
WHERE id = :id AND status IN ('queued', 'running')
"""

_ENDED_BEFORE = "SELECT id FROM tasks WHERE ended_at < ? ORDER BY ended_at LIMIT ?"
_DELETE_CLAIMS = "DELETE FROM claims WHERE key IN (SELECT key FROM claim_tasks WHERE task_id = ?)"
_DELETE_TASK = "DELETE FROM tasks WHERE id = ?"


class SqliteWatchlist:
    """The port ``Watchlist`` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, newcomers_: Sequence[TaskRecord], claim: Claim | None = None) -> list[Added]:
        """Put tasks on the watchlist, all in one transaction."""
        weight = len(newcomers_)
        if claim is None:
            return await self._database.change_together(newcomers.add_all, newcomers_, weight=weight)
        return await self._database.change(partial(newcomers.add_once, newcomers_, claim), weight=weight)

    async def claimed(self, claim: Claim) -> list[Added] | None:
        """Answer the tasks *claim* was made for."""
        return await self._database.read(partial(newcomers.claimed, claim))

    async def record(self, task_id: TaskId) -> TaskRecord | None:
        """Return one task as committed."""
        return await self._database.read(partial(_record, task_id))

    async def find(self, provider: str, remote_id: str) -> TaskRecord | None:
        """Return the task that a registration of this pair would be answered with."""
        return await self._database.read(partial(newcomers.known, provider, remote_id))

    async def page(self, query: TaskQuery) -> list[TaskRecord]:
        """Return tasks newest first."""
        return await self._database.read(partial(_page, query))

    async def live(self, shift: float, now_at: float) -> AsyncIterator[list[Task]]:
        """Stream every live task, 2,000 at a time."""
        after = 0
        while True:
            after, tasks = await self._database.read(partial(_live_chunk, after, shift, now_at))
            if not tasks:
                return
            yield tasks

    async def finish(self, ending: Ending) -> bool:
        """End a task, with its event and what is owed of it, once."""
        return await self._database.change(partial(_finish, ending))

    async def tell(self, task: Task, shift: float, events: Sequence[Event], owed: Sequence[Owed]) -> bool:
        """Commit interim events of a live task with its present state."""
        return await self._database.change(partial(_tell, task, shift, events, owed))

    async def stop(self, task_id: TaskId, at: float) -> TaskRecord | None:
        """End a live task as ``stopped``."""
        return await self._database.change(partial(_stop, task_id, at))

    async def note(self, tasks: Sequence[Task], shift: float) -> None:
        """Record what polls changed, in steps between which promises can commit."""
        for first in range(0, len(tasks), NOTE_ROWS):
            some = tasks[first : first + NOTE_ROWS]
            await self._database.change(partial(_note, some, shift), weight=len(some))

    async def intend_result(self, task_id: TaskId, at: float) -> bool:
        """Commit the intent of a billing request; False where there is an intent or a result."""
        return await self._database.change(partial(billing.intend, task_id, at))

    async def store_result(
        self, task_id: TaskId, outputs: Sequence[Output], body: Json, at: float, saves: Sequence[Save] = ()
    ) -> None:
        """Record the answer of the billing request."""
        await self._database.change(partial(billing.store, task_id, outputs, body, at, saves=saves))

    async def withdraw_result(self, task_id: TaskId) -> None:
        """Forget an intent that billed nothing."""
        await self._database.change(partial(billing.withdraw, task_id))

    async def result(self, task_id: TaskId) -> StoredResult | None:
        """Return the intent or result of a task."""
        return await self._database.read(partial(billing.result, task_id))

    async def prune(self, before_at: float, limit: int) -> list[TaskId]:
        """Delete a few tasks that ended before *before_at*; their events go by the outbox's own retention."""
        return await self._database.change(partial(_prune, before_at, limit), weight=limit)


def _record(task_id: TaskId, connection: sqlite3.Connection) -> TaskRecord | None:
    row = connection.execute(SELECT_TASK + "WHERE id = ?", (task_id,)).fetchone()
    return None if row is None else task_record(row)


def _page(query: TaskQuery, connection: sqlite3.Connection) -> list[TaskRecord]:
    wanted = {"status = ?": query.status, "provider = ?": query.provider, "model = ?": query.model}
    asked = {clause: value for clause, value in (wanted | {"id < ?": query.before}).items() if value is not None}
    where = "WHERE " + " AND ".join(asked) if asked else ""
    rows = connection.execute(SELECT_TASK + where + " ORDER BY id DESC LIMIT ?", (*asked.values(), query.limit))
    return [task_record(row) for row in rows.fetchall()]


def _live_chunk(after: int, shift: float, now_at: float, connection: sqlite3.Connection) -> tuple[int, list[Task]]:
    asked = {"after": after, "shift": shift, "now_at": now_at, "limit": CHUNK_ROWS}
    rows = connection.execute(SELECT_LIVE, asked).fetchall()
    return (rows[-1][0] if rows else after), live_tasks(rows)


def _finish(ending: Ending, connection: sqlite3.Connection) -> bool:
    ended, task = ending.ended, ending.task
    values = {
        "id": task.id,
        "status": ended.outcome.value,
        "progress": task.progress,
        "error": error_text(ended.error),
        "outputs": outputs_text(ended.outputs),
        "created_at": task.created_at,
        "started_at": ended.started_at or task.started_at,
        "finished_at": ended.finished_at,
        "ended_at": ending.ended_at,
        "polls": task.polls,
        "last_miss": legible(task.last_miss),
        "event_id": ending.event.id,
    }
    if connection.execute(_FINISH, values).rowcount == 0:
        return False
    let_go(connection, task.id)
    write_event(connection, ending.event)
    owe(connection, ending.owed, ending.event.created_at)
    owe_saves(connection, ending.saves, ending.ended_at)
    if ending.recheck_until is not None:
        owe_recheck(connection, task.id, ending.recheck_until)
    return True


def _tell(
    task: Task, shift: float, events: Sequence[Event], owed: Sequence[Owed], connection: sqlite3.Connection
) -> bool:
    if connection.execute(_NOTE, _noted(task, shift)).rowcount == 0:
        return False
    for event in events:
        write_event(connection, event)
    owe(connection, owed, task.updated_at)
    return True


def _stop(task_id: TaskId, at: float, connection: sqlite3.Connection) -> TaskRecord | None:
    if connection.execute(_STOP, {"id": task_id, "at": at}).rowcount == 0:
        return None
    let_go(connection, task_id)
    return _record(task_id, connection)


def _note(tasks: Sequence[Task], shift: float, connection: sqlite3.Connection) -> None:
    connection.executemany(_NOTE, [_noted(task, shift) for task in tasks])


def _noted(task: Task, shift: float) -> dict[str, str | float | int | None]:
    return {
        "id": task.id,
        "status": task.status.value,
        "progress": task.progress,
        "queue_position": task.queue_position,
        "created_at": task.created_at,
        "started_at": task.started_at,
        "updated_at": task.updated_at,
        "polls": task.polls,
        "next_poll_at": task.next_at - shift,
        "next_poll_reason": legible(task.next_reason),
        "last_miss": legible(task.last_miss),
    }


def _prune(before_at: float, limit: int, connection: sqlite3.Connection) -> list[TaskId]:
    ids = [(TaskId(id_),) for (id_,) in connection.execute(_ENDED_BEFORE, (before_at, limit)).fetchall()]
    connection.executemany(_DELETE_CLAIMS, ids)
    connection.executemany(_DELETE_TASK, ids)
    return [id_ for (id_,) in ids]
