"""Registrations on disk: which newcomer becomes a task, which is answered with one that is there already.

A pair (provider, remote id) that lives, or that ended by the provider's own word, is answered with its task; one that
we gave up (lost, timed out, stopped) may be watched anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from daemon.core.errors import KeyReused
from daemon.core.record import Added, Claim, TaskRecord
from daemon.store.rows import INSERT_TASK, SELECT_TASK, task_record, task_row

_KNOWN = (
    SELECT_TASK
    + """
WHERE provider = ? AND remote_id = ?
  AND status IN ('queued', 'running', 'succeeded', 'failed', 'canceled', 'expired')
ORDER BY status IN ('queued', 'running') DESC, seq DESC
LIMIT 1
"""
)

_FINGERPRINT = "SELECT fingerprint FROM claims WHERE key = ?"
_CLAIMED_TASKS = SELECT_TASK + "JOIN claim_tasks ON claim_tasks.task_id = tasks.id WHERE key = ? ORDER BY place"
_INSERT_CLAIM = "INSERT INTO claims (key, fingerprint) VALUES (?, ?)"
_INSERT_CLAIM_TASK = "INSERT INTO claim_tasks (key, place, task_id) VALUES (?, ?, ?)"


def add(newcomers: Sequence[TaskRecord], claim: Claim | None, connection: sqlite3.Connection) -> list[Added]:
    """Answer each newcomer with a task, new or known; a known *claim* answers the tasks it was made for."""
    before = None if claim is None else claimed(claim, connection)
    if before is not None:
        return before
    answers = [_added(newcomer, connection) for newcomer in newcomers]
    if claim is not None:
        connection.execute(_INSERT_CLAIM, (claim.key, claim.fingerprint))
        places = [(claim.key, place, answer.record.id) for place, answer in enumerate(answers)]
        connection.executemany(_INSERT_CLAIM_TASK, places)
    return answers


def claimed(claim: Claim, connection: sqlite3.Connection) -> list[Added] | None:
    """Return the tasks of *claim* in order, None for an unknown key; raise KeyReused for another fingerprint."""
    found = connection.execute(_FINGERPRINT, (claim.key,)).fetchone()
    if found is None:
        return None
    if found[0] != claim.fingerprint:
        raise KeyReused("this Idempotency-Key came before with another body; use a new key for a new request")
    rows = connection.execute(_CLAIMED_TASKS, (claim.key,)).fetchall()
    return [Added(record=task_record(row), is_new=False) for row in rows]


def known(provider: str, remote_id: str, connection: sqlite3.Connection) -> TaskRecord | None:
    """Return the task that a registration of this pair is answered with, if there is one."""
    row = connection.execute(_KNOWN, (provider, remote_id)).fetchone()
    return None if row is None else task_record(row)


def _added(newcomer: TaskRecord, connection: sqlite3.Connection) -> Added:
    there = known(newcomer.provider, newcomer.remote_id, connection)
    if there is not None:
        return Added(record=there, is_new=False)
    connection.execute(INSERT_TASK, task_row(newcomer))
    return Added(record=newcomer, is_new=True)
