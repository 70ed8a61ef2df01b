"""Outputs to be fetched, on a real file: owed with the end, settled once, gone with their task."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from daemon.core.observation import Ended, Inline, Output, Response, TaskError
from daemon.core.saving import SaveRecord, SaveState, saves_of
from daemon.core.task import Saving, Status
from daemon.engine.ports import HeldEnd, Lack, SaveSettled
from daemon.store.migrate import APPLICATION_ID, migrations
from daemon.store.store import open_store

OUTPUTS = (
    Output(url="https://cdn.example.com/a.mp4?sig=1", kind="video", needs_auth=True, expires_at=5.5),
    Output(url="https://cdn.example.com/b.png", kind="image"),
)


async def ended(store, a, outputs=OUTPUTS, **changes):
    record = a.newcomer(**changes)
    await store.watchlist.add([record])
    saves = saves_of(record.id, "amux", outputs)
    assert await store.watchlist.finish(replace(a.ending(record, outputs=outputs), saves=saves))
    return record, saves


async def held(store):
    return [one async for chunk in store.saves.held() for one in chunk]


async def due(store):
    return [pair async for chunk in store.saves.due(0.0) for pair in chunk]


def saved(save):
    record = SaveRecord(number=save.number, state=SaveState.SAVED, size=3, sha256="ab", content_type="video/mp4")
    return SaveSettled(save=replace(save, tries=save.tries + 1), record=record, due_at=None)


def left(save, state, due_at=None, reason="HTTP 403"):
    record = SaveRecord(number=save.number, state=SaveState(state), reason=reason)
    return SaveSettled(save=replace(save, tries=save.tries + 1), record=record, due_at=due_at)


async def test_saves_are_owed_with_the_end_and_survive_a_restart(store, a, tmp_path):
    record, saves = await ended(store, a)
    await store.close()

    again = await open_store(store.path)
    try:
        assert await due(again) == [(save, a.NOW + 60) for save in saves]
        shown = await again.watchlist.record(record.id)
        assert [one.state for one in shown.saves] == [SaveState.PENDING, SaveState.PENDING]
    finally:
        await again.close()


async def test_an_end_that_was_told_already_owes_nothing(store, a):
    record, _ = await ended(store, a, outputs=())

    late = replace(a.ending(record, outputs=OUTPUTS), saves=saves_of(record.id, "amux", OUTPUTS))

    assert not await store.watchlist.finish(late)
    assert await due(store) == []


async def test_a_saved_output_is_found_on_the_shelf_and_described(store, a):
    record, saves = await ended(store, a)
    part = await store.shelf.draft(record.id, 0)
    part.write_bytes(b"abc")
    assert await store.shelf.find(record.id, 0) is None

    assert await store.shelf.adopt(record.id, 0)
    assert await store.shelf.find(record.id, 0) is None
    assert await store.saves.settle(saved(saves[0]))

    path, kind = await store.shelf.find(record.id, 0)
    assert (path.read_bytes(), kind) == (b"abc", "video/mp4")
    first, second = (await store.watchlist.record(record.id)).saves
    assert (first.state, first.size, first.sha256, first.content_type) == (SaveState.SAVED, 3, "ab", "video/mp4")
    assert second.state is SaveState.PENDING
    assert await store.saves.pending(record.id, 0) is None
    assert await store.saves.used() == 3
    assert [save.number for save, _ in await due(store)] == [1]


async def test_a_try_that_failed_is_due_again_and_one_given_up_says_why(store, a):
    record, saves = await ended(store, a)

    await store.saves.settle(left(saves[0], "pending", a.NOW + 99))
    await store.saves.settle(left(saves[1], "failed"))

    assert await due(store) == [(replace(saves[0], tries=1), a.NOW + 99)]
    told = (await store.watchlist.record(record.id)).saves
    assert [(one.state, one.reason) for one in told] == [("pending", "HTTP 403"), ("failed", "HTTP 403")]


async def test_a_fresh_link_takes_the_old_one_s_place_and_lets_a_failed_save_begin_anew(store, a):
    record = a.newcomer()
    await store.watchlist.add([record])
    saves = saves_of(record.id, "amux", OUTPUTS)
    end = Ended(outcome=Status.SUCCEEDED, outputs=OUTPUTS)
    await store.saves.hold(record.id, end, saves, a.NOW)
    await store.saves.settle(left(saves[0], "pending", a.NOW + 99))
    await store.saves.settle(left(saves[1], "failed"))

    same = await store.saves.hold(record.id, end, saves, a.NOW + 5)
    links = [replace(save, url=save.url + "&new") for save in saves]
    fresh = await store.saves.hold(record.id, end, links, a.NOW + 7)

    assert [one.state for one in same] == [SaveState.PENDING, SaveState.FAILED]
    assert [one.state for one in fresh] == [SaveState.PENDING, SaveState.PENDING]
    found = {save.number: (save.url, save.tries, at) for save, at in await due(store)}
    assert found == {0: (saves[0].url + "&new", 1, a.NOW + 99), 1: (saves[1].url + "&new", 0, a.NOW + 7)}


async def test_outputs_of_a_result_fetched_later_are_owed_and_take_the_place_of_the_ones_before(store, a):
    record, saves = await ended(store, a, outputs=OUTPUTS[:1])
    await store.saves.settle(saved(saves[0]))
    await store.watchlist.intend_result(record.id, a.NOW + 70)
    paid = (Output(url="https://cdn.example.com/paid.mp4", kind="video"),)

    await store.watchlist.store_result(record.id, paid, {}, a.NOW + 71, saves_of(record.id, "amux", paid))

    shown = await store.watchlist.record(record.id)
    assert shown.outputs == paid
    assert [one.state for one in shown.saves] == [SaveState.PENDING]
    assert [(save.url, at) for save, at in await due(store)] == [(paid[0].url, a.NOW + 71)]


async def test_what_is_saved_is_never_wanted_again(store, a):
    record = a.newcomer()
    await store.watchlist.add([record])
    saves = saves_of(record.id, "amux", OUTPUTS)
    end = Ended(outcome=Status.SUCCEEDED, outputs=OUTPUTS)
    await store.saves.hold(record.id, end, saves, a.NOW)
    await store.saves.settle(saved(saves[0]))

    stands = await store.saves.hold(record.id, end, [replace(saves[0], url="https://other")], a.NOW)

    assert [one.state for one in stands] == [SaveState.SAVED]


FULL = Ended(
    outcome=Status.FAILED,
    outputs=OUTPUTS,
    error=TaskError(code="1301", message="no \ud800 words", kind="content_blocked"),
    created_at=1.5,
    started_at=2.5,
    finished_at=3.5,
    response=Response(body={"a": ["\ud800", 2**70, None]}, omitted="x"),
)


async def test_an_end_that_waits_for_its_outputs_is_there_after_a_restart_as_it_was(store, a):
    record, other = a.newcomer("one"), a.newcomer("two")
    await store.watchlist.add([record, other])
    saves = saves_of(record.id, "amux", OUTPUTS)
    stands = await store.saves.hold(record.id, FULL, saves, a.NOW)
    await store.saves.witness(other.id, replace(FULL, outputs=()))
    await store.close()

    again = await open_store(store.path)
    try:
        assert [one.state for one in stands] == [SaveState.PENDING, SaveState.PENDING]
        found = {one.task_id: one for one in await held(again)}
        assert found[record.id] == HeldEnd(task_id=record.id, ended=FULL, lacks=Lack.COPIES, is_pending=True)
        assert found[other.id].ended == replace(FULL, outputs=())
        assert (found[other.id].lacks, found[other.id].is_pending) == (Lack.RESULT, False)
        for save in saves:
            await again.saves.settle(saved(save))
        assert [one.is_pending for one in await held(again)] == [False, False]
    finally:
        await again.close()


async def test_a_later_sight_of_the_same_end_takes_the_place_of_the_one_before(store, a):
    record = a.newcomer()
    await store.watchlist.add([record])
    await store.saves.witness(record.id, replace(FULL, outputs=()))

    await store.saves.hold(record.id, FULL, saves_of(record.id, "amux", OUTPUTS), a.NOW)

    (one,) = await held(store)
    assert (one.ended, one.lacks) == (FULL, Lack.COPIES)


@pytest.mark.parametrize("how", ["finish", "stop", "prune"])
async def test_a_held_end_goes_with_the_life_of_its_task(store, a, how):
    record = a.newcomer()
    await store.watchlist.add([record])
    saves = saves_of(record.id, "amux", OUTPUTS)
    await store.saves.hold(record.id, FULL, saves, a.NOW)

    if how == "stop":
        await store.watchlist.stop(record.id, a.NOW)
    else:
        await store.watchlist.finish(a.ending(record))
    if how == "prune":
        await store.watchlist.prune(a.NOW + 1000, 10)

    assert await held(store) == []


async def test_nothing_is_held_or_wanted_of_a_task_that_is_not_live(store, a):
    record = a.newcomer()
    await store.watchlist.add([record])
    await store.watchlist.stop(record.id, a.NOW)

    for task_id in (record.id, "tsk_nowhere"):
        assert await store.saves.hold(task_id, FULL, saves_of(task_id, "amux", OUTPUTS), a.NOW) == []
        await store.saves.witness(task_id, FULL)

    assert await held(store) == []
    assert await due(store) == []


async def test_a_late_try_changes_nothing_that_was_settled(store, a):
    record, saves = await ended(store, a)
    await store.saves.settle(saved(saves[0]))

    assert await store.saves.settle(left(saves[0], "failed"))

    assert (await store.watchlist.record(record.id)).saves[0].state is SaveState.SAVED


async def test_deleting_a_task_deletes_its_files_drafts_and_saves(store, a):
    record, saves = await ended(store, a)
    (await store.shelf.draft(record.id, 1)).write_bytes(b"half")
    (await store.shelf.draft(record.id, 0)).write_bytes(b"abc")
    await store.shelf.adopt(record.id, 0)
    await store.saves.settle(saved(saves[0]))

    await store.shelf.discard(await store.watchlist.prune(a.NOW + 1000, 10))

    assert not (store.path.parent / "outputs" / record.id).exists()
    assert await due(store) == []
    assert await store.saves.used() == 0
    assert not await store.saves.settle(left(saves[1], "failed"))


async def test_what_a_crash_left_of_a_deleted_task_goes_at_the_next_start(store, a):
    record, _ = await ended(store, a)
    (await store.shelf.draft(record.id, 0)).write_bytes(b"half")
    await store.watchlist.prune(a.NOW + 1000, 10)
    await store.close()

    again = await open_store(store.path)
    try:
        assert not (store.path.parent / "outputs" / record.id).exists()
        assert await due(again) == []
    finally:
        await again.close()


async def test_a_dropped_draft_leaves_nothing_and_one_that_is_gone_is_not_adopted(store, a):
    record = a.newcomer()
    part = await store.shelf.draft(record.id, 0)
    part.write_bytes(b"half")
    part.with_name("0.part.json").write_text("{}")

    await store.shelf.drop_draft(record.id, 0)

    assert not part.parent.exists()
    assert not await store.shelf.adopt(record.id, 0)


async def test_an_inline_output_counts_as_saved(store, a):
    record = a.newcomer()
    await store.watchlist.add([record])
    await store.shelf.keep(record.id, 0, Inline(content=b"abc", content_type="image/png"))
    outputs = (Output(url=f"/v1/tasks/{record.id}/outputs/0", kind="image", needs_auth=True), *OUTPUTS[1:])
    saves = saves_of(record.id, "amux", outputs)
    await store.watchlist.finish(replace(a.ending(record, outputs=outputs), saves=saves))

    told = {one.number: one for one in (await store.watchlist.record(record.id)).saves}

    assert (told[0].state, told[0].size) == (SaveState.SAVED, 3)
    assert told[1].state is SaveState.PENDING


@pytest.mark.parametrize("wish", [None, *Saving])
async def test_what_a_registration_says_of_saving_is_kept(store, a, wish):
    record = a.newcomer(save_outputs=wish)
    await store.watchlist.add([record])

    assert (await store.watchlist.record(record.id)).save_outputs is wish
    (live,) = [task async for chunk in store.watchlist.live(0.0, a.NOW) for task in chunk]
    assert live.saving is wish


async def test_a_database_of_the_first_release_is_brought_up_to_date_with_all_it_holds(tmp_path, a):
    path = tmp_path / "pollhook.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(migrations()[0])
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute(
            "INSERT INTO tasks (id, provider, remote_id, status, created_at, registered_at, updated_at, deadline_at)"
            " VALUES ('tsk_old', 'amux', 'job', 'running', 1.0, 1.0, 1.0, 9.0)"
        )
    connection.close()

    store = await open_store(path)
    try:
        record = await store.watchlist.record("tsk_old")
        assert (record.remote_id, record.save_outputs, record.saves) == ("job", None, ())
        assert await store.saves.used() == 0
    finally:
        await store.close()
