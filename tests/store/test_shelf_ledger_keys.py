"""What lies beside the tasks: inline outputs, the states of lanes and endpoints, secret files."""

import math
import os
import stat
import threading
from dataclasses import replace

import pytest

from daemon.core.breaker import Trouble
from daemon.core.errors import Fault, StoreFault
from daemon.core.observation import Inline
from daemon.core.record import EndpointState, LaneState
from daemon.store.keys import load_or_make
from daemon.store.store import open_store


async def test_an_inline_output_lies_in_a_private_file_and_storing_again_replaces_it(store, a):
    record = a.newcomer()
    await store.shelf.keep(record.id, 0, Inline(content=b"old", content_type="image/png"))
    await store.shelf.keep(record.id, 0, Inline(content=b"new" * 9, content_type="video/mp4"))

    found = await store.shelf.find(record.id, 0)

    assert found is not None
    path, content_type = found
    assert (path.read_bytes(), content_type) == (b"new" * 9, "video/mp4")
    assert path == store.path.parent / "outputs" / record.id / "0"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["0"]
    assert await store.shelf.find(record.id, 1) is None


@pytest.mark.parametrize(
    ("task_id", "number"), [("../../etc", 0), ("tsk_/x", 0), ("", 0), (".", 0), ("tsk_a\n", 0), ("tsk_a", -1)]
)
async def test_no_id_leads_out_of_the_shelf(store, task_id, number):
    victim = store.path.parent / "victim"
    victim.write_text("here")

    with pytest.raises(ValueError, match="not an output"):
        await store.shelf.keep(task_id, number, Inline(content=b"x", content_type="x"))
    assert await store.shelf.find(task_id, number) is None
    await store.shelf.discard([task_id])

    assert victim.exists()


async def test_discarded_outputs_are_gone(store, a):
    one, other = a.newcomer("one"), a.newcomer("other")
    for record in (one, other):
        await store.shelf.keep(record.id, 2, Inline(content=b"x", content_type="x/y"))

    await store.shelf.discard([one.id, "tsk_unknown"])

    assert await store.shelf.find(one.id, 2) is None
    assert not (store.path.parent / "outputs" / one.id).exists()
    assert await store.shelf.find(other.id, 2) is not None


async def test_outputs_that_a_crash_left_behind_are_swept_at_the_next_start(tmp_path, a):
    store = await open_store(tmp_path / "p.db")
    gone, there = a.newcomer("gone"), a.newcomer("there")
    await store.watchlist.add([gone, there])
    for record in (gone, there):
        await store.shelf.keep(record.id, 0, Inline(content=b"x", content_type="x/y"))
    await store.watchlist.finish(a.ending(gone))
    assert await store.watchlist.prune(a.NOW + 61, 10) == [gone.id]
    await store.close()

    store = await open_store(tmp_path / "p.db")
    kept = await store.shelf.find(there.id, 0)
    await store.close()

    assert not (tmp_path / "outputs" / gone.id).exists()
    assert kept is not None


async def test_a_shelf_that_cannot_be_written_is_a_fault(store, a):
    (store.path.parent / "outputs").write_text("in the way")

    with pytest.raises(StoreFault, match="cannot store output"):
        await store.shelf.keep(a.newcomer().id, 0, Inline(content=b"x", content_type="x"))


async def test_lanes_and_endpoints_are_remembered_and_replaced(store):
    lane = LaneState(
        name="amux", trouble=Trouble.CREDENTIALS, trouble_at=5.0, held_until_at=math.inf, tat_at=7.5, key_mark="m"
    )
    calm = replace(lane, name="mix", trouble=None, trouble_at=None, held_until_at=0.0)
    await store.ledger.save_lanes([lane, calm])
    await store.ledger.save_lanes([replace(lane, key_mark="new")])
    endpoint = EndpointState(
        name="default", disabled_at=3.0, disabled_reason="410", failing_since=2.0, failing_why="refused"
    )
    await store.ledger.save_disabled("default", 1.0, "by hand")
    await store.ledger.save_failing("default", 2.0, "refused")
    await store.ledger.save_disabled("default", 3.0, "410")

    assert await store.ledger.lanes() == {"amux": replace(lane, key_mark="new"), "mix": calm}
    assert await store.ledger.endpoints() == {"default": endpoint}


async def test_life_tables_are_remembered_by_lane_and_model(store):
    await store.ledger.save_durations({("amux", ""): b"1", ("amux", "veo"): b"2"})
    await store.ledger.save_durations({("amux", "veo"): b"3"})

    assert await store.ledger.durations() == {("amux", ""): b"1", ("amux", "veo"): b"3"}

    await store.ledger.drop_durations([("amux", "veo"), ("amux", "sora")])

    assert await store.ledger.durations() == {("amux", ""): b"1"}


def test_a_secret_is_made_once_and_private(tmp_path):
    path = tmp_path / "state" / "api-token"

    made = load_or_make(path, lambda: b"first")
    again = load_or_make(path, lambda: b"second")

    assert made == again == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["api-token"]


def test_racing_makers_agree_on_one_secret(tmp_path):
    path = tmp_path / "master-key"
    barrier = threading.Barrier(8)
    seen: list[bytes] = []

    def make(name: int) -> bytes:
        barrier.wait(10)
        return b"%d" % name

    threads = [threading.Thread(target=lambda n=n: seen.append(load_or_make(path, lambda: make(n)))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [path.read_bytes()] * 8


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda path: (path.write_bytes(b"x"), path.chmod(0o640)), "mode 0640.*chmod 600"),
        (lambda path: path.symlink_to("/dev/null"), "symbolic link"),
        (lambda path: os.close(os.open(path, os.O_CREAT, 0o600)), "is empty"),
        (lambda path: (path.write_bytes(b"x" * 5000), path.chmod(0o600)), "over 4096"),
        (lambda path: path.mkdir(mode=0o700), "Is a directory|no regular file"),
    ],
)
def test_a_secret_file_that_cannot_be_trusted_is_a_fault(tmp_path, prepare, says):
    path = tmp_path / "api-token"
    prepare(path)

    with pytest.raises(Fault, match=says):
        load_or_make(path, lambda: b"new")
