"""A backup put back: what comes of it, what is kept, and what is refused with nothing changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from daemon.core.errors import StoreFault
from daemon.store.backup import back_up
from daemon.store.restore import restore
from daemon.store.store import open_store


async def remote_ids(path) -> set[str]:
    store = await open_store(path)
    found = {task.remote_id async for chunk in store.watchlist.live(0.0, 1e12) for task in chunk}
    await store.close()
    return found


@pytest.fixture
async def state(tmp_path, a):
    """A database with one task, a backup of it, and a task registered after that."""
    path = tmp_path / "state" / "p.db"
    store = await open_store(path)
    await store.watchlist.add([a.newcomer("before")])
    await store.backup(tmp_path / "backup.db")
    await store.watchlist.add([a.newcomer("after")])
    await store.close()
    return path


async def test_a_restored_database_is_that_of_the_backup_and_the_old_one_is_kept(tmp_path, state):
    kept = restore(tmp_path / "backup.db", state)

    assert await remote_ids(state) == {"before"}
    assert kept is not None
    assert await remote_ids(kept) == {"before", "after"}
    assert state.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "backup.db").exists()


async def test_the_log_of_a_killed_daemon_never_meets_the_restored_database(tmp_path, state, a):
    """A kill leaves pages in the -wal file; applied to another database they would garble it."""
    store = await open_store(state)
    await store.watchlist.add([a.newcomer("in the log")])
    for suffix in ("", "-wal"):
        source = state.with_name(state.name + suffix)
        (tmp_path / f"killed.db{suffix}").write_bytes(source.read_bytes())
    await store.close()
    killed = tmp_path / "killed.db"

    kept = restore(tmp_path / "backup.db", killed)

    assert await remote_ids(killed) == {"before"}
    assert kept is not None
    assert "in the log" in await remote_ids(kept)


async def test_a_damaged_database_gives_way_to_the_backup(tmp_path, state):
    state.write_bytes(b"garbage" * 1000)
    state.with_name("p.db-wal").write_bytes(b"stale")

    restore(tmp_path / "backup.db", state)

    assert await remote_ids(state) == {"before"}


async def test_a_backup_restored_where_nothing_stood_is_the_database(tmp_path, state):
    assert restore(tmp_path / "backup.db", tmp_path / "new" / "p.db") is None

    assert await remote_ids(tmp_path / "new" / "p.db") == {"before"}


async def test_nothing_is_restored_under_a_running_daemon(tmp_path, state):
    store = await open_store(state)

    with pytest.raises(StoreFault, match="in use by another Pollhook daemon"):
        restore(tmp_path / "backup.db", state)

    await store.close()
    assert await remote_ids(state) == {"before", "after"}


def _theirs(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")


def _newer(path):
    back_up(path.with_name("backup.db"), path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def _cut(path):
    content = path.with_name("backup.db").read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda path: None, "no backup"),
        (lambda path: path.write_text("no database " * 99), "cannot be restored"),
        (_theirs, "another program"),
        (_newer, "newer Pollhook: schema version 99"),
        (_cut, "damaged|malformed"),
    ],
)
async def test_what_is_no_whole_backup_is_refused_and_nothing_changes(tmp_path, state, prepare, says):
    prepare(tmp_path / "bad.db")
    files = sorted(state.parent.iterdir())

    with pytest.raises(StoreFault, match=says):
        restore(tmp_path / "bad.db", state)

    assert sorted(state.parent.iterdir()) == files
    assert await remote_ids(state) == {"before", "after"}
