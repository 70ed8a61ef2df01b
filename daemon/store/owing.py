"""Events and deliveries as rows: what the watchlist's endings and the outbox both write."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from daemon.core.delivery import Delivery, DeliveryState, Refusal, Stages
from daemon.core.event import Event
from daemon.core.record import AttemptRecord, DeliveryRecord, FeedItem, Owed
from daemon.store.bulk import execute_all
from daemon.store.rows import Row, Value, legible

_INSERT_EVENT = "INSERT INTO events (id, type, task_id, created_at, body) VALUES (?, ?, ?, ?, ?)"

_INSERT_DELIVERY = """
INSERT INTO deliveries (id, event_id, endpoint, url, state, attempts, tries, due_at, reason, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

SELECT_DELIVERY = """
SELECT deliveries.id, event_id, events.type, events.task_id, endpoint, url, state, attempts, tries, due_at, reason,
       deliveries.created_at, updated_at
FROM deliveries JOIN events ON events.id = deliveries.event_id
"""

SELECT_ATTEMPTS = """
SELECT number, started_at, seconds, http_status, refusal, detail, address,
       due_at, dns, connect, tls, first_byte, keys, next_at, next_why, response
FROM attempts WHERE delivery_id = ? ORDER BY number
"""

SELECT_EVENT = "SELECT seq, id, type, task_id, created_at, body FROM events "


def write_event(connection: sqlite3.Connection, event: Event) -> None:
    """Insert *event*; its place in the feed is the next one."""
    connection.execute(_INSERT_EVENT, (event.id, event.type, event.task_id, event.created_at, event.body))


def owe(connection: sqlite3.Connection, owed: Sequence[Owed], at: float) -> None:
    """Insert deliveries made at *at*; only a pending one has a due time."""
    execute_all(_INSERT_DELIVERY, [_owed_row(one, at) for one in owed], connection)


def publish_all(told: Sequence[tuple[Event, Sequence[Owed]]], connection: sqlite3.Connection) -> list[None]:
    """Insert events in their order, each with the deliveries it is owed in, and return one None for each."""
    events = [(event.id, event.type, event.task_id, event.created_at, event.body) for event, _ in told]
    execute_all(_INSERT_EVENT, events, connection)
    rows = [_owed_row(one, event.created_at) for event, owed in told for one in owed]
    execute_all(_INSERT_DELIVERY, rows, connection)
    return [None] * len(told)


def delivery_record(row: Row) -> DeliveryRecord:
    """Return the record of a row of SELECT_DELIVERY."""
    (id_, event_id, event_type, task_id, endpoint, url, state, attempts, tries, due_at, reason, created_at,
     updated_at) = row  # fmt: skip
    return DeliveryRecord(
        id=id_,
        event_id=event_id,
        event_type=event_type,
        task_id=task_id,
        endpoint=endpoint,
        url=url,
        state=DeliveryState(state),
        attempts=attempts,
        tries=tries,
        due_at=due_at,
        reason=reason,
        created_at=created_at,
        updated_at=updated_at,
    )


def attempt_record(row: Row) -> AttemptRecord:
    """Return the record of a row of SELECT_ATTEMPTS."""
    (number, started_at, seconds, http_status, refusal, detail, address,
     due_at, dns, connect, tls, first_byte, keys, next_at, next_why, response) = row  # fmt: skip
    return AttemptRecord(
        number=number,
        started_at=started_at,
        seconds=seconds,
        http_status=http_status,
        refusal=None if refusal is None else Refusal(refusal),
        detail=detail,
        address=address,
        due_at=due_at,
        stages=Stages(dns=dns, connect=connect, tls=tls, first_byte=first_byte),
        keys=tuple(keys.split()),
        next_at=next_at,
        next_why=next_why,
        response=response,
    )


def feed_item(row: Row) -> FeedItem:
    """Return the item of a row of SELECT_EVENT."""
    seq, id_, type_, task_id, created_at, body = row
    return FeedItem(seq=seq, id=id_, type=type_, task_id=task_id, created_at=created_at, body=body)


def delivery_of(row: Row) -> Delivery:
    """Return the delivery of a row (id, event_id, endpoint, url, attempts, tries)."""
    id_, event_id, endpoint, url, attempts, tries = row
    return Delivery(id=id_, event_id=event_id, endpoint=endpoint, url=url, attempts=attempts, tries=tries)


def _owed_row(owed: Owed, at: float) -> tuple[Value, ...]:
    one = owed.delivery
    due_at = owed.due_at if owed.state is DeliveryState.PENDING else None
    reason = legible(owed.reason)
    return (
        one.id,
        one.event_id,
        one.endpoint,
        one.url,
        owed.state.value,
        one.attempts,
        one.tries,
        due_at,
        reason,
        at,
        at,
    )
