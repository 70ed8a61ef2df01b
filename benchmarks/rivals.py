"""What Pollhook is measured against, each a process: ``python -m benchmarks.rivals NAME URL TASKS GAP``.

``aiohttp``: nothing but requests, 100 at a time, on one session. ``httpx``: the providers' own loop, one coroutine per
task, on a client as it comes (100 connections). ``httpx-few``: the same on 10, since httpx slows down with every more.
``threads``: the same as one thread per task, at most 200 of them at once, which then take turns at the tasks.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from itertools import cycle
from threading import Thread
from urllib.parse import urlsplit

import aiohttp
import httpx
import uvloop

LANES = 5
CONNECTIONS = 100
FEW = 10
THREADS = 200
HEADERS = {"Authorization": "Bearer k"}


def lane(number: int) -> str:
    """Return the name of the lane that the task of that number is in."""
    return f"l{number % LANES}"


def targets(url: str, tasks: int) -> list[str]:
    """Return the status URL of each task, the same that the daemon asks."""
    return [f"{url}/ok/{lane(n)}/t{n // LANES}" for n in range(tasks)]


async def bare(urls: list[str], gap: float) -> None:
    """Ask as fast as one session can, in turn, and read each answer."""
    del gap
    turn = cycle(urls)

    async def one(session: aiohttp.ClientSession, turn: Iterator[str]) -> None:
        for url in turn:
            async with session.get(url) as response:
                await response.read()

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:
        await asyncio.gather(*(one(session, turn) for _ in range(CONNECTIONS)))


async def coroutines(urls: list[str], gap: float, connections: int = CONNECTIONS) -> None:
    """Ask as the providers' documents do, one coroutine per task on one client.

    The semaphore is a kindness: the client's own pool looks through all who wait each time that a connection is free.
    """
    slots = asyncio.Semaphore(connections)

    async def watch(client: httpx.AsyncClient, url: str) -> None:
        await asyncio.sleep(random.random() * gap)  # noqa: S311 (spread)
        while True:
            async with slots:
                response = await client.get(url, headers=HEADERS)
            if response.json()["status"] == "completed":
                return
            await asyncio.sleep(gap)

    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(limits=limits, timeout=None) as client:  # noqa: S113 (a pool that is full is no fault)
        await asyncio.gather(*(watch(client, url) for url in urls))


async def few(urls: list[str], gap: float) -> None:
    """Ask as ``coroutines`` does, over as few connections as serve httpx best on a near server."""
    await coroutines(urls, gap, FEW)


def threads(urls: list[str], gap: float) -> None:
    """Ask as the providers' documents do, one thread per task with a connection of its own."""
    started = [Thread(target=_watch, args=(urls[n::THREADS], gap), daemon=True) for n in range(min(THREADS, len(urls)))]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def _watch(urls: list[str], gap: float) -> None:
    parts = urlsplit(urls[0])
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    time.sleep(random.random() * gap / len(urls))  # noqa: S311 (spread)
    for url in cycle(urls):
        line.request("GET", urlsplit(url).path, headers=HEADERS)
        json.loads(line.getresponse().read())
        time.sleep(gap / len(urls))


def _run(loop: Callable[[list[str], float], Coroutine[None, None, None]], urls: list[str], gap: float) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(loop(urls, gap))


def _main(name: str, url: str, tasks: str, gap: str) -> None:
    urls = targets(url, int(tasks))
    sys.stdout.write("started\n")
    sys.stdout.flush()
    if name == "threads":
        threads(urls, float(gap))
    else:
        _run({"aiohttp": bare, "httpx": coroutines, "httpx-few": few}[name], urls, float(gap))


if __name__ == "__main__":
    _main(*sys.argv[1:])
