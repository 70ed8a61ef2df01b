"""The law of the port Watchlist, on a real file."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.errors import KeyReused
from daemon.core.observation import Inline, Output, TaskError
from daemon.core.record import Claim, TaskQuery, ToUrl
from daemon.core.task import Status, Wish
from daemon.store.store import open_store


async def live_ids(store) -> set[str]:
    return {task.id async for chunk in store.watchlist.live(0.0, 1e12) for task in chunk}


async def test_a_registration_comes_back_as_it_was_made(store, a):
    record = a.newcomer(
        "jób/==\u2028",
        status_url="https://api.example.com/x",
        fetch_result=False,
        wishes=frozenset({Wish.PROGRESS, Wish.RUNNING}),
        metadata={"order": 17, "odd": "\ud800 and \x00", "deep": [{"x": None}]},
        target=ToUrl(url="https://app.example.com/hook"),
        next_poll_at=a.NOW + 9,
        next_poll_reason="first poll",
    )

    added = await store.watchlist.add([record])

    assert [(one.record, one.is_new) for one in added] == [(record, True)]
    assert await store.watchlist.record(record.id) == record
    assert await store.watchlist.record("tsk_unknown") is None


async def test_a_pair_that_lives_is_answered_with_its_task(store, a):
    first, again = a.newcomer(), a.newcomer()
    await store.watchlist.add([first])

    (answer,) = await store.watchlist.add([again])

    assert (answer.record, answer.is_new) == (first, False)
    assert await store.watchlist.record(again.id) is None
    assert (await store.watchlist.find("amux", "job-1")) == first


@pytest.mark.parametrize(
    ("outcome", "is_new"),
    [
        ("succeeded", False),
        ("failed", False),
        ("canceled", False),
        ("expired", False),
        ("lost", True),
        ("timed_out", True),
    ],
)
async def test_only_an_end_by_the_providers_own_word_answers_a_later_registration(store, a, outcome, is_new):
    first = a.newcomer()
    await store.watchlist.add([first])
    await store.watchlist.finish(a.ending(first, outcome))

    (answer,) = await store.watchlist.add([a.newcomer()])

    assert answer.is_new is is_new
    assert (answer.record.id == first.id) is not is_new
    found = await store.watchlist.find("amux", "job-1")
    assert found is not None
    assert found.id == answer.record.id


async def test_a_stopped_pair_may_be_watched_anew(store, a):
    first, second = a.newcomer(), a.newcomer()
    await store.watchlist.add([first])
    stopped = await store.watchlist.stop(first.id, a.NOW + 5)

    (answer,) = await store.watchlist.add([second])

    assert stopped is not None
    assert (stopped.status, stopped.ended_at) == (Status.STOPPED, a.NOW + 5)
    assert answer.is_new
    assert await store.watchlist.stop(first.id, a.NOW + 6) is None
    assert await live_ids(store) == {second.id}


async def test_doubles_inside_one_batch_answer_the_same_task(store, a):
    batch = [a.newcomer("x"), a.newcomer("y"), a.newcomer("x")]

    answers = await store.watchlist.add(batch)

    assert [one.is_new for one in answers] == [True, True, False]
    assert answers[2].record.id == batch[0].id


async def test_a_claim_answers_the_tasks_it_was_made_for(store, a):
    claim = Claim(key="k", fingerprint="f1")
    batch = [a.newcomer(f"job-{n}") for n in range(5)]
    assert await store.watchlist.claimed(claim) is None
    await store.watchlist.add(batch, claim)

    again = await store.watchlist.add([a.newcomer("other")], claim)

    assert [one.record.id for one in again] == [one.id for one in batch]
    assert not any(one.is_new for one in again)
    assert await store.watchlist.claimed(claim) == again
    assert await store.watchlist.find("amux", "other") is None


async def test_a_claim_with_another_fingerprint_is_refused_and_nothing_is_written(store, a):
    await store.watchlist.add([a.newcomer()], Claim(key="k", fingerprint="f1"))
    other = Claim(key="k", fingerprint="f2")

    with pytest.raises(KeyReused, match="new key"):
        await store.watchlist.add([a.newcomer("job-2")], other)

    with pytest.raises(KeyReused):
        await store.watchlist.claimed(other)
    assert await store.watchlist.find("amux", "job-2") is None


async def test_an_ending_is_one_transaction_of_task_event_and_deliveries(store, a):
    record = a.newcomer()
    await store.watchlist.add([record])
    output = Output(
        url="https://x/v.mp4", kind="video", expires_at=a.NOW + 9, inline=Inline(content=b"x", content_type="video/mp4")
    )
    error = TaskError(code="1", message="half", kind="provider")
    done = a.ending(record, outputs=(output,), error=error, started_at=a.NOW + 3, finished_at=a.NOW + 50)

    assert await store.watchlist.finish(done) is True

    ended = await store.watchlist.record(record.id)
    assert ended is not None
    assert (ended.status, ended.ended_at, ended.event_id) == (Status.SUCCEEDED, a.NOW + 60, done.event.id)
    assert (ended.outputs, ended.error) == ((replace(output, inline=None),), error)
    assert (ended.started_at, ended.finished_at, ended.polls) == (a.NOW + 3, a.NOW + 50, 3)
    assert ended.next_poll_at is None
    (item,) = await store.outbox.feed(0, 10)
    assert (item.id, item.body, item.task_id) == (done.event.id, done.event.body, record.id)
    assert [one.id for one in await store.outbox.deliveries_of(item.id)] == [done.owed[0].delivery.id]


async def test_a_second_ending_writes_nothing(store, a):
    record = a.newcomer()
    await store.watchlist.add([record])
    await store.watchlist.finish(a.ending(record))

    assert await store.watchlist.finish(a.ending(record, "failed")) is False

    assert len(await store.outbox.feed(0, 10)) == 1
    assert await store.outbox.counts() == {("default", "pending"): 1}


async def test_a_failing_ending_leaves_the_task_alive(store, a):
    record = a.newcomer()
    await store.watchlist.add([record])
    done = a.ending(record)
    await store.outbox.publish(done.event, ())

    with pytest.raises(Exception, match="UNIQUE"):
        await store.watchlist.finish(done)

    assert await live_ids(store) == {record.id}


ENDINGS = st.lists(
    st.sampled_from(["succeeded", "failed", "lost", "timed_out", "stop", "tell", "note"]), min_size=2, max_size=8
)


@given(ENDINGS)
@settings(max_examples=25, deadline=None)
def test_whatever_races_a_task_ends_once_with_one_terminal_event(a, wishes):
    async def race() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = await open_store(Path(folder) / "p.db")
            record = a.newcomer()
            await store.watchlist.add([record])
            won = await asyncio.gather(*(attempt(store, record, wish) for wish in wishes))
            ended = await store.watchlist.record(record.id)
            feed = await store.outbox.feed(0, 100)
            await store.close()
        assert ended is not None
        winners = [wish for wish, has_won in zip(wishes, won, strict=True) if has_won]
        ends = ["stopped" if wish == "stop" else wish for wish in winners]
        assert ends == ([ended.status] if ended.status.is_terminal else [])
        assert bool(ends) is any(wish not in ("tell", "note") for wish in wishes)
        terminal = [item for item in feed if item.type != "task.running"]
        assert [item.type for item in terminal] == ([f"task.{ended.status}"] if ended.event_id else [])

    async def attempt(store, record, wish) -> bool:
        if wish == "stop":
            return await store.watchlist.stop(record.id, a.NOW) is not None
        if wish == "note":
            await store.watchlist.note([a.watched(record, status=Status.RUNNING)], 0.0)
            return False
        if wish == "tell":
            await store.watchlist.tell(a.watched(record), 0.0, [a.event("task.running", task_id=record.id)], [])
            return False
        return await store.watchlist.finish(a.ending(record, wish))

    asyncio.run(race())


async def test_live_tasks_come_back_in_monotonic_seconds(store, a):
    plain, planned, over = (
        a.newcomer("plain"),
        a.newcomer("planned", next_poll_at=a.NOW + 30, next_poll_reason="r"),
        a.newcomer("over"),
    )
    await store.watchlist.add([plain, planned, over])
    await store.watchlist.finish(a.ending(over))

    tasks = [task async for chunk in store.watchlist.live(100.0 - a.NOW, a.NOW + 60) for task in chunk]

    assert [(t.id, t.born, t.deadline, t.next_at, t.next_reason) for t in tasks] == [
        (plain.id, 100.0, 3700.0, 100.0, ""),
        (planned.id, 100.0, 3700.0, 130.0, "r"),
    ]
    assert tasks[0].params is tasks[1].params
    assert tasks[0].provider is tasks[1].provider
    assert (tasks[0].status, tasks[0].wishes) == (Status.QUEUED, frozenset())


async def test_a_clock_that_was_ahead_at_registration_cannot_put_a_deadline_off(store, a):
    record = a.newcomer("r")
    await store.watchlist.add([record])
    an_hour_ago = a.NOW - 3600.0

    (task,) = [task async for chunk in store.watchlist.live(0.0, an_hour_ago) for task in chunk]

    assert task.deadline == an_hour_ago + (record.deadline_at - record.registered_at)


async def test_the_providers_creation_time_once_told_replaces_ours_and_silence_keeps_it(store, a):
    live, over = a.newcomer("live"), a.newcomer("over")
    await store.watchlist.add([live, over])
    await store.watchlist.note([a.watched(live, created_at=500.0)], 0.0)
    await store.watchlist.note([a.watched(live, created_at=None)], 0.0)
    ending = a.ending(over)
    await store.watchlist.finish(replace(ending, task=replace(ending.task, created_at=600.0)))

    assert (await store.watchlist.record(live.id)).created_at == 500.0
    assert (await store.watchlist.record(over.id)).created_at == 600.0


async def test_a_note_is_there_after_a_restart_and_touches_no_ended_task(store, a):
    live, over = a.newcomer("live"), a.newcomer("over")
    await store.watchlist.add([live, over])
    await store.watchlist.finish(a.ending(over))
    changes = {
        "status": Status.RUNNING,
        "progress": 0.4,
        "polls": 7,
        "next_at": 140.0,
        "next_reason": "tail",
        "last_miss": "odd \ud800",
    }

    await store.watchlist.note([a.watched(live, **changes), a.watched(over, **changes)], 100.0 - a.NOW)

    noted = await store.watchlist.record(live.id)
    assert noted is not None
    assert (noted.status, noted.progress, noted.polls, noted.last_miss) == (Status.RUNNING, 0.4, 7, "odd ?")
    assert (noted.next_poll_at, noted.next_poll_reason) == (a.NOW + 40, "tail")
    ended = await store.watchlist.record(over.id)
    assert ended is not None
    assert (ended.status, ended.polls) == (Status.SUCCEEDED, 3)


async def test_interim_events_are_told_of_live_tasks_only(store, a):
    record = a.newcomer()
    await store.watchlist.add([record])
    told = a.event("task.running", task_id=record.id)
    running = a.watched(record, status=Status.RUNNING)

    assert await store.watchlist.tell(running, 0.0, [told], [a.owed(told)])
    await store.watchlist.finish(a.ending(record))
    late = a.event("task.progress", task_id=record.id)
    assert not await store.watchlist.tell(running, 0.0, [late], [a.owed(late)])

    assert [item.type for item in await store.outbox.feed(0, 10)] == ["task.running", "task.succeeded"]


async def test_pages_are_newest_first_and_go_on_where_the_last_ended(store, a):
    records = [
        a.newcomer(f"job-{n}", model="m" if n % 2 else None, provider="amux" if n < 6 else "mix") for n in range(10)
    ]
    await store.watchlist.add(records)
    newest = sorted((one.id for one in records), reverse=True)

    first = await store.watchlist.page(TaskQuery(limit=4))
    rest = await store.watchlist.page(TaskQuery(limit=50, before=first[-1].id))

    assert [one.id for one in first + rest] == newest
    both = await store.watchlist.page(TaskQuery(provider="mix", model="m", status=Status.QUEUED))
    assert {one.remote_id for one in both} == {"job-7", "job-9"}
