"""What follows an ending: billed results, outputs kept, pruning."""

import pytest

from daemon.core.observation import Output
from daemon.core.record import Claim


async def live_ids(store) -> set[str]:
    return {task.id async for chunk in store.watchlist.live(0.0, 1e12) for task in chunk}


async def test_a_billing_request_is_intended_once(store, a):
    record = a.newcomer()
    await store.watchlist.add([record])

    assert await store.watchlist.intend_result(record.id, a.NOW) is True
    assert await store.watchlist.intend_result(record.id, a.NOW) is False
    unseen = await store.watchlist.result(record.id)
    await store.watchlist.withdraw_result(record.id)

    assert unseen is not None
    assert unseen.stored_at is None
    assert await store.watchlist.result(record.id) is None
    assert await store.watchlist.intend_result(record.id, a.NOW) is True
    assert await store.watchlist.intend_result("tsk_unknown", a.NOW) is False


@pytest.mark.parametrize("stored_first", [True, False])
async def test_a_stored_result_gives_the_task_its_outputs_and_stays(store, a, stored_first):
    record = a.newcomer()
    await store.watchlist.add([record])
    paid = Output(url="https://x/paid.png", kind="image", needs_auth=True)
    steps = [
        store.watchlist.store_result(record.id, [paid], {"data": [1]}, a.NOW + 70),
        store.watchlist.finish(a.ending(record, outputs=(Output(url="https://x/other", kind="file"),))),
    ]
    await store.watchlist.intend_result(record.id, a.NOW)

    for step in steps if stored_first else reversed(steps):
        await step
    await store.watchlist.withdraw_result(record.id)

    ended, kept = await store.watchlist.record(record.id), await store.watchlist.result(record.id)
    assert ended is not None
    assert kept is not None
    assert ended.outputs == (paid,)
    assert (kept.outputs, kept.body, kept.intended_at, kept.stored_at) == ((paid,), {"data": [1]}, a.NOW, a.NOW + 70)


async def test_pruning_takes_old_ended_tasks_in_small_steps_and_their_claims(store, a):
    batch = [a.newcomer(f"job-{n}") for n in range(4)]
    claim = Claim(key="k", fingerprint="f")
    await store.watchlist.add(batch, claim)
    for record in batch[:3]:
        await store.watchlist.intend_result(record.id, a.NOW)
        await store.watchlist.finish(a.ending(record))

    gone = await store.watchlist.prune(a.NOW + 61, 2)
    gone += await store.watchlist.prune(a.NOW + 61, 2)

    assert sorted(gone) == sorted(one.id for one in batch[:3])
    assert await store.watchlist.prune(a.NOW + 61, 2) == []
    assert await live_ids(store) == {batch[3].id}
    assert await store.watchlist.claimed(claim) is None
    assert await store.watchlist.result(batch[0].id) is None
    assert len(await store.outbox.feed(0, 10)) == 3, "events have a retention of their own"
