"""What an endpoint is owed, moved and read in bounded steps on a real database, however much it is."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from daemon.core.delivery import Delivery, DeliveryState
from daemon.core.ids import delivery_id
from daemon.core.record import Owed, WindowQuery
from daemon.store.owing import owe, write_event

MANY = 20_000
EVERY = frozenset({DeliveryState.PARKED, DeliveryState.DEAD, DeliveryState.DELIVERED})


async def fill(store, a, count, *, endpoint="default", gap=1.0):
    """Owe *endpoint* one event *count* times, made *gap* seconds apart."""
    event = a.event()
    await store.database.change(lambda connection: write_event(connection, event))
    made = [
        (
            a.NOW + gap * n,
            Delivery(
                id=delivery_id(a.NOW + gap * n, (endpoint != "default") * MANY + n),
                event_id=event.id,
                endpoint=endpoint,
                url=None,
            ),
        )
        for n in range(count)
    ]
    for start in range(0, count, 5000):
        part = made[start : start + 5000]
        await store.database.change(partial(_owe_all, part))
    return [delivery.id for _, delivery in made]


def _owe_all(part, connection):
    for at, delivery in part:
        owe(connection, [Owed(delivery=delivery, due_at=at)], at)


async def test_parking_many_takes_many_short_transactions_and_loses_none(store, a, commits):
    ids = await fill(store, a, MANY)
    commits.clear()

    parked, back = [], []
    while moved := await store.outbox.park("default", "disabled", a.NOW, 1000):
        parked += moved
    while found := await store.outbox.unpark("default", a.NOW + 5, 1000):
        back += [delivery.id for delivery, _ in found]

    assert parked == back == ids
    assert len(commits) == 2 * (MANY // 1000 + 1)
    assert max(seconds for seconds, _ in commits) < 0.3


async def test_a_registration_does_not_wait_for_a_great_parking(store, a):
    await fill(store, a, MANY)
    took = []

    async def park():
        while await store.outbox.park("default", "disabled", a.NOW, 1000):
            pass

    parking = asyncio.create_task(park())
    while not parking.done():
        began = time.perf_counter()
        await store.watchlist.add([a.newcomer(f"job-{len(took)}")])
        took.append(time.perf_counter() - began)

    assert max(took) < 0.5


async def test_a_window_holds_what_was_made_in_it_in_the_wanted_states(store, a):
    ids = await fill(store, a, 100, gap=60.0)
    await fill(store, a, 100, endpoint="other", gap=60.0)
    await store.outbox.park("default", "for the test", a.NOW, 50)
    window = WindowQuery(endpoint="default", since=a.NOW + 600, until=a.NOW + 1200, states=EVERY, limit=4)

    first = await store.outbox.windowed(window)
    rest = await store.outbox.windowed(
        WindowQuery(endpoint="default", since=a.NOW + 600, until=a.NOW + 1200, states=EVERY, after=first[-1].id)
    )
    pending = await store.outbox.windowed(
        WindowQuery(endpoint="default", since=a.NOW + 2940, until=a.NOW + 3060, states=EVERY)
    )

    assert [record.id for record in (*first, *rest)] == ids[10:20]
    assert [record.id for record in pending] == ids[49:50]


async def test_owing_again_begins_at_the_first_try_from_any_state(store, a):
    ids = await fill(store, a, 3)
    ((one, _), *_) = [pair async for chunk in store.outbox.due(0.0) for pair in chunk]
    await store.outbox.settle(a.settled(one, "delivered"))
    await store.outbox.park("default", "for the test", a.NOW, 1)

    again = await store.outbox.owe_again([*ids, "dlv_nobody"], a.NOW + 99)

    assert [(delivery.id, delivery.tries) for delivery in again] == [(id_, 0) for id_ in ids]
    due = [at async for chunk in store.outbox.due(0.0) for _, at in chunk]
    assert due == [a.NOW + 99] * 3


async def test_a_probe_that_costs_no_try_is_logged_and_leaves_the_schedule_where_it_was(store, a):
    (id_,) = await fill(store, a, 1)
    ((one, _),) = [pair async for chunk in store.outbox.due(0.0) for pair in chunk]

    await store.outbox.settle(a.settled(one, "pending", counts=False))

    delivery, _ = await store.outbox.message(id_)
    assert (delivery.attempts, delivery.tries) == (1, 0)
