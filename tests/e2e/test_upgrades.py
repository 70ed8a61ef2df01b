"""The real daemon on a database of another time: an older schema goes on, a newer one is refused, a backup comes back."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from daemon.store.migrate import migrations
from tests.e2e.rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SCHEMAS = Path(__file__).parents[1] / "store" / "schemas"


def put(folder: Path, sql: str) -> Path:
    (folder / "state").mkdir(mode=0o700)
    path = folder / "state" / "pollhook.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(sql)
    return path


async def test_the_tasks_and_events_of_the_first_schema_are_served_by_todays_daemon(tmp_path):
    path = put(tmp_path, (SCHEMAS / "v1.sql").read_text())
    async with Rig(tmp_path) as rig:
        await rig.start()

        _, tasks = await rig.call("GET", "/v1/tasks?status=succeeded")
        feed = await rig.all_events()

    assert {task["remote_id"] for task in tasks["data"]} == {"job-1", "job-url"}
    assert [event["type"] for event in feed[:3]] == ["task.succeeded", "task.failed", "task.succeeded"]
    assert path.with_name("pollhook.db.schema-1").exists()
    assert rig.log_lines("store.upgrading")[0]["to_schema"] == len(migrations())


async def test_a_database_of_a_newer_version_is_refused_with_exit_3_and_left_alone(tmp_path):
    newest = max(SCHEMAS.glob("v*.sql"), key=lambda dump: int(dump.stem[1:])).read_text()
    path = put(tmp_path, newest + "PRAGMA user_version = 99;")
    before = path.read_bytes()
    async with Rig(tmp_path) as rig:
        status = await rig.start(expect_ready=False)

        log = rig.log.read_text()

    assert status == 3
    assert "is from a newer Pollhook: schema version 99" in log
    assert "start the newer version again, or put a backup" in log
    assert path.read_bytes() == before


async def pollhook(rig: Rig, *words: str) -> tuple[int, str]:
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-m", "daemon", *words, "--config", str(rig.config))
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_a_backup_of_the_running_daemon_restored_after_a_crash_is_watched_to_its_end(tmp_path):
    async with Rig(tmp_path) as rig:
        await rig.start()
        jobs = [rig.simulation.providers["amux"].create() for _ in range(2)]
        bodies = [{"provider": "amux", "remote_id": job.id, "model": job.model} for job in jobs]
        _, task = await rig.call("POST", "/v1/tasks", bodies[0])
        backed_up = await pollhook(rig, "backup", str(tmp_path / "backup.db"))
        _, later = await rig.call("POST", "/v1/tasks", bodies[1])
        under_way = await pollhook(rig, "restore", str(tmp_path / "backup.db"))
        await rig.kill()

        restored = await pollhook(rig, "restore", str(tmp_path / "backup.db"))
        await rig.start()

        assert (backed_up[0], under_way[0], restored[0]) == (0, 1, 0), restored
        assert (await rig.call("GET", f"/v1/tasks/{later['id']}"))[0] == 404
        assert (await rig.call("GET", f"/v1/tasks/{task['id']}?wait=20"))[1]["ended_at"]
        await rig.until(lambda: any(task["id"] in str(arrival) for arrival in rig.receiver.arrivals))
