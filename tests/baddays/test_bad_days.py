"""Bad days on the real process: a clear message, the right exit code, and nothing lost that was acknowledged."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from daemon.demo.plan import Pace
from tests.e2e.rig import Rig

QUICK = Pace(queued=(0.0, 0.2), running=(0.3, 1.0))
STEADY = Pace(queued=(0.0, 0.1), running=(3.0, 4.0))
SLOW = Pace(queued=(0.0, 0.1), running=(60.0, 60.0))
IS_ROOT = os.geteuid() == 0
CAN_MOUNT = IS_ROOT and subprocess.run(["unshare", "--mount", "--net", "true"], check=False).returncode == 0
needs_mounts = pytest.mark.skipif(not CAN_MOUNT, reason="mounting and network namespaces need root")
pytestmark = pytest.mark.e2e
STEPPED = """
import sys, time
from pathlib import Path
real, offset = time.time, Path(sys.argv.pop(1))
time.time = lambda: real() + float(offset.read_text() or 0)
from daemon.cli.main import main
main()
"""


async def register(rig: Rig, count: int, name: str = "token360", **more: str) -> list[str]:
    tasks = []
    for _ in range(count):
        job = rig.simulation.providers[name].create()
        body = {"provider": name, "remote_id": job.id, "model": job.model} | more
        status, task = await rig.call("POST", "/v1/tasks", body)
        assert status == 201, task
        tasks.append(task["id"])
    return tasks


async def register_until_it_dies(rig: Rig, *, padding: int = 0) -> tuple[list[str], list[object]]:
    """Register for as long as the daemon lives; return what was acknowledged and what was answered instead."""
    acknowledged, refusals = [], []
    assert rig.process is not None
    async with asyncio.timeout(30):
        while rig.process.returncode is None:
            job = rig.simulation.providers["token360"].create()
            body = {"provider": "token360", "remote_id": job.id, "metadata": {"padding": "x" * padding}}
            try:
                status, answer = await rig.call("POST", "/v1/tasks", body)
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.05)
                continue
            if status == 201:
                acknowledged.append(answer["id"])
            else:
                refusals.append(answer)
    return acknowledged, refusals


async def all_told(rig: Rig, tasks: list[str]) -> None:
    await rig.until(lambda: {a["task_id"] for a in rig.receiver.arrivals} >= set(tasks), what="every end told")
    endings = Counter(event["body"]["data"]["task_id"] for event in await rig.all_events())
    assert set(endings.values()) <= {1}
    assert set(tasks) <= set(endings)


def why(rig: Rig, event: str) -> str:
    lines = rig.log_lines(event)
    assert lines, rig.log.read_text()[-2000:]
    return lines[-1]["why"]


@contextmanager
def small_disk(folder: Path, size: str):
    folder.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@needs_mounts
async def test_a_full_disk_ends_it_with_the_reason_and_after_room_is_made_all_is_told(tmp_path):
    with small_disk(tmp_path / "state", "3m") as disk:
        async with Rig(tmp_path, pace=STEADY) as rig:
            await rig.start()
            tasks = await register(rig, 5)
            (disk / "somebody-elses").write_bytes(b"x" * (shutil.disk_usage(disk).free - 200_000))

            more, refusals = await register_until_it_dies(rig, padding=3000)

            assert rig.process.returncode == 1
            assert "the disk is full; free some space" in why(rig, "service.failed")
            assert all(answer["code"] != "invalid_registration" for answer in refusals)
            (disk / "somebody-elses").unlink()
            await rig.start()
            await all_told(rig, tasks + more)


async def test_a_file_size_limit_is_a_full_disk_too(tmp_path):
    async with Rig(tmp_path, pace=STEADY) as rig:
        await rig.start()
        tasks = await register(rig, 3)
        await rig.stop()
        rig.log.write_text("")
        rig.under = ["sh", "-c", 'ulimit -f 600; exec "$@"', "sh"]
        await rig.start()

        more, _ = await register_until_it_dies(rig, padding=3000)

        assert rig.process.returncode == 1
        assert "file size" in why(rig, "service.failed") or "disk" in why(rig, "service.failed")
        rig.under = []
        await rig.start()
        await all_told(rig, tasks + more)


@pytest.mark.parametrize("moment", ["at the start", "while it runs"])
async def test_a_database_locked_by_another_process_is_named(tmp_path, moment):
    async with Rig(tmp_path, pace=STEADY) as rig:
        await rig.start()
        tasks = await register(rig, 3)
        if moment == "at the start":
            await rig.stop()
        with closing(sqlite3.connect(tmp_path / "state" / "pollhook.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            if moment == "at the start":
                assert await rig.start(expect_ready=False) == 3
                said = why(rig, "service.could_not_start")
            else:
                acknowledged, _ = await register_until_it_dies(rig)
                assert (acknowledged, rig.process.returncode) == ([], 1)
                said = why(rig, "service.failed")
            assert "another process holds its lock" in said
        await rig.start()
        await all_told(rig, tasks)


@needs_mounts
async def test_a_file_system_that_turns_read_only_ends_it_and_is_named_at_the_start(tmp_path):
    with small_disk(tmp_path / "state", "20m") as disk:
        async with Rig(tmp_path, pace=STEADY) as rig:
            await rig.start()
            tasks = await register(rig, 3)
            await rig.kill()
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

            assert await rig.start(expect_ready=False) == 3

            assert "mounted read-write" in why(rig, "service.could_not_start")
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            await rig.start()
            await all_told(rig, tasks)


async def test_too_few_open_files_lower_the_bounds_which_is_said_and_the_work_is_done(tmp_path):
    async with Rig(tmp_path, pace=QUICK) as rig:
        rig.under = ["sh", "-c", 'ulimit -n 100; exec "$@"', "sh"]
        await rig.start()
        tasks = [task for name in rig.simulation.providers for task in await register(rig, 40, name)]
        await all_told(rig, tasks)

        (line,) = rig.log_lines("limits.lowered")
        assert "100 open files are allowed" in line["why"]
        assert 4 <= line["polling_max_in_flight"] < 100
        assert "Too many open files" not in rig.log.read_text()
        await rig.stop()
        rig.under = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh"]
        assert await rig.start(expect_ready=False) == 3
        assert "LimitNOFILE=" in why(rig, "service.could_not_start")


async def test_a_soft_limit_of_open_files_is_raised_and_nothing_lowered(tmp_path):
    async with Rig(tmp_path) as rig:
        rig.under = ["sh", "-c", 'ulimit -S -n 100; exec "$@"', "sh"]
        await rig.start()

        assert not rig.log_lines("limits.lowered")


@needs_mounts
async def test_without_names_nothing_ends_and_when_they_are_back_all_is_told(tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("")
    async with Rig(tmp_path, pace=QUICK) as rig:
        lane, url = rig.simulation.base_urls["token360"], rig.receiver.url
        by_name = {"base_url": lane.replace("127.0.0.1", "localhost")}
        rig.write_config(
            **{"providers.token360": by_name, "endpoints.default": {"url": url.replace("127.0.0.1", "localhost")}}
        )
        nothing = "mount --bind /dev/null /etc/resolv.conf; mount --bind /dev/null /etc/gai.conf; "
        rig.under = ["unshare", "--mount", "sh", "-c", f'{nothing} mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
        await rig.start()
        (task,) = await register(rig, 1)
        (other,) = await register(rig, 1, "amux")

        async def missed() -> bool:
            return (await rig.call("GET", f"/v1/tasks/{task}"))[1]["last_miss"] is not None

        async def refused() -> bool:
            return bool((await rig.call("GET", "/v1/deliveries?state=pending"))[1]["data"])

        await rig.until(missed, what="a poll without news")
        await rig.until(refused, what="a delivery that waits")
        assert (await rig.call("GET", f"/v1/tasks/{task}"))[1]["ended_at"] is None
        hosts.write_text("127.0.0.1 localhost\n")
        await all_told(rig, [task, other])


@needs_mounts
async def test_without_any_network_it_starts_keeps_its_promises_and_stops(tmp_path):
    async with Rig(tmp_path, pace=QUICK) as rig:
        path = tmp_path / "api.sock"
        rig.write_config(server={"listen": [f"unix:{path}"]})
        rig.under = ["unshare", "--net"]
        rig.api = "http://localhost"
        await rig.session.close()
        rig.session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)))
        await rig.start()
        tasks = await register(rig, 5)

        async def missed() -> bool:
            shown = [(await rig.call("GET", f"/v1/tasks/{task}"))[1] for task in tasks]
            return all(task["last_miss"] for task in shown)

        await rig.until(missed, what="polls without news")
        assert await rig.stop() == 0
        rig.under = []
        await rig.start()
        await all_told(rig, tasks)


@pytest.mark.parametrize("hours", [5, -5])
async def test_a_clock_stepped_by_hours_ends_nothing_early_and_stalls_nothing(tmp_path, hours):
    offset = tmp_path / "offset"
    offset.write_text("0")
    async with Rig(tmp_path, pace=STEADY) as rig:
        rig.program = ["-c", STEPPED, str(offset)]
        await rig.start()
        tasks = await register(rig, 5)
        offset.write_text(str(hours * 3600))
        tasks += await register(rig, 5)

        async def ended() -> list[str]:
            shown = [(await rig.call("GET", f"/v1/tasks/{task}"))[1] for task in tasks]
            return [one["status"] for one in shown if one["ended_at"] is not None]

        async def all_ended() -> bool:
            return len(await ended()) == 10

        await rig.until(all_ended, what="every end, though the clock is wrong")
        assert set(await ended()) <= {"succeeded", "failed"}
        await rig.stop()
        offset.write_text("0")
        await rig.start()
        await all_told(rig, tasks)


@pytest.mark.parametrize("hours", [5, -5])
async def test_a_clock_stepped_while_it_was_down_ends_nothing_early_and_stalls_nothing(tmp_path, hours):
    offset = tmp_path / "offset"
    offset.write_text("0")
    async with Rig(tmp_path, pace=SLOW) as rig:
        rig.program = ["-c", STEPPED, str(offset)]
        await rig.start()
        tasks = await register(rig, 5, deadline="12h")
        await rig.stop()
        offset.write_text(str(hours * 3600))
        await rig.start()

        shown = [(await rig.call("GET", f"/v1/tasks/{task}"))[1] for task in tasks]

        assert [task["ended_at"] for task in shown] == [None] * 5
        waits = [_seconds(task["next_poll_at"]) - time.time() - hours * 3600 for task in shown]
        assert all(wait < 61 for wait in waits), "a wait that no lane would choose is cut to a minute"


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def test_a_credential_that_cannot_be_read_is_named(tmp_path):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "providers__amux__api_key").symlink_to("/nowhere/at/all")
    async with Rig(tmp_path) as rig:
        rig.environ = {"CREDENTIALS_DIRECTORY": str(credentials)}

        assert await rig.start(expect_ready=False) == 2

        assert "providers__amux__api_key: cannot be read: No such file" in rig.log.read_text()


@pytest.mark.parametrize("what", ["credential", "config"])
async def test_a_file_that_may_not_be_read_is_named(tmp_path, what):
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    key = credentials / "providers__amux__api_key"
    key.write_text("sk-never-read-012345")
    async with Rig(tmp_path) as rig:
        rig.environ = {"CREDENTIALS_DIRECTORY": str(credentials)}
        rig.under = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if IS_ROOT else []
        (key if what == "credential" else rig.config).chmod(0)

        assert await rig.start(expect_ready=False) == 2

        said = " ".join(rig.log.read_text().split())
        assert f"{key.name}: cannot be read: Permission denied" in said or "is not readable" in said


async def test_a_stale_socket_is_cleared_and_a_live_one_is_left_to_its_owner(tmp_path):
    path = tmp_path / "api.sock"
    async with Rig(tmp_path) as rig:
        rig.write_config(server={"listen": [f"127.0.0.1:{rig.port}", f"unix:{path}"]})
        await rig.start()
        await rig.kill()
        assert path.is_socket(), "a killed daemon leaves its socket"
        await rig.start()
        await rig.stop()

        with socket.socket(socket.AF_UNIX) as live:
            live.bind(str(path))
            live.listen()
            assert await rig.start(expect_ready=False) == 3
            assert "another process listens there" in why(rig, "service.could_not_start")
            assert path.is_socket()


@pytest.mark.parametrize("reader", ["hangs", "is gone"])
async def test_a_log_reader_that_hangs_or_goes_stops_no_work(tmp_path, reader):
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    async with Rig(tmp_path, pace=QUICK, tables={"log": {"level": "debug"}}) as rig:
        rig.under = ["sh", "-c", f'exec "$@" 2>{fifo}', "sh"]
        read = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        await rig.start()
        if reader == "is gone":
            os.close(read)
        tasks = await register(rig, 300)
        await all_told(rig, tasks)
        if reader == "hangs":
            while len(os.read(read, 65536)) == 65536:
                pass
            await register(rig, 1)
            assert b'"log.dropped"' in os.read(read, 65536)
            os.close(read)
        assert await rig.stop() == 0
