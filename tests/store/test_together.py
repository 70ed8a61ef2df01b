"""Attempts and events that one transaction takes together leave what they would have left one by one."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.delivery import DeliveryState
from daemon.store.bulk import execute_all
from daemon.store.migrate import migrations
from daemon.store.owing import publish_all
from daemon.store.settling import settle_all
from tests.store import conftest as a

STATES = tuple(DeliveryState)
TABLES = ("SELECT * FROM deliveries ORDER BY id", "SELECT * FROM attempts ORDER BY delivery_id, number")
tries = st.lists(
    st.tuples(st.integers(0, 14), st.sampled_from(STATES), st.booleans(), st.integers(1, 3)), min_size=1, max_size=40
)
stances = st.lists(st.sampled_from(STATES), min_size=12, max_size=12)


def fresh() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statements in migrations():
        connection.executescript(statements)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@given(stances, tries)
def test_attempts_recorded_together_leave_what_they_leave_one_by_one(states, told):
    event = a.event()
    owed = [a.owed(event, f"e{n}", state=state) for n, state in enumerate(states)]
    left = []
    for size in (len(told), 1):
        connection = fresh()
        publish_all([(event, owed)], connection)
        settled = []
        for number, (place, state, counts, attempt) in enumerate(told):
            # the last three stand for deliveries that are gone
            delivery = owed[place].delivery if place < len(owed) else replace(owed[0].delivery, id=f"dlv_gone{place}")
            one = a.settled(delivery, state, due_at=a.NOW + 60 + number, reason=f"r{number}", counts=counts)
            settled.append(replace(one, attempt=replace(one.attempt, number=attempt, started_at=a.NOW + number)))
        for first in range(0, len(settled), size):
            settle_all(settled[first : first + size], connection)
        left.append([connection.execute(query).fetchall() for query in TABLES])

    assert left[0] == left[1]
    assert left[0][1] or all(place >= len(owed) for place, *_ in told)


def test_events_published_together_stand_in_the_feed_in_their_order_each_with_what_it_is_owed():
    connection = fresh()
    told = [
        (event, [a.owed(event, f"e{n}") for n in range(number % 3)]) for number in range(257) for event in [a.event()]
    ]

    publish_all(told, connection)

    assert [row[0] for row in connection.execute("SELECT id FROM events ORDER BY seq")] == [
        event.id for event, _ in told
    ]
    owed = connection.execute("SELECT event_id, count(*) FROM deliveries GROUP BY event_id").fetchall()
    assert dict(owed) == {event.id: len(some) for event, some in told if some}


@given(st.lists(st.tuples(st.integers(), st.text()).map(lambda row: (row[0] % 2**31, row[1])), max_size=333))
def test_every_row_is_written_once_and_in_order(rows):
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (seq INTEGER PRIMARY KEY, a, b)")

    execute_all("INSERT INTO t (a, b) VALUES (?, ?)", rows, connection)

    assert connection.execute("SELECT a, b FROM t ORDER BY seq").fetchall() == rows
