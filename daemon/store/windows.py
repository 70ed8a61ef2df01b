"""Windows of time over what an endpoint was owed, read by the ids, which sort by the time they were made."""

from __future__ import annotations

import json
import sqlite3

from daemon.core.ids import delivery_id
from daemon.core.record import DeliveryRecord, WindowQuery
from daemon.store.owing import SELECT_DELIVERY, delivery_record

SLACK = 3600.0
"""Seconds by which an id's time may differ from its record's: the window's ends are read this much wider, then held
against the record."""

_WINDOW = (
    SELECT_DELIVERY  # noqa: S608 (the first part is a constant)
    + """
WHERE endpoint = :endpoint AND deliveries.id > :after AND deliveries.id < :before
  AND deliveries.created_at >= :since AND deliveries.created_at < :until
  AND state IN (SELECT value FROM json_each(:states))
ORDER BY deliveries.id
LIMIT :limit
"""
)


def windowed(query: WindowQuery, connection: sqlite3.Connection) -> list[DeliveryRecord]:
    """Return the deliveries that *query* asks for, oldest first."""
    asked = {
        "endpoint": query.endpoint,
        "after": query.after or delivery_id(max(0.0, query.since - SLACK), 0),
        "before": delivery_id(query.until + SLACK, 0),
        "since": query.since,
        "until": query.until,
        "states": json.dumps(sorted(query.states)),
        "limit": query.limit,
    }
    return [delivery_record(row) for row in connection.execute(_WINDOW, asked).fetchall()]
