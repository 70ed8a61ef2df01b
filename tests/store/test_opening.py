"""Which files become a store, which are refused, and how a refusal reads."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from daemon.core.errors import StoreFault
from daemon.store.migrate import APPLICATION_ID, migrations
from daemon.store.store import open_store

ROOT = Path(__file__).parents[2]
OPEN = """
import asyncio, os, sys
from pathlib import Path
from daemon.store.store import open_store
if sys.argv[2] and os.geteuid() == 0:
    os.setuid(65534)
asyncio.run(open_store(Path(sys.argv[1])))
"""


def opened(path: Path, user: str = "") -> "subprocess.CompletedProcess[str]":
    """Open a store in another process, which ends without closing it; root steps down to nobody when asked."""
    command = [sys.executable, "-c", OPEN, str(path), user]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def refusal(path: Path) -> str:
    with pytest.raises(StoreFault) as caught:
        await open_store(path)
    return str(caught.value)


async def test_a_new_store_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        store = await open_store(tmp_path / "a" / "b" / "p.db")
        await store.close()
    finally:
        os.umask(before)

    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700
    assert {mode(file) for file in (tmp_path / "a" / "b").iterdir()} == {0o600}


async def test_an_open_database_is_durable_and_ours(store):
    def settings(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "user_version", "application_id")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await store.database.change(settings) == ["wal", 2, 1, len(migrations()), APPLICATION_ID]


async def test_a_second_daemon_on_the_same_database_is_refused(store):
    told = await refusal(store.path)

    assert "in use by another Pollhook daemon" in told
    assert str(os.getpid()) in told


async def test_the_lock_is_free_again_after_closing_and_after_a_refusal(tmp_path):
    path = tmp_path / "p.db"
    path.write_text("no database" * 100)
    await refusal(path)
    path.unlink()

    for _ in range(2):
        store = await open_store(path)
        await store.close()


async def test_a_database_from_a_newer_version_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "p.db"
    await (await open_store(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()

    told = await refusal(path)

    assert "newer Pollhook: schema version 99" in told
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda path: path.write_text("hello " * 500), "not a database.*no SQLite database"),
        (lambda path: path.mkdir(), "Is a directory"),
        (os.mkfifo, "no regular file"),
        (lambda path: path.symlink_to(path.parent / "elsewhere.db"), "symbolic link"),
    ],
)
async def test_a_file_that_cannot_be_a_database_is_refused(tmp_path, prepare, says):
    prepare(tmp_path / "p.db")

    with pytest.raises(StoreFault, match=says):
        await open_store(tmp_path / "p.db")

    assert not (tmp_path / "elsewhere.db").exists()


async def test_the_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "p.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")

    assert "belongs to another program" in await refusal(path)


async def test_a_database_locked_by_another_process_is_refused(tmp_path):
    path = tmp_path / "p.db"
    await (await open_store(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        assert "is locked" in await refusal(path)


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o555, 0o666), (0o777, 0o444)])
def test_what_the_daemon_may_not_write_is_refused(folder_mode, file_mode):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "state"
        opened(folder / "p.db")
        Path(name).chmod(0o755)
        (folder / "p.db.lock").chmod(0o666)
        (folder / "p.db").chmod(file_mode)
        if folder_mode == 0o555:
            (folder / "p.db.lock").unlink()
        folder.chmod(folder_mode)

        done = opened(folder / "p.db", "as nobody")

        folder.chmod(0o700)
    assert done.returncode == 1
    assert "StoreFault: cannot open" in done.stderr
    assert "must belong to the daemon's user" in done.stderr


def test_a_process_that_never_closes_its_store_still_ends(tmp_path):
    assert opened(tmp_path / "p.db").returncode == 0


async def test_a_failed_migration_leaves_the_version_before(tmp_path, monkeypatch):
    path = tmp_path / "p.db"
    await (await open_store(path)).close()
    monkeypatch.setattr(
        "daemon.store.migrate.migrations", lambda: [*migrations(), "CREATE TABLE half (x); CREATE TABLE tasks (x);"]
    )

    told = await refusal(path)

    assert "already exists" in told
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations()),)
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)


async def test_a_backup_taken_while_writing_is_whole_and_opens(store, a, tmp_path):
    records = [a.newcomer(f"job-{n}") for n in range(50)]
    await store.watchlist.add(records)
    target = tmp_path / "backup.db"

    await store.backup(target)
    await store.watchlist.add([a.newcomer("later")])

    assert mode(target) == 0o600
    copy = await open_store(target)
    tasks = [task.id async for chunk in copy.watchlist.live(0.0, 1e12) for task in chunk]
    await copy.close()
    assert tasks == [record.id for record in records]
    with pytest.raises(FileExistsError, match="replaces nothing"):
        await store.backup(target)
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


async def test_a_backup_of_nothing_makes_nothing(tmp_path, store):
    shutil.rmtree(store.path.parent)

    with pytest.raises(StoreFault, match="no database"):
        await store.backup(tmp_path / "backup.db")

    assert not (tmp_path / "backup.db").exists()


async def test_free_space_is_that_of_the_databases_disk(store):
    assert store.free_bytes() > 0
