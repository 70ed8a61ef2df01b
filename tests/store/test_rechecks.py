"""What is owed to a task that timed out is written with its end, and settled by one late end."""

from __future__ import annotations

from dataclasses import replace

from daemon.core.late import LateEnd
from daemon.core.observation import Output, TaskError
from daemon.core.task import Status
from daemon.engine.ports import LateEnding
from daemon.store.store import open_store


async def timed_out(store, a):
    record = a.newcomer(recheck=True)
    await store.watchlist.add([record])
    await store.watchlist.finish(replace(a.ending(record, "timed_out"), recheck_until=a.NOW + 86400))
    return record


def late_ending(record, a) -> LateEnding:
    told = a.event("task.late", task_id=record.id)
    late = LateEnd(
        status=Status.FAILED,
        outputs=(Output(url="https://x/v.mp4", kind="video", expires_at=a.NOW + 9),),
        error=TaskError(code="1", message="half", kind="provider"),
        finished_at=a.NOW + 70,
        detected_at=a.NOW + 90,
        event_id=told.id,
    )
    return LateEnding(task_id=record.id, late=late, event=told, owed=(a.owed(told),))


async def owed(store):
    return [recheck async for chunk in store.rechecks.owed() for recheck in chunk]


async def test_a_recheck_is_owed_from_the_end_on_and_over_a_restart(store, a):
    record = await timed_out(store, a)
    path = store.path
    await store.close()

    again = await open_store(path)
    try:
        assert [(one.task_id, one.until_at) for one in await owed(again)] == [(record.id, a.NOW + 86400)]
        shown = await again.watchlist.record(record.id)
        assert (shown.recheck, shown.late) == (True, None)
    finally:
        await again.close()


async def test_a_late_end_is_one_transaction_and_comes_once(store, a):
    record = await timed_out(store, a)
    first, second = late_ending(record, a), late_ending(record, a)

    assert await store.rechecks.settle(first) is True
    assert await store.rechecks.settle(second) is False

    shown = await store.watchlist.record(record.id)
    assert shown.status is Status.TIMED_OUT
    assert shown.late == first.late
    assert [item.type for item in await store.outbox.feed(0, 10)] == ["task.timed_out", "task.late"]
    assert [one.id for one in await store.outbox.deliveries_of(first.event.id)] == [first.owed[0].delivery.id]
    assert await owed(store) == []


async def test_what_is_dropped_is_owed_no_more_and_cannot_be_told(store, a):
    record = await timed_out(store, a)

    await store.rechecks.drop(record.id)

    assert await owed(store) == []
    assert await store.rechecks.settle(late_ending(record, a)) is False
    assert len(await store.outbox.feed(0, 10)) == 1


async def test_a_late_end_that_was_seen_is_not_dropped_and_goes_with_its_task(store, a):
    record = await timed_out(store, a)
    await store.rechecks.settle(late_ending(record, a))

    await store.rechecks.drop(record.id)
    assert (await store.watchlist.record(record.id)).late is not None

    assert await store.watchlist.prune(a.NOW + 1000, 10) == [record.id]
    count = await store.database.read(lambda connection: connection.execute("SELECT count(*) FROM rechecks").fetchone())
    assert count == (0,)
