"""The outbox on disk: events in the order of their commits, what is owed of each, and every attempt.

The planner uses a partial index only where a query repeats its condition, which is why some seem to say a thing twice.
A delivery leaves ``pending`` only under ``WHERE state = 'pending'``; a success counts from any state, because the
endpoint has the event whatever we decided meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from functools import partial

from daemon.core.delivery import Delivery, DeliveryState
from daemon.core.event import Event
from daemon.core.ids import DeliveryId, EventId
from daemon.core.record import AttemptRecord, DeliveryQuery, DeliveryRecord, FeedItem, Owed, WindowQuery
from daemon.engine.ports import Settled
from daemon.store import settling
from daemon.store.database import Database
from daemon.store.owing import (
    SELECT_ATTEMPTS,
    SELECT_DELIVERY,
    SELECT_EVENT,
    attempt_record,
    delivery_of,
    delivery_record,
    feed_item,
    publish_all,
)
from daemon.store.windows import windowed

CHUNK_ROWS = 2_000
_UNDELIVERED = frozenset({DeliveryState.PENDING, DeliveryState.PARKED, DeliveryState.DEAD})

_DUE = """
SELECT id, event_id, endpoint, url, attempts, tries, due_at
FROM deliveries INDEXED BY deliveries_due
WHERE state = 'pending' AND (due_at, id) > (?, ?)
ORDER BY due_at, id
LIMIT ?
"""

_MESSAGE = """
SELECT deliveries.id, event_id, endpoint, url, attempts, tries,
       events.id, events.type, events.task_id, events.created_at, events.body
FROM deliveries JOIN events ON events.id = deliveries.event_id
WHERE deliveries.id = ? AND state = 'pending'
"""

_COUNTS = """
SELECT endpoint, state, count(*)
FROM deliveries INDEXED BY deliveries_undelivered
WHERE state IN ('pending', 'parked', 'dead')
GROUP BY endpoint, state
"""


class SqliteOutbox:
    """The port ``Outbox`` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, shift: float) -> AsyncIterator[list[tuple[Delivery, float]]]:
        """Stream the pending deliveries, earliest first, 2,000 at a time."""
        after = (float("-inf"), "")
        while True:
            after, chunk = await self._database.read(partial(_due_chunk, after, shift))
            if not chunk:
                return
            yield chunk

    async def message(self, delivery_id: DeliveryId) -> tuple[Delivery, Event] | None:
        """Return a pending delivery and its event."""
        return await self._database.read(partial(_message, delivery_id))

    async def settle(self, settled: Settled) -> None:
        """Record an attempt and where it leaves the delivery."""
        await self._database.change_together(settling.settle_all, settled)

    async def publish(self, event: Event, owed: Sequence[Owed]) -> None:
        """Commit an event that belongs to no ending."""
        await self._database.change_together(publish_all, (event, owed))

    async def redeliver(self, event_id: EventId, owed: Sequence[Owed], at: float) -> list[DeliveryRecord] | None:
        """Owe an event again, from the first try."""
        return await self._database.change(partial(settling.redeliver, event_id, owed, at))

    async def park(self, endpoint: str, reason: str, at: float, limit: int) -> list[DeliveryId]:
        """Park the oldest pending deliveries of *endpoint*."""
        return await self._database.change(partial(settling.park, endpoint, reason, at, limit), weight=limit)

    async def unpark(self, endpoint: str, at: float, limit: int) -> list[tuple[Delivery, float]]:
        """Make the oldest parked deliveries of *endpoint* due at *at*."""
        return await self._database.change(partial(settling.unpark, endpoint, at, limit), weight=limit)

    async def windowed(self, query: WindowQuery) -> list[DeliveryRecord]:
        """Return the deliveries of an endpoint that were made in a window."""
        return await self._database.read(partial(windowed, query))

    async def owe_again(self, delivery_ids: Sequence[DeliveryId], at: float) -> list[Delivery]:
        """Make these deliveries due at *at*, from the first try."""
        weight = max(1, len(delivery_ids))
        return await self._database.change(partial(settling.owe_again, delivery_ids, at), weight=weight)

    async def feed(self, after: int, limit: int) -> list[FeedItem]:
        """Return the events after place *after*."""
        return await self._database.read(partial(_feed, after, limit))

    async def seq_of(self, event_id: EventId) -> int | None:
        """Return the place of an event in the feed."""
        return await self._database.read(partial(_seq_of, event_id))

    async def event(self, event_id: EventId) -> FeedItem | None:
        """Return one event."""
        return await self._database.read(partial(_event, event_id))

    async def deliveries_of(self, event_id: EventId) -> list[DeliveryRecord]:
        """Return the deliveries of one event, oldest first."""
        return await self._database.read(partial(settling.deliveries_of, event_id))

    async def page(self, query: DeliveryQuery) -> list[DeliveryRecord]:
        """Return deliveries newest first."""
        return await self._database.read(partial(_page, query))

    async def delivery(self, delivery_id: DeliveryId) -> tuple[DeliveryRecord, list[AttemptRecord]] | None:
        """Return one delivery with its attempts."""
        return await self._database.read(partial(_delivery, delivery_id))

    async def counts(self) -> dict[tuple[str, DeliveryState], int]:
        """Return how many deliveries wait, are parked or are dead, by endpoint."""
        return await self._database.read(_counts)

    async def prune(self, events_before_at: float, attempts_before_at: float, limit: int) -> int:
        """Delete a few old attempts and events; return how many rows went."""
        return await self._database.change(
            partial(settling.prune, events_before_at, attempts_before_at, limit), weight=limit
        )


def _due_chunk(
    after: tuple[float, str], shift: float, connection: sqlite3.Connection
) -> tuple[tuple[float, str], list[tuple[Delivery, float]]]:
    rows = connection.execute(_DUE, (*after, CHUNK_ROWS)).fetchall()
    if not rows:
        return after, []
    return (rows[-1][6], rows[-1][0]), [(delivery_of(row[:6]), row[6] + shift) for row in rows]


def _message(delivery_id: DeliveryId, connection: sqlite3.Connection) -> tuple[Delivery, Event] | None:
    row = connection.execute(_MESSAGE, (delivery_id,)).fetchone()
    if row is None:
        return None
    id_, type_, task_id, created_at, body = row[6:]
    return delivery_of(row[:6]), Event(id=id_, type=type_, task_id=task_id, created_at=created_at, body=body)


def _feed(after: int, limit: int, connection: sqlite3.Connection) -> list[FeedItem]:
    rows = connection.execute(SELECT_EVENT + "WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)).fetchall()
    return [feed_item(row) for row in rows]


def _seq_of(event_id: EventId, connection: sqlite3.Connection) -> int | None:
    row = connection.execute("SELECT seq FROM events WHERE id = ?", (event_id,)).fetchone()
    return None if row is None else int(row[0])


def _event(event_id: EventId, connection: sqlite3.Connection) -> FeedItem | None:
    row = connection.execute(SELECT_EVENT + "WHERE id = ?", (event_id,)).fetchone()
    return None if row is None else feed_item(row)


def _page(query: DeliveryQuery, connection: sqlite3.Connection) -> list[DeliveryRecord]:
    wanted = {"state = ?": query.state, "endpoint = ?": query.endpoint, "deliveries.id < ?": query.before}
    asked = {clause: value for clause, value in wanted.items() if value is not None}
    clauses = list(asked)
    if query.endpoint is not None and query.state in _UNDELIVERED:
        clauses.append("state IN ('pending', 'parked', 'dead')")
    where = "WHERE " + " AND ".join(clauses) if clauses else ""
    order = " ORDER BY deliveries.id DESC LIMIT ?"
    rows = connection.execute(SELECT_DELIVERY + where + order, (*asked.values(), query.limit)).fetchall()
    return [delivery_record(row) for row in rows]


def _delivery(
    delivery_id: DeliveryId, connection: sqlite3.Connection
) -> tuple[DeliveryRecord, list[AttemptRecord]] | None:
    row = connection.execute(SELECT_DELIVERY + "WHERE deliveries.id = ?", (delivery_id,)).fetchone()
    if row is None:
        return None
    attempts = connection.execute(SELECT_ATTEMPTS, (delivery_id,)).fetchall()
    return delivery_record(row), [attempt_record(attempt) for attempt in attempts]


def _counts(connection: sqlite3.Connection) -> dict[tuple[str, DeliveryState], int]:
    rows = connection.execute(_COUNTS).fetchall()
    return {(endpoint, DeliveryState(state)): count for endpoint, state, count in rows}
