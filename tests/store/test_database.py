"""The one gate: group commit, changes that fail alone, callers that go away, disks that fail."""

import asyncio
import sqlite3
import threading

import pytest

from daemon.core.errors import KeyReused, StoreFault
from daemon.core.record import Claim
from daemon.store import database
from daemon.store.store import open_store


class Gate:
    """A change that holds the writer until it is opened, so that what comes meanwhile shares one transaction."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.entered = threading.Event()

    def __call__(self, _: sqlite3.Connection) -> None:
        self.entered.set()
        assert self._open.wait(30)

    async def close_on(self, store) -> "asyncio.Task[None]":
        held = asyncio.create_task(store.database.change(self))
        await asyncio.to_thread(self.entered.wait, 30)
        return held

    def open(self) -> None:
        self._open.set()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_registrations_at_the_same_moment_share_commits(store, a, commits):
    newcomers = [a.newcomer(f"job-{n}") for n in range(500)]

    answers = await asyncio.gather(*(store.watchlist.add([one]) for one in newcomers))

    assert all(answer[0].is_new for answer in answers)
    assert len(commits) <= 10
    assert sum(changes for _, changes in commits) == 500
    assert all(seconds > 0 for seconds, _ in commits)


async def test_after_a_crowd_a_transaction_waits_while_more_come_and_one_alone_does_not(store, commits):
    def change(_):
        return None

    async def come(after):
        await turns(after)
        await store.database.change(change)

    await asyncio.gather(*(come(0) for _ in range(database.CROWD)))
    await asyncio.gather(*(come(5 * n) for n in range(4)))
    await come(0)
    await asyncio.gather(come(0), come(5))

    assert [many for _, many in commits] == [database.CROWD, 4, 1, 1, 1]


async def test_a_crowd_without_end_is_not_waited_for(store, commits, monkeypatch):
    monkeypatch.setattr(database, "LINGER", 0.0)
    await asyncio.gather(*(store.database.change(lambda _: None) for _ in range(database.CROWD)))

    await asyncio.gather(*(store.database.change(lambda _: None) for _ in range(2)))

    assert [many for _, many in commits] == [database.CROWD, 2]


async def test_changes_of_a_kind_are_made_together_though_others_stand_between(store, commits):
    calls = []

    def together(items, _):
        calls.append(list(items))
        return [item * 10 for item in items]

    gate = Gate()
    held = await gate.close_on(store)
    shared = [asyncio.create_task(store.database.change_together(together, n)) for n in range(2)]
    await turns(1)
    between = asyncio.create_task(store.database.change(lambda _: calls.append("alone") or "alone"))
    await turns(1)
    shared.append(asyncio.create_task(store.database.change_together(together, 2)))
    await turns(1)
    gate.open()

    assert await asyncio.gather(*shared, between, held) == [0, 10, 20, "alone", None]
    assert calls == [[0, 1, 2], "alone"]
    assert commits[-1][1] == 4


async def test_one_job_registered_by_many_in_the_same_commit_is_one_task(store, a, commits):
    twice = [a.newcomer(f"job-{n % 40}") for n in range(80)]
    (before,) = await store.watchlist.add([a.newcomer("job-7")])

    answers = [answer for (answer,) in await asyncio.gather(*(store.watchlist.add([one]) for one in twice))]

    assert len(commits) <= 4
    assert sum(answer.is_new for answer in answers) == 39
    assert [one.record.id for one in answers[:40]] == [one.record.id for one in answers[40:]]
    assert answers[7].record.id == answers[47].record.id == before.record.id
    rows = await store.database.read(lambda connection: connection.execute("SELECT count(*) FROM tasks").fetchone())
    assert rows == (40,)


async def test_a_registration_that_fails_leaves_those_it_was_to_be_written_with(store, a, commits):
    gate = Gate()
    held = await gate.close_on(store)
    clash = a.newcomer("clash")
    parties = [[a.newcomer("one")], [clash, a.newcomer("twin", id=clash.id)], [a.newcomer("two")], [a.newcomer("one")]]
    adding = [asyncio.create_task(store.watchlist.add(party)) for party in parties]
    await turns(3)

    gate.open()
    told = await asyncio.gather(*adding, return_exceptions=True)
    await held

    assert [type(one) for one in told] == [list, sqlite3.IntegrityError, list, list]
    assert told[3][0].record.id == told[0][0].record.id
    assert commits[-1][1] == 4, "all of them rode in one transaction"
    found = [await store.watchlist.find("amux", name) is not None for name in ("one", "clash", "twin", "two")]
    assert found == [True, False, False, True]


async def test_a_transaction_takes_a_bounded_number_of_rows(store, a, commits):
    gate = Gate()
    held = await gate.close_on(store)
    batches = [[a.newcomer(f"job-{b}-{n}") for n in range(400)] for b in range(10)]
    adding = [asyncio.create_task(store.watchlist.add(batch)) for batch in batches]
    await turns(3)

    gate.open()
    await asyncio.gather(held, *adding)

    assert [changes for _, changes in commits] == [1, 3, 3, 3, 1]


async def test_a_failing_change_takes_none_of_its_companions_with_it(store, a, commits):
    taken = Claim(key="k", fingerprint="mine")
    await store.watchlist.add([a.newcomer("first")], taken)
    gate = Gate()
    held = await gate.close_on(store)
    clash = a.newcomer("half-way")
    tries = [
        store.watchlist.add([a.newcomer("good-1")]),
        store.watchlist.add([a.newcomer("bad")], Claim(key="k", fingerprint="other")),
        store.watchlist.add([clash, a.newcomer("twin", id=clash.id)]),
        store.database.change(lambda _: next(iter(()))),
        store.watchlist.add([a.newcomer("good-2")]),
    ]
    trying = [asyncio.create_task(one) for one in tries]
    await turns(3)

    gate.open()
    told = await asyncio.gather(*trying, return_exceptions=True)
    await held

    assert [type(one) for one in told] == [list, KeyReused, sqlite3.IntegrityError, RuntimeError, list]
    assert commits[-1][1] == 5, "all of them rode in one transaction"
    found = {name: await store.watchlist.find("amux", name) for name in ("good-1", "bad", "half-way", "twin", "good-2")}
    assert {name for name, record in found.items() if record} == {"good-1", "good-2"}


@pytest.mark.parametrize("after", range(12))
async def test_a_caller_that_goes_away_at_any_moment_harms_nobody(store, a, after):
    leaving = [asyncio.create_task(store.watchlist.add([a.newcomer(f"leaving-{n}")])) for n in range(20)]
    staying = [asyncio.create_task(store.watchlist.add([a.newcomer(f"staying-{n}")])) for n in range(20)]
    await turns(after)

    for task in leaving:
        task.cancel()
    told = await asyncio.gather(*leaving, return_exceptions=True)
    kept = await asyncio.gather(*staying)

    acknowledged = [answer[0].record for answer in (*told, *kept) if isinstance(answer, list)]
    assert len(acknowledged) >= 20
    for record in acknowledged:
        assert await store.watchlist.record(record.id) == record
    (later,) = await store.watchlist.add([a.newcomer("later")])
    assert later.is_new


async def test_a_change_already_waiting_is_made_though_its_caller_left(store, a):
    gate = Gate()
    held = await gate.close_on(store)
    leaving = asyncio.create_task(store.watchlist.add([a.newcomer("left")]))
    await turns(2)

    leaving.cancel()
    await turns(2)
    gate.open()
    await held
    await store.watchlist.add([a.newcomer("next")])

    assert leaving.cancelled()
    assert await store.watchlist.find("amux", "left") is not None


async def test_reads_wait_for_no_write_and_see_only_what_is_committed(store, a):
    first = a.newcomer("first")
    await store.watchlist.add([first])
    seen = threading.Event()
    go_on = threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE tasks SET polls = 99")
        seen.set()
        assert go_on.wait(30)

    writing = asyncio.create_task(store.database.change(slow))
    await asyncio.to_thread(seen.wait, 30)
    during = await store.watchlist.record(first.id)
    go_on.set()
    await writing
    after = await store.watchlist.record(first.id)

    assert during is not None
    assert after is not None
    assert (during.polls, after.polls) == (0, 99)


async def test_the_reader_cannot_write(store):
    with pytest.raises(StoreFault, match="readonly"):
        await store.database.read(lambda connection: connection.execute("DELETE FROM tasks"))


async def test_a_full_disk_fails_everything_and_stops_the_store_for_good(store, a):
    await store.watchlist.add([a.newcomer("safe")])
    await store.database.change(lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchone())
    gate = Gate()
    held = asyncio.create_task(store.database.change(gate))
    batch = [a.newcomer(f"job-{n}") for n in range(500)]
    adding = asyncio.create_task(store.watchlist.add(batch))
    innocent = asyncio.create_task(store.watchlist.stop("tsk_none", a.NOW))
    await turns(3)

    gate.open()
    told = await asyncio.gather(held, adding, innocent, return_exceptions=True)

    assert [type(one) for one in told[1:]] == [StoreFault, StoreFault]
    assert "disk is full" in str(told[1])
    with pytest.raises(StoreFault, match="disk is full"):
        await store.watchlist.stop("tsk_none", a.NOW)
    assert await store.watchlist.find("amux", "safe") is not None


async def test_after_a_failure_of_the_database_nothing_more_is_written(store, a):
    def fail(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    gate = Gate()
    held = await gate.close_on(store)
    tries = [
        store.watchlist.add([a.newcomer("companion")]),
        store.database.change(fail, weight=1_000),
        store.watchlist.add([a.newcomer("in the next transaction")]),
    ]
    trying = [asyncio.create_task(one) for one in tries]
    await turns(3)

    gate.open()
    told = await asyncio.gather(*trying, return_exceptions=True)
    await held

    assert [str(one) for one in told] == [
        f"database {store.path}: disk I/O error; the daemon cannot go on without its database"
    ] * 3
    assert await store.watchlist.find("amux", "companion") is None
    assert await store.watchlist.find("amux", "in the next transaction") is None


async def test_a_lock_held_by_another_process_stops_the_store(store, a):
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreFault, match=r"locked.*end that one"):
        await store.watchlist.add([a.newcomer()])

    other.close()


async def test_closing_commits_what_waits_and_refuses_what_comes_later(tmp_path, a):
    store = await open_store(tmp_path / "p.db")
    gate = Gate()
    held = await gate.close_on(store)
    waiting = asyncio.create_task(store.watchlist.add([a.newcomer("waiting")]))
    await turns(2)

    closing = asyncio.create_task(store.close())
    await turns(2)
    late = asyncio.create_task(store.watchlist.add([a.newcomer("late")]))
    await turns(2)
    gate.open()
    await asyncio.gather(held, waiting, closing)
    await store.close()

    with pytest.raises(StoreFault, match="closed"):
        await late
    with pytest.raises(StoreFault, match="closed"):
        await store.watchlist.find("amux", "waiting")
    again = await open_store(tmp_path / "p.db")
    assert await again.watchlist.find("amux", "waiting") is not None
    assert await again.watchlist.find("amux", "late") is None
    await again.close()


async def test_more_callers_than_fit_wait_their_turn(store, a, monkeypatch):
    monkeypatch.setattr(database, "WAITING_LIMIT", 10)

    answers = await asyncio.gather(*(store.watchlist.add([a.newcomer(f"job-{n}")]) for n in range(100)))

    assert all(answer[0].is_new for answer in answers)
