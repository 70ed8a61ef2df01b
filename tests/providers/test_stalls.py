"""No answer, however vast or vile, keeps the event loop from others for 50 ms, from the socket to the shelf.

The machine may be busy with other work: a control in the same run, a thread that only counts, tells what stalls come
from that, and of three tries the calmest counts. Parsing in one piece stalls each of them for a tenth of a second and
more.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from daemon.core.event import fitted
from daemon.core.observation import Ended, Observation
from daemon.providers.catalog import Catalog
from daemon.providers.client import HttpProvider
from daemon.service.daemon import settle_garbage
from daemon.store.store import open_store

pytestmark = pytest.mark.slow

BOUND = 0.050
TICK = 0.001
TRIES = 3
ENDS = ["data", "escaped", "lines", "many", "text", "keys", "integer", "integers"]
REFUSED = ["zeros", "objects", "lists", "deep", "bomb"]


@pytest.fixture(scope="module")
def vast() -> Iterator[str]:
    script = Path(__file__).with_name("vast.py")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


@pytest.fixture(scope="module", autouse=True)
def _collector_as_in_the_daemon() -> Iterator[None]:
    before = gc.get_threshold()
    settle_garbage()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


class Meter:
    """The longest time that the loop was late for a tick, in seconds."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def __aenter__(self) -> Self:
        self._ticking = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *failure: object) -> None:
        await asyncio.sleep(TICK)
        self._ticking.cancel()

    async def _tick(self) -> None:
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            self.worst = max(self.worst, time.perf_counter() - due)


def _count(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(1000))


async def _control() -> float:
    async with Meter() as meter:
        await asyncio.to_thread(_count, 0.3)
    return meter.worst


@pytest.mark.parametrize("kind", [*ENDS, *REFUSED])
async def test_no_answer_stalls_the_loop(vast, session, make_task, tmp_path, kind):
    status = {"request": "GET /{id}", "state": "state", "states": {"succeeded": ["done"]}, "fields": {"outputs": "url"}}
    table = {"base_url": vast, "api_key": "sk-vast-0123456789", "timeout": 60, "max_bytes": 64 * 2**20}
    provider = HttpProvider(Catalog().account("vast", table | {"status": status}), session, time.time)
    store = await open_store(tmp_path / "state" / "pollhook.db")
    told: list[str] = []

    for _ in range(TRIES):
        control = await _control()
        async with Meter() as meter:
            seen = await provider.poll(make_task(kind))
            await _kept(store, seen)
            kinds = isinstance(seen, Ended)
            del seen
        told.append(f"{meter.worst * 1000:.0f} ms (control {control * 1000:.0f} ms)")
        if meter.worst < BOUND + control:
            break
    else:
        pytest.fail(f"stalled in each of {TRIES} tries: {', '.join(told)}")

    await store.close()
    assert kinds == (kind in ENDS)


async def test_no_page_of_many_tasks_stalls_the_loop(vast, session, make_task):
    status = {"request": "GET /{id}", "state": "state", "states": {"succeeded": "done", "running": "busy"}}
    batch = {"request": "GET /page", "items": "items", "id": "id", "max": 300}
    table = {"base_url": vast, "api_key": "sk-vast-0123456789", "timeout": 60, "max_bytes": 64 * 2**20, "batch": batch}
    table["status"] = status | {"fields": {"outputs": "url"}}
    provider = HttpProvider(Catalog().account("vast", table), session, time.time)
    tasks = [make_task(name, id=name) for name in ("a", *map(str, range(250)))]
    told: list[str] = []

    for _ in range(TRIES):
        control = await _control()
        async with Meter() as meter:
            seen = await provider.poll_many(tasks)
        told.append(f"{meter.worst * 1000:.0f} ms (control {control * 1000:.0f} ms)")
        if meter.worst < BOUND + control:
            break
    else:
        pytest.fail(f"stalled in each of {TRIES} tries: {', '.join(told)}")

    assert isinstance(seen["a"], Ended)
    assert len(seen["a"].outputs[0].inline.content) == 6 * 2**20
    assert len(seen) == 201


async def _kept(store, seen: Observation) -> None:
    if isinstance(seen, Ended):
        for number, output in enumerate(fitted(seen).outputs):
            if output.inline is not None:
                await store.shelf.keep("tsk_vast", number, output.inline)
