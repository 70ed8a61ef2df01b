"""What moves a delivery from one state to another, each as one change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from daemon.core.delivery import Delivery, DeliveryState
from daemon.core.ids import DeliveryId, EventId
from daemon.core.record import AttemptRecord, DeliveryRecord, Owed
from daemon.engine.ports import Settled
from daemon.store.bulk import execute_all
from daemon.store.owing import SELECT_DELIVERY, delivery_of, delivery_record, owe
from daemon.store.rows import Value, legible

_COUNT_ATTEMPT = """
UPDATE deliveries
SET attempts = max(attempts + 1, :number), tries = tries + :counts, updated_at = :at
WHERE id = :id
"""

_BEFORE = "SELECT id, state, attempts, due_at FROM deliveries WHERE id IN (SELECT value FROM json_each(?))"

_INSERT_ATTEMPT = """
INSERT INTO attempts (delivery_id, number, started_at, seconds, http_status, refusal, detail, address, due_at,
  dns, connect, tls, first_byte, keys, next_at, next_why, response)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_SETTLE = """
UPDATE deliveries
SET state = :state, due_at = :due_at, reason = :reason
WHERE id = :id AND state = 'pending' AND (:state <> 'dead' OR tries = :tries)
"""
"""A delivery sent anew while its last try was out has fewer tries, and does not die of that one."""

_SUCCEED = """
WITH told (id, number, counts, at, reason) AS (VALUES (?, ?, ?, ?, ?))
UPDATE deliveries
SET state = 'delivered', due_at = NULL, reason = told.reason,
    attempts = max(attempts + 1, told.number), tries = tries + told.counts, updated_at = told.at
FROM told
WHERE deliveries.id = told.id AND +state IN ('pending', 'parked', 'dead')
"""
"""With the plus the planner goes by the id, not by the index on state and id."""

_DELIVERIES_OF = SELECT_DELIVERY + "WHERE event_id = ? ORDER BY deliveries.id"

_REDELIVER = """
UPDATE deliveries
SET state = 'pending', due_at = :at, tries = 0, reason = NULL, updated_at = :at
WHERE event_id = :event_id AND state IN ('pending', 'delivered', 'parked', 'dead')
"""

_PARK = """
UPDATE deliveries
SET state = 'parked', due_at = NULL, reason = ?, updated_at = ?
WHERE id = ? AND state = 'pending'
"""

_UNPARK = """
UPDATE deliveries
SET state = 'pending', due_at = ?, reason = NULL, updated_at = ?
WHERE id = ? AND state = 'parked'
"""

_OF_ENDPOINT = """
SELECT id, event_id, endpoint, url, attempts, tries
FROM deliveries INDEXED BY deliveries_undelivered
WHERE endpoint = ? AND state = ? AND state IN ('pending', 'parked', 'dead')
ORDER BY id
LIMIT ?
"""

_OWE_AGAIN = """
UPDATE deliveries
SET state = 'pending', due_at = :at, tries = 0, reason = NULL, updated_at = :at
WHERE id = :id AND state IN ('pending', 'delivered', 'parked', 'dead')
RETURNING id, event_id, endpoint, url, attempts, tries
"""

_PRUNE_ATTEMPTS = """
DELETE FROM attempts WHERE (delivery_id, number) IN (
  SELECT delivery_id, number FROM attempts WHERE started_at < ? ORDER BY started_at LIMIT ?)
"""

_PRUNE_EVENTS = """
DELETE FROM events WHERE seq IN (
  SELECT seq FROM events
  WHERE created_at < ? AND NOT EXISTS (
    SELECT 1 FROM deliveries WHERE deliveries.event_id = events.id AND state IN ('pending', 'parked'))
  ORDER BY created_at LIMIT ?)
"""


def settle_all(many: Sequence[Settled], connection: sqlite3.Connection) -> list[None]:
    """Record each attempt, whatever became of its delivery meanwhile, and move the delivery where it may move.

    Returns one None for each.
    """
    ids = [settled.delivery.id for settled in many]
    if len(set(ids)) < len(ids):  # two tries of one delivery: the later one builds on what the earlier one left
        for settled in many:
            settle_all([settled], connection)
        return [None] * len(many)
    found = connection.execute(_BEFORE, (json.dumps(ids),)).fetchall()
    before = {id_: (state, attempts, due_at) for id_, state, attempts, due_at in found}
    known = [(settled, *before[settled.delivery.id]) for settled in many if settled.delivery.id in before]
    attempts = [
        (one.delivery.id, max(tried + 1, one.attempt.number), *_told(one.attempt, due_at))
        for one, _, tried, due_at in known
    ]
    execute_all(_INSERT_ATTEMPT, attempts, connection)
    succeeded = [
        (one.delivery.id, one.attempt.number, one.counts, _ended_at(one), one.reason)
        for one, state, *_ in known
        if one.state is DeliveryState.DELIVERED and state != DeliveryState.DELIVERED
    ]
    execute_all(_SUCCEED, succeeded, connection)
    for one, state, *_ in known:
        if one.state is not DeliveryState.DELIVERED or state == DeliveryState.DELIVERED:
            _leave(one, connection)
    return [None] * len(many)


def _leave(settled: Settled, connection: sqlite3.Connection) -> None:
    """Count the attempt of one that did not succeed, or had before, and leave the delivery as *settled* says."""
    attempt, id_ = settled.attempt, settled.delivery.id
    counted = {"id": id_, "number": attempt.number, "at": _ended_at(settled), "counts": settled.counts}
    connection.execute(_COUNT_ATTEMPT, counted)
    if settled.state is DeliveryState.DELIVERED:
        return
    due_at = settled.due_at if settled.state is DeliveryState.PENDING else None
    left = {"id": id_, "state": settled.state.value, "due_at": due_at, "reason": legible(settled.reason)}
    connection.execute(_SETTLE, left | {"tries": settled.delivery.tries + settled.counts})


def _ended_at(settled: Settled) -> float:
    return settled.attempt.started_at + settled.attempt.seconds


def _told(attempt: AttemptRecord, due_at: float | None) -> tuple[Value, ...]:
    stages = attempt.stages
    return (
        attempt.started_at,
        attempt.seconds,
        attempt.http_status,
        attempt.refusal,
        legible(attempt.detail),
        attempt.address,
        due_at,
        stages.dns,
        stages.connect,
        stages.tls,
        stages.first_byte,
        " ".join(attempt.keys),
        attempt.next_at,
        legible(attempt.next_why),
        legible(attempt.response),
    )


def redeliver(
    event_id: EventId, owed: Sequence[Owed], at: float, connection: sqlite3.Connection
) -> list[DeliveryRecord] | None:
    """Make the deliveries of an event pending and due at *at*; insert *owed* where it has none."""
    if connection.execute("SELECT 1 FROM events WHERE id = ?", (event_id,)).fetchone() is None:
        return None
    if connection.execute(_REDELIVER, {"event_id": event_id, "at": at}).rowcount == 0:
        owe(connection, owed, at)
    return deliveries_of(event_id, connection)


def deliveries_of(event_id: EventId, connection: sqlite3.Connection) -> list[DeliveryRecord]:
    """Return the deliveries of one event, oldest first."""
    return [delivery_record(row) for row in connection.execute(_DELIVERIES_OF, (event_id,)).fetchall()]


def park(endpoint: str, reason: str, at: float, limit: int, connection: sqlite3.Connection) -> list[DeliveryId]:
    """Park the oldest *limit* of what is pending at *endpoint*; return which, oldest first."""
    moved = _of_endpoint(endpoint, DeliveryState.PENDING, limit, connection)
    connection.executemany(_PARK, [(legible(reason), at, delivery.id) for delivery in moved])
    return [delivery.id for delivery in moved]


def unpark(endpoint: str, at: float, limit: int, connection: sqlite3.Connection) -> list[tuple[Delivery, float]]:
    """Make the oldest *limit* of what is parked at *endpoint* pending and due at *at*; return it oldest first."""
    moved = _of_endpoint(endpoint, DeliveryState.PARKED, limit, connection)
    connection.executemany(_UNPARK, [(at, at, delivery.id) for delivery in moved])
    return [(delivery, at) for delivery in moved]


def owe_again(delivery_ids: Sequence[DeliveryId], at: float, connection: sqlite3.Connection) -> list[Delivery]:
    """Make these deliveries pending and due at *at*, from the first try."""
    rows = [connection.execute(_OWE_AGAIN, {"id": id_, "at": at}).fetchone() for id_ in delivery_ids]
    return [delivery_of(row) for row in rows if row is not None]


def prune(events_before_at: float, attempts_before_at: float, limit: int, connection: sqlite3.Connection) -> int:
    """Delete at most *limit* old attempts and *limit* old events of which nothing is pending or parked."""
    attempts = connection.execute(_PRUNE_ATTEMPTS, (attempts_before_at, limit)).rowcount
    events = connection.execute(_PRUNE_EVENTS, (events_before_at, limit)).rowcount
    return attempts + events


def _of_endpoint(endpoint: str, state: DeliveryState, limit: int, connection: sqlite3.Connection) -> list[Delivery]:
    return [delivery_of(row) for row in connection.execute(_OF_ENDPOINT, (endpoint, state.value, limit)).fetchall()]
