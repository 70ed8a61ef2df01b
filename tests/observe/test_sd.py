from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.observe.sd import Notifier, keep_watchdog, watchdog_interval


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """A socket that listens as systemd does, and the environment that names it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@pollhook-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1))
        listener.settimeout(5)
        yield listener, {"NOTIFY_SOCKET": name}


def test_each_message_arrives_as_systemd_reads_it(manager):
    listener, environ = manager
    notifier = Notifier(environ)

    said = []
    for speak in (notifier.ready, notifier.stopping, notifier.watchdog, lambda: notifier.status("a\nREADY=0  b")):
        assert speak()
        said.append(listener.recv(4096).decode())

    assert said == ["READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=a READY=0 b"]


def test_a_reload_tells_its_time(manager):
    listener, environ = manager

    assert Notifier(environ).reloading()

    first, second = listener.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_without_systemd_nothing_happens(environ):
    assert not Notifier(environ).ready()


def test_a_manager_that_does_not_read_holds_nobody_up(manager):
    _, environ = manager
    notifier = Notifier(environ)

    sent = [notifier.watchdog() for _ in range(10_000)]

    assert sent[0]
    assert not sent[-1]


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(environ, interval):
    assert watchdog_interval(environ) == interval


async def test_the_watchdog_is_not_fed_while_something_stands_still(manager):
    listener, environ = manager
    reasons = iter(["a pump stands still", "a pump stands still", None])
    seen = []

    def standstill():
        seen.append(next(reasons))
        return seen[-1]

    with pytest.raises(RuntimeError):
        await keep_watchdog(Notifier(environ), 0.001, standstill)

    assert seen == ["a pump stands still", "a pump stands still", None]
    assert listener.recv(4096) == b"WATCHDOG=1"
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.recv(4096)


async def test_without_a_watchdog_nobody_looks():
    await keep_watchdog(Notifier({}), None, lambda: pytest.fail("looked"))
