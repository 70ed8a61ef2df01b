"""top and tasks --follow: what happened between two looks, in 80 columns, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import struct
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from daemon.cli import dashboard
from daemon.cli.scrape import Look, _samples, quantile, rate
from daemon.observe.metrics import Metrics

pytestmark = pytest.mark.slow


LANE = {"name": "amux", "state": "ok", "reason": None, "tasks": 1204, "in_flight": 12, "rate": 10.0, "price": 0.15}
PARKED = LANE | {
    "name": "seacloud-production-europe",
    "state": "parked",
    "reason": "unauthorized: HTTP 401",
    "tasks": 3,
}
ENDPOINT = {
    "name": "default", "state": "ok", "reason": None, "pending": 4, "parked": 0, "dead": 1, "in_flight": 2,
}  # fmt: skip


def metrics(polls: int, quick: int, slow: int) -> bytes:
    return f"""# TYPE pollhook_polls_total counter
pollhook_polls_total{{lane="amux",result="running"}} {polls}
# TYPE pollhook_poll_lateness_seconds histogram
pollhook_poll_lateness_seconds_bucket{{lane="amux",le="0.01"}} {quick}
pollhook_poll_lateness_seconds_bucket{{lane="amux",le="0.5"}} {quick + slow}
pollhook_poll_lateness_seconds_bucket{{lane="amux",le="+Inf"}} {quick + slow}
pollhook_poll_lateness_seconds_count{{lane="amux"}} {quick + slow}
pollhook_poll_lateness_seconds_sum{{lane="amux"}} 1
""".encode()


def seen(at: float, content: bytes) -> Look:
    return Look(at=at, lanes=[], endpoints=[], samples=_samples(content.decode()))


def test_a_rate_is_what_came_between_two_looks_and_never_below_nought():
    first, then = seen(10.0, metrics(100, 0, 0)), seen(12.0, metrics(150, 0, 0))

    assert rate(first, then, "pollhook_polls_total", lane="amux") == 25.0
    assert rate(then, seen(14.0, metrics(3, 0, 0)), "pollhook_polls_total") == 0.0


def test_lateness_is_that_of_the_polls_between_two_looks():
    before, now = seen(0.0, metrics(0, 900, 100)), seen(1.0, metrics(0, 1000, 100))

    assert quantile(before, now, "pollhook_poll_lateness_seconds", 0.99, lane="amux") == 0.01
    assert quantile(now, seen(2.0, metrics(0, 1000, 110)), "pollhook_poll_lateness_seconds", 0.99) == 0.5
    assert quantile(now, now, "pollhook_poll_lateness_seconds", 0.99) is None


@pytest.fixture
def busy(api):
    api.on("GET", "/v1/providers", {"data": [LANE, PARKED], "next": None})
    api.on("GET", "/v1/endpoints", {"data": [ENDPOINT], "next": None})
    api.on("GET", "/metrics", metrics(100, 10, 0), metrics(112, 20, 0))
    return api


async def test_once_prints_figures_for_people_in_80_columns_without_colour(busy, pollhook):
    ran = await pollhook("top", "--once", "--interval", "0.2", COLUMNS="80")

    assert ran.status == 0, ran.err
    assert all(len(line) <= 80 for line in ran.out.splitlines()), ran.out
    assert "\x1b" not in ran.out
    assert "1,207 tasks" in ran.out
    assert "late p99 10 ms" in ran.out
    assert "seacloud-production-europe: unauthorized: HTTP 401" in ran.out
    names = [line.split()[0] for line in ran.out.splitlines() if line.startswith(("amux ", "seacloud-p"))]
    assert len(names) == 2
    assert names[1] == "amux", "the lane in trouble comes first"


async def test_once_as_json_is_one_object(busy, pollhook):
    ran = await pollhook("top", "--once", "--json", "--interval", "0.2")

    [shown] = ran.lines
    assert [lane["name"] for lane in shown["lanes"]] == [PARKED["name"], "amux"]
    assert 10 < shown["polls_per_second"] < 80
    assert shown["endpoints"][0]["dead"] == 1


async def test_on_a_terminal_it_is_drawn_anew_until_ctrl_c_and_then_exits_0(busy, environment):
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    own = environment | {"POLLHOOK_SERVER": busy.address, "POLLHOOK_TOKEN": "secret-token", "TERM": "xterm"}
    own.pop("COLUMNS", None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daemon", "top", "--interval", "0.2", stdin=slave, stdout=slave, stderr=slave, env=own
    )
    os.close(slave)

    async with asyncio.timeout(20):
        drawn = ""
        while drawn.count("1,207 tasks") < 2:
            drawn += (await asyncio.to_thread(os.read, master, 65536)).decode()
        process.send_signal(signal.SIGINT)
        status = await process.wait()
    os.close(master)

    assert status == 0
    assert "\x1b[?1049h" in drawn, "it draws on the terminal's other screen, so that nothing is left behind"
    assert "Traceback" not in drawn


async def test_following_prints_a_task_again_only_when_it_changes(api, start, shapes):
    other = shapes["task"] | {"id": "tsk_2", "status": "queued", "progress": None}
    page = [[shapes["task"]], [shapes["task"]], [other, shapes["succeeded"]]]
    api.on("GET", "/v1/tasks", *({"data": tasks, "next": None} for tasks in page))
    process = await start("tasks", "--follow", "--json", POLLHOOK_SERVER=api.address, POLLHOOK_TOKEN="secret-token")

    async with asyncio.timeout(20):
        lines = [json.loads(await process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()

    assert [(line["id"][:6], line["status"]) for line in lines] == [
        ("tsk_01", "running"), ("tsk_01", "succeeded"), ("tsk_2", "queued"),
    ]  # fmt: skip
    assert (process.returncode, err) == (0, b"")
    assert {asked.query["limit"] for asked in api.asked} == {"50"}


async def test_following_goes_with_no_end(api, pollhook):
    ran = await pollhook("tasks", "--follow", "--all")

    assert (ran.status, api.asked) == (2, [])


def test_every_metric_that_top_reads_is_one_that_the_daemon_shows():
    source = Path(dashboard.__file__).read_text()
    shown = Metrics().render().decode()

    for name in set(re.findall(r"\"(pollhook_(?:poll|delivery_attempts|task)\w*)\"", source)):
        assert f"# TYPE {name.removesuffix('_total')}" in shown, name


async def test_a_list_on_a_narrow_terminal_has_a_line_for_each_entry_with_its_whole_id(api, environment, shapes):
    api.on("GET", "/v1/tasks", {"data": [shapes["task"], shapes["succeeded"]], "next": None})
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    own = environment | {"POLLHOOK_SERVER": api.address, "POLLHOOK_TOKEN": "secret-token", "TERM": "dumb"}
    own.pop("COLUMNS", None)

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daemon", "tasks", stdin=slave, stdout=slave, stderr=slave, env=own
    )
    await process.wait()
    drawn = os.read(master, 65536).decode()
    os.close(slave)
    os.close(master)

    head, running, succeeded = drawn.splitlines()
    assert max(map(len, (head, running, succeeded))) <= 80
    assert running.startswith(shapes["task"]["id"])
    assert "running 40%" in running
    assert "11-21 20:11" in succeeded
