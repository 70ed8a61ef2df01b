"""backup, restore and export: a file that comes back as it was, and every entry as a line."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from daemon.store.store import open_store
from tests.store.conftest import newcomer

TASKS = [{"id": f"tsk_{n}", "registered_at": f"2026-11-21T20:1{n}:00.000Z"} for n in (3, 2, 1)]
DELIVERIES = [{"id": "dlv_1", "created_at": "2026-11-21T20:11:00.000Z", "state": "dead"}]


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(f'[server]\nlisten = ["127.0.0.1:1"]\n[store]\npath = "{tmp_path}/state/p.db"\n')
    return str(file)


async def register(tmp_path, *names: str) -> None:
    store = await open_store(tmp_path / "state" / "p.db")
    await store.watchlist.add([newcomer(name) for name in names])
    await store.close()


def remote_ids(path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT remote_id FROM tasks ORDER BY seq")]


async def test_what_was_backed_up_comes_back_by_restore(pollhook, tmp_path, config):
    await register(tmp_path, "a", "b")
    made = await pollhook("backup", str(tmp_path / "b.db"), "--config", config, "--json", server=False)
    await register(tmp_path, "c")

    put_back = await pollhook("restore", str(tmp_path / "b.db"), "--config", config, "--json", server=False)

    assert (made.status, put_back.status) == (0, 0), put_back.err
    assert made.lines[0]["bytes"] == (tmp_path / "b.db").stat().st_size
    assert (tmp_path / "b.db").stat().st_mode & 0o777 == 0o600
    assert remote_ids(tmp_path / "state" / "p.db") == ["a", "b"]
    assert remote_ids(put_back.lines[0]["replaced"]) == ["a", "b", "c"]


async def test_a_backup_is_taken_from_a_database_in_use_and_a_restore_is_not(pollhook, tmp_path, config):
    store = await open_store(tmp_path / "state" / "p.db")
    await store.watchlist.add([newcomer("a")])

    made = await pollhook("backup", str(tmp_path / "b.db"), "--config", config, server=False)
    refused = await pollhook("restore", str(tmp_path / "b.db"), "--config", config, server=False)
    await store.close()

    assert (made.status, refused.status) == (0, 1)
    assert "in use by another Pollhook daemon" in refused.err
    assert "stop the daemon first" in refused.err
    assert remote_ids(tmp_path / "b.db") == ["a"]


async def test_a_backup_replaces_nothing_and_needs_a_folder_and_a_database(pollhook, tmp_path, config):
    nothing = await pollhook("backup", str(tmp_path / "b.db"), "--config", config, server=False)
    await register(tmp_path, "a")
    (tmp_path / "b.db").write_text("mine")

    there = await pollhook("backup", str(tmp_path / "b.db"), "--config", config, server=False)
    nowhere = await pollhook("backup", "/nowhere/b.db", "--config", config, server=False)

    assert (nothing.status, there.status, nowhere.status) == (1, 2, 2)
    assert "no database" in nothing.err
    assert "name a new file" in there.err
    assert "no folder /nowhere" in nowhere.err
    assert (tmp_path / "b.db").read_text() == "mine"


@pytest.mark.parametrize("content", [None, "no database " * 99])
async def test_what_is_no_backup_is_not_restored(pollhook, tmp_path, config, content):
    if content:
        (tmp_path / "b.db").write_text(content)

    ran = await pollhook("restore", str(tmp_path / "b.db"), "--config", config, server=False)

    assert (ran.status, "nothing was restored" in ran.err) == (1, True)
    assert not (tmp_path / "state" / "p.db").exists()


@pytest.fixture
def listed(api, shapes):
    api.on("GET", "/v1/tasks", {"data": TASKS[:2], "next": "c"}, {"data": TASKS[2:], "next": None})
    events = [shapes["event"](n) for n in (1, 2)]
    api.on("GET", "/v1/events", {"data": events, "next": "2"}, {"data": [], "next": "2"})
    api.on("GET", "/v1/deliveries", {"data": DELIVERIES, "next": None})
    return api


async def test_an_export_is_every_entry_as_a_line_that_says_what_it_is(pollhook, listed):
    ran = await pollhook("export")

    assert ran.status == 0, ran.err
    assert [line["object"] for line in ran.lines] == ["task"] * 3 + ["event"] * 2 + ["delivery"]
    assert ran.lines[0] == {"object": "task", **TASKS[0]}
    assert ran.lines[3]["body"]["data"]["remote_id"] == "r1"


async def test_an_export_is_of_what_was_named_and_no_older_than_since(pollhook, listed):
    ran = await pollhook("export", "tasks", "--since", "2026-11-21T20:12:00Z")
    none = await pollhook("export", "deliveries", "tasks", "--since", "1h")

    assert [line["id"] for line in ran.lines] == ["tsk_3", "tsk_2"]
    assert (none.status, none.out) == (0, "")


async def test_an_export_cannot_begin_at_nonsense(pollhook, api):
    ran = await pollhook("export", "--since", "yesterday")

    assert (ran.status, api.asked) == (2, [])
    assert 'got "yesterday"' in ran.err


async def test_a_reader_that_has_enough_ends_an_export_without_a_trace(start, api):
    api.on("GET", "/v1/tasks", {"data": TASKS * 100, "next": "more"})
    process = await start("export", "tasks", POLLHOOK_SERVER=api.address, POLLHOOK_TOKEN="secret-token")

    first = json.loads(await process.stdout.readline())
    process.stdout._transport.close()
    err = await process.stderr.read()
    status = await process.wait()

    assert first["object"] == "task"
    assert (status, b"Traceback" in err) == (1, False)
