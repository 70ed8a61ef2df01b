"""Databases of every schema so far, opened by today's daemon: nothing is lost, and there is a way back."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog
from structlog.testing import capture_logs

from daemon.core.errors import StoreFault
from daemon.core.record import ToUrl
from daemon.store.migrate import migrations
from daemon.store.restore import restore
from daemon.store.store import open_store

SCHEMAS = Path(__file__).with_name("schemas")
DUMPS = sorted(SCHEMAS.glob("v*.sql"))
NEWEST = len(migrations())


def loaded(dump: Path, path: Path) -> Path:
    """Make the database that *dump* tells of, in WAL mode as a daemon leaves it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(dump.read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    path.chmod(0o600)
    return path


def rows(path: Path) -> dict[str, list[dict[str, object]]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in tables}


def shape(path: Path) -> dict[str, object]:
    """What a schema amounts to: the columns of every table, and the indexes."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT type, name FROM sqlite_schema ORDER BY type, name").fetchall()
        return {name: connection.execute(f"PRAGMA {kind}_xinfo({name})").fetchall() for kind, name in names}


def test_every_schema_before_todays_has_its_dump():
    kept = {int(dump.stem.removeprefix("v")) for dump in DUMPS}

    missing = sorted(set(range(1, NEWEST)) - kept)

    assert not missing, (
        f"no dump of schema {missing}: run `python -m tests.store.dump_schema` and commit what it writes"
    )


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
async def test_a_database_of_any_schema_so_far_keeps_every_value_through_its_upgrade(dump, tmp_path):
    path = loaded(dump, tmp_path / "p.db")
    before = rows(path)

    await (await open_store(path)).close()

    after = rows(path)
    for table, old in before.items():
        kept = [
            {name: row[name] for name in was} for was, row in zip(old, after[table], strict=table != "endpoint_keys")
        ]
        assert kept == ([row | {"secret": None} for row in old] if table == "endpoints" else old), table
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (NEWEST,)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
async def test_an_upgraded_database_has_the_schema_of_a_new_one(dump, tmp_path):
    path = loaded(dump, tmp_path / "p.db")

    await (await open_store(path)).close()
    await (await open_store(tmp_path / "new.db")).close()

    assert shape(path) == shape(tmp_path / "new.db")


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
async def test_an_upgraded_database_goes_on_as_if_nothing_had_happened(dump, tmp_path, a):
    store = await open_store(loaded(dump, tmp_path / "p.db"))

    live = [task.remote_id async for chunk in store.watchlist.live(0.0, 1e12) for task in chunk]
    due = [delivery async for chunk in store.outbox.due(0.0) for delivery, _ in chunk]
    feed = await store.outbox.feed(0, 100)
    by_id = {item.task_id: await store.watchlist.record(item.task_id) for item in feed if item.task_id}
    again = await store.watchlist.add([a.newcomer("job-0")])
    states = (await store.ledger.endpoints(), await store.ledger.lanes())
    keys = await store.endpoints.keys()
    await store.close()

    assert live == ["job-0", "job-3"]
    assert len(due) == 2
    assert [item.type for item in feed] == ["task.succeeded", "task.failed", "task.succeeded"]
    [adhoc] = [record for record in by_id.values() if isinstance(record.target, ToUrl)]
    assert (adhoc.metadata, adhoc.target.url) == ({"order": 17, "who": "é"}, "https://app.example.com/hook")
    assert again[0].is_new is False
    assert [key.secret for key in keys["default"]] == ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    assert states[0]["old"].disabled_reason == "answered 410"
    assert states[1]["amux"].key_mark == "ab"


async def test_an_upgrade_keeps_a_private_copy_from_before_which_restore_puts_back(tmp_path):
    path = loaded(SCHEMAS / "v1.sql", tmp_path / "p.db")
    before = rows(path)

    await (await open_store(path)).close()
    kept = tmp_path / "p.db.schema-1"

    assert kept.stat().st_mode & 0o777 == 0o600
    assert rows(kept) == before
    restore(kept, path)
    assert rows(path) == before


@pytest.mark.parametrize("has_secret", [True, False])
async def test_a_copy_that_holds_secrets_in_the_clear_is_named_in_the_log(tmp_path, has_secret):
    path = loaded(SCHEMAS / "v4.sql", tmp_path / "p.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE endpoints SET secret = NULL")
        if has_secret:
            secret = "whsec_" + "c2VjcmV0" * 4
            connection.execute("INSERT INTO endpoints (name, secret) VALUES ('plain', ?)", (secret,))
        connection.commit()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with capture_logs() as logs:
        await (await open_store(path)).close()

    named = [line["copy"] for line in logs if line["event"] == "store.copy_holds_secrets"]
    assert named == ([str(tmp_path / "p.db.schema-4")] if has_secret else [])
    assert "c2VjcmV0" not in str(logs)


async def test_only_the_copy_of_the_last_upgrade_is_kept_and_a_database_of_today_gets_none(tmp_path):
    path = loaded(SCHEMAS / "v2.sql", tmp_path / "p.db")
    (tmp_path / "p.db.schema-1").write_text("older")

    for _ in range(2):
        await (await open_store(path)).close()

    assert [file.name for file in tmp_path.glob("*schema*")] == ["p.db.schema-2"]


@pytest.mark.parametrize("lack", ["room", "size"])
async def test_an_upgrade_without_room_for_a_copy_goes_on_without_one(tmp_path, monkeypatch, lack):
    path = loaded(SCHEMAS / "v1.sql", tmp_path / "p.db")
    if lack == "room":
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    else:
        monkeypatch.setattr("daemon.store.upgrade.LARGEST", 10)

    await (await open_store(path)).close()

    assert not list(tmp_path.glob("*schema*"))
    assert [task["remote_id"] for task in rows(path)["tasks"]][:2] == ["job-0", "job-1"]


async def test_an_upgrade_cut_short_between_two_migrations_leaves_the_schema_and_the_copy_of_before(
    tmp_path, monkeypatch
):
    path = loaded(SCHEMAS / "v1.sql", tmp_path / "p.db")
    before, steps = rows(path), migrations()
    monkeypatch.setattr("daemon.store.migrate.migrations", lambda: [*steps[:3], "CREATE TABLE tasks (id);", *steps[4:]])
    with pytest.raises(StoreFault):
        await open_store(path)

    assert rows(path) == before
    monkeypatch.undo()
    await (await open_store(path)).close()

    assert [file.name for file in tmp_path.glob("*schema*")] == ["p.db.schema-1"]


async def test_copies_and_secrets_that_a_killed_start_left_half_made_are_swept_at_the_next_one(tmp_path):
    path = loaded(SCHEMAS / "v1.sql", tmp_path / "p.db")
    for name in ("p.db.schema-1", "store-key"):
        (tmp_path / f".{name}.0123456789abcdef").write_text("half")
    (tmp_path / ".store-key.old").write_text("not ours")

    await (await open_store(path)).close()

    assert sorted(file.name for file in tmp_path.glob(".*")) == [".store-key.old"]
