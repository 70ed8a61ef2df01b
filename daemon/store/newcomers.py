"""Registrations on disk: which newcomer becomes a task, which is answered with one that is there already.

A pair (provider, remote id) that lives, or that ended by the provider's own word, is answered with its task; one that
we gave up (lost, timed out, stopped) may be watched anew.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from daemon.core.errors import KeyReused
from daemon.core.record import Added, Claim, TaskRecord
from daemon.store.bulk import execute_all
from daemon.store.rows import INSERT_TASK, SELECT_TASK, task_record, task_row

FEW = 2

_IS_LIVE = "status IN ('queued', 'running')"
_IS_TOLD = "status IN ('succeeded', 'failed', 'canceled', 'expired')"
_KNOWN = tuple(
    f"{SELECT_TASK} WHERE provider = ? AND remote_id = ? AND {state} ORDER BY seq DESC LIMIT 1"
    for state in (_IS_LIVE, _IS_TOLD)
)
_WHO_IS_KNOWN = f"""
SELECT pair.key
FROM json_each(?) AS pair
WHERE EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_one_live_of_a_pair
              WHERE provider = pair.value ->> 0 AND remote_id = pair.value ->> 1 AND {_IS_LIVE})
   OR EXISTS (SELECT 1 FROM tasks INDEXED BY tasks_told_of_a_pair
              WHERE provider = pair.value ->> 0 AND remote_id = pair.value ->> 1 AND {_IS_TOLD})
"""  # noqa: S608 (the states are constants)
"""Many pairs in one question, each looked up in the index that holds it."""

_FINGERPRINT = "SELECT fingerprint FROM claims WHERE key = ?"
_CLAIMED_TASKS = SELECT_TASK + "JOIN claim_tasks ON claim_tasks.task_id = tasks.id WHERE key = ? ORDER BY place"
_INSERT_CLAIM = "INSERT INTO claims (key, fingerprint) VALUES (?, ?)"
_INSERT_CLAIM_TASK = "INSERT INTO claim_tasks (key, place, task_id) VALUES (?, ?, ?)"


def add_all(parties: Sequence[Sequence[TaskRecord]], connection: sqlite3.Connection) -> list[list[Added]]:
    """Answer each newcomer of each party with a task, new or known, as if they had come one after the other."""
    newcomers = [newcomer for party in parties for newcomer in party]
    there = _known_of(newcomers, connection)
    fresh: list[TaskRecord] = []
    answers = [[_answer(newcomer, there, fresh) for newcomer in party] for party in parties]
    execute_all(INSERT_TASK, [task_row(record) for record in fresh], connection)
    return answers


def add_once(newcomers: Sequence[TaskRecord], claim: Claim, connection: sqlite3.Connection) -> list[Added]:
    """Answer each newcomer with a task and keep the *claim* to them; a known one answers those it was made for."""
    before = claimed(claim, connection)
    if before is not None:
        return before
    (answers,) = add_all([newcomers], connection)
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
    for question in _KNOWN:
        row = connection.execute(question, (provider, remote_id)).fetchone()
        if row is not None:
            return task_record(row)
    return None


def _known_of(newcomers: Sequence[TaskRecord], connection: sqlite3.Connection) -> dict[tuple[str, str], TaskRecord]:
    pairs = [(newcomer.provider, newcomer.remote_id) for newcomer in newcomers]
    found = pairs
    if len(pairs) > FEW:
        rows = connection.execute(_WHO_IS_KNOWN, (json.dumps(pairs),)).fetchall()
        found = [pairs[place] for (place,) in rows]
    there = {pair: known(*pair, connection) for pair in found}
    return {pair: record for pair, record in there.items() if record is not None}


def _answer(newcomer: TaskRecord, there: dict[tuple[str, str], TaskRecord], fresh: list[TaskRecord]) -> Added:
    record = there.setdefault((newcomer.provider, newcomer.remote_id), newcomer)
    if record is not newcomer:
        return Added(record=record, is_new=False)
    fresh.append(newcomer)
    return Added(record=newcomer, is_new=True)
