"""The law of the port Outbox, on a real file."""

from dataclasses import replace

import pytest

from daemon.core.delivery import Delivery, DeliveryState, Refusal
from daemon.core.record import DeliveryQuery


async def due(store, shift=0.0) -> list[tuple[Delivery, float]]:
    return [pair async for chunk in store.outbox.due(shift) for pair in chunk]


async def published(store, a, **changes) -> Delivery:
    told = a.event()
    one = a.owed(told, **changes)
    await store.outbox.publish(told, [one])
    return one.delivery


async def state_of(store, delivery: Delivery) -> DeliveryState:
    found = await store.outbox.delivery(delivery.id)
    assert found is not None
    return found[0].state


async def test_what_is_owed_is_due_earliest_first_in_monotonic_seconds(store, a):
    late = await published(store, a, due_at=a.NOW + 20)
    soon = await published(store, a, due_at=a.NOW + 10)
    await published(store, a, state=DeliveryState.PARKED, reason="disabled")

    assert await due(store, 100.0 - a.NOW) == [(soon, 110.0), (late, 120.0)]


async def test_thousands_of_equal_due_times_stream_each_delivery_once(store, a):
    told = a.event()
    many = [a.owed(told, f"e{n}") for n in range(4500)]
    await store.outbox.publish(told, many)

    ids = [delivery.id for delivery, _ in await due(store)]

    assert len(ids) == len(set(ids)) == 4500


async def test_a_message_is_its_delivery_and_its_exact_bytes_while_pending(store, a):
    body = b'{"type":"x","raw":"\xc3\xa9 \\u0000"}'
    told = a.event(body=body)
    one = a.owed(told)
    await store.outbox.publish(told, [one])

    assert await store.outbox.message(one.delivery.id) == (one.delivery, told)
    await store.outbox.settle(a.settled(one.delivery, "delivered"))
    assert await store.outbox.message(one.delivery.id) is None
    assert await store.outbox.message("dlv_unknown") is None


async def test_an_attempt_is_recorded_with_where_it_leaves_the_delivery(store, a):
    delivery = await published(store, a)
    refused = a.settled(delivery, "pending")
    refused = replace(
        refused, attempt=replace(refused.attempt, refusal=Refusal.HTTP, detail="500 \ud800"), reason="500"
    )

    await store.outbox.settle(refused)

    found = await store.outbox.delivery(delivery.id)
    assert found is not None
    record, attempts = found
    assert (record.state, record.attempts, record.tries, record.due_at, record.reason) == (
        "pending",
        1,
        1,
        a.NOW + 90,
        "500",
    )
    assert attempts == [replace(refused.attempt, detail="500 ?", due_at=a.NOW)]


@pytest.mark.parametrize("state", ["parked", "dead"])
async def test_a_late_success_counts_whatever_was_decided_meanwhile(store, a, state):
    delivery = await published(store, a)
    await store.outbox.settle(a.settled(delivery, state, reason="given up"))

    await store.outbox.settle(a.settled(delivery, "delivered"))

    found = await store.outbox.delivery(delivery.id)
    assert found is not None
    assert (found[0].state, found[0].attempts, [one.number for one in found[1]]) == ("delivered", 2, [1, 2])


@pytest.mark.parametrize("state", ["parked", "dead", "delivered"])
async def test_a_late_refusal_is_recorded_but_moves_nothing(store, a, state):
    delivery = await published(store, a)
    await store.outbox.settle(a.settled(delivery, state))

    await store.outbox.settle(a.settled(delivery, "pending"))

    found = await store.outbox.delivery(delivery.id)
    assert found is not None
    assert (found[0].state, found[0].due_at, len(found[1])) == (state, None, 2)
    assert await due(store) == []


async def test_settling_a_delivery_that_is_gone_does_nothing(store, a):
    delivery = a.owed(a.event()).delivery

    await store.outbox.settle(a.settled(delivery, "delivered"))

    assert await store.outbox.delivery(delivery.id) is None


async def test_parked_deliveries_come_back_oldest_first_and_only_those_of_the_endpoint(store, a):
    mine = sorted([(await published(store, a, due_at=a.NOW + n)).id for n in (3, 1, 2)])
    other = a.event()
    await store.outbox.publish(other, [a.owed(other, "elsewhere")])

    parked = await store.outbox.park("default", "disabled", a.NOW + 5, 1000)
    waiting = await due(store)
    back = await store.outbox.unpark("default", a.NOW + 9, 1000)

    assert parked == mine
    assert [delivery.endpoint for delivery, _ in waiting] == ["elsewhere"]
    assert [(delivery.id, at) for delivery, at in back] == [(id_, a.NOW + 9) for id_ in mine]
    assert len(await due(store)) == 4
    assert await store.outbox.unpark("default", a.NOW + 9, 1000) == []


async def test_redelivery_owes_again_from_the_first_try(store, a):
    delivery = await published(store, a)
    await store.outbox.settle(a.settled(delivery, "dead", reason="exhausted"))
    spare = a.owed(a.event())

    again = await store.outbox.redeliver(delivery.event_id, [spare], a.NOW + 100)

    assert again is not None
    assert [(one.id, one.state, one.tries, one.attempts, one.due_at, one.reason) for one in again] == [
        (delivery.id, "pending", 0, 1, a.NOW + 100, None)
    ]
    assert await store.outbox.redeliver("msg_unknown", [], a.NOW) is None


async def test_a_delivery_sent_anew_while_its_last_try_is_out_does_not_die_of_that_one(store, a):
    delivery = await published(store, a)
    for tries in range(3):
        out = replace(delivery, attempts=tries, tries=tries)
        await store.outbox.settle(a.settled(out, "pending", due_at=a.NOW + 1))
    last = replace(delivery, attempts=3, tries=3)
    await store.outbox.redeliver(delivery.event_id, [], a.NOW + 100)

    await store.outbox.settle(a.settled(last, "dead", reason="exhausted"))

    (again,) = await store.outbox.deliveries_of(delivery.event_id)
    assert (again.state, again.attempts) == ("pending", 4)


async def test_redelivery_of_an_event_owed_to_nobody_uses_what_is_handed_in(store, a):
    told = a.event()
    await store.outbox.publish(told, [])
    one = a.owed(told)

    again = await store.outbox.redeliver(told.id, [one], a.NOW)

    assert again is not None
    assert [record.id for record in again] == [one.delivery.id]


async def test_the_feed_has_no_gaps_even_where_a_change_fails(store, a):
    told = [a.event() for _ in range(5)]
    for one in told:
        await store.outbox.publish(one, [])
        with pytest.raises(Exception, match="UNIQUE"):
            await store.outbox.publish(one, [])

    feed = await store.outbox.feed(0, 10)

    assert [item.seq for item in feed] == [1, 2, 3, 4, 5]
    assert [item.id for item in await store.outbox.feed(3, 1)] == [told[3].id]
    assert await store.outbox.seq_of(told[4].id) == 5
    assert await store.outbox.seq_of("msg_unknown") is None
    assert (await store.outbox.event(told[0].id)) == feed[0]
    assert await store.outbox.event("msg_unknown") is None


async def test_pages_and_counts_tell_deliveries_apart_by_state_and_endpoint(store, a):
    told = a.event("x", task_id="tsk_1")
    many = [a.owed(told, "a" if n % 2 else "b") for n in range(8)]
    await store.outbox.publish(told, many)
    await store.outbox.settle(a.settled(many[0].delivery, "delivered"))
    await store.outbox.settle(a.settled(many[1].delivery, "dead"))
    newest = sorted((one.delivery.id for one in many), reverse=True)

    first = await store.outbox.page(DeliveryQuery(limit=3))
    rest = await store.outbox.page(DeliveryQuery(before=first[-1].id))

    assert [one.id for one in first + rest] == newest
    assert {(one.event_type, one.task_id) for one in first} == {("x", "tsk_1")}
    (dead,) = await store.outbox.page(DeliveryQuery(state=DeliveryState.DEAD, endpoint="a"))
    assert dead.id == many[1].delivery.id
    assert await store.outbox.page(DeliveryQuery(state=DeliveryState.DELIVERED, endpoint="a")) == []
    assert await store.outbox.counts() == {("a", "pending"): 3, ("a", "dead"): 1, ("b", "pending"): 3}


async def test_pruning_keeps_what_is_still_owed_and_never_reuses_a_place_in_the_feed(store, a):
    done, owing = await published(store, a), await published(store, a)
    parked = await published(store, a, state=DeliveryState.PARKED)
    await store.outbox.settle(a.settled(done, "delivered"))
    await store.outbox.settle(a.settled(owing, "pending"))

    assert await store.outbox.prune(a.NOW + 1, a.NOW, 10) == 1

    assert await store.outbox.delivery(done.id) is None
    assert await state_of(store, owing) is DeliveryState.PENDING
    assert await state_of(store, parked) is DeliveryState.PARKED
    assert await store.outbox.prune(a.NOW, a.NOW + 62, 10) == 1
    await store.outbox.settle(a.settled(owing, "delivered"))
    found = await store.outbox.delivery(owing.id)
    assert found is not None
    assert [one.number for one in found[1]] == [2]
    await store.outbox.settle(a.settled(parked, "delivered"))
    await store.outbox.prune(a.NOW + 1, a.NOW, 10)
    assert await store.outbox.feed(0, 10) == []
    await published(store, a)
    assert [item.seq for item in await store.outbox.feed(0, 10)] == [4]
