"""The real client and the real sender against one mad answer at a time, over real sockets: each case has a number.

A try must come back as a value, in time, without holding the event loop, and may say nothing final: the answers are made
around a task that runs. What the loop does is measured in processor time, so that a busy machine is not blamed on it.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import resource
import socket
import threading
import time
from collections import Counter
from dataclasses import replace

import uvloop

from daemon.core.delivery import Accepted, Delivery, Refused
from daemon.core.endpoint import Endpoint
from daemon.core.event import Event
from daemon.core.ids import DeliveryId, EventId, TaskId
from daemon.core.observation import Missed, Pending
from daemon.core.signing import hmac_key
from daemon.core.task import LaneName, Task
from daemon.net.guard import Guard
from daemon.net.lean import Lean
from daemon.net.session import open_session
from daemon.providers.catalog import Catalog
from daemon.providers.client import HttpProvider
from daemon.webhooks.sender import HttpSender, open_way
from tests.e2e.rig import SECRET
from tests.fuzz.answers import Script, script
from tests.fuzz.cases import Part

DEADLINE = 1.0
WORKERS = 8
OVER = 4.0  # for the making of the answer, and for a machine that is busy
HELD_SECONDS = 0.15
RUNNING = {"status": "in_progress", "progress": 0.5, "detail": {"queue": [1, 2, {"eta": None}]}, "note": "é\u20ac"}


class Mad(threading.Thread):
    """A server in a thread of its own that answers each connection with ``script``."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.script: Script = []

    def run(self) -> None:
        while True:
            line, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(line, list(self.script)), daemon=True).start()

    def _serve(self, line: socket.socket, pieces: Script) -> None:
        line.settimeout(DEADLINE + 2)
        try:
            with line:
                line.recv(65536)
                for piece, pause in pieces:
                    time.sleep(pause)
                    if piece is None:
                        line.recv(1)
                        return
                    line.sendall(piece)
        except OSError:
            pass


class Held:
    """The longest stretch of processor time that the loop's thread spent between two ticks."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def tick(self) -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0.002)
            now = time.thread_time()
            self.worst, last = max(self.worst, now - last), now


def polls(part: Part, seconds: float, case: int | None) -> None:
    """Poll."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_polls(part, seconds, case))


def posts(part: Part, seconds: float, case: int | None) -> None:
    """Post."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_posts(part, seconds, case))


async def _polls(part: Part, seconds: float, case: int | None) -> None:
    table = {
        "base_url": "http://127.0.0.1:1/v1", "api_key": "sk-fuzz-0123456789", "timeout": DEADLINE,
        "status": {"request": "GET /{id}", "state": "status", "states": {"running": ["in_progress"], "succeeded": ["completed"]},
                   "fields": {"progress": "progress", "outputs": "url", "error_message": "detail", "queue_position": "detail.queue[0]"}},
    }  # fmt: skip
    async with open_session(guard=None, keep_alive=5.0) as session:
        lean = Lean(session, keep_alive=5.0)
        catalog, made = Catalog(), {}
        task = Task(id=TaskId("tsk_1"), provider=LaneName("fuzz"), remote_id="abc", model=None, updated_at=0.0, born=0.0,
                    deadline=1e12, next_at=0.0)  # fmt: skip

        async def attempt(dice: random.Random, mad: Mad) -> str:
            if mad.port not in made:
                account = catalog.account("fuzz", table | {"base_url": f"http://127.0.0.1:{mad.port}/v1"})
                made[mad.port] = HttpProvider(account, session, time.time, lean=lean)
            mad.script = await asyncio.to_thread(script, dice, RUNNING, may_blame_key=True)
            seen = await made[mad.port].poll(task)
            assert isinstance(seen, Pending | Missed), f"{seen!r:.200}"
            return str(seen.miss) if isinstance(seen, Missed) else "pending"

        await _sweep(part, attempt, seconds, case)
        lean.close()


async def _posts(part: Part, seconds: float, case: int | None) -> None:
    endpoint = Endpoint(name="fuzz", url="http://127.0.0.1:1/hook", keys=(hmac_key(SECRET),), is_trusted=True,
                        timeout=DEADLINE, store_response=True)  # fmt: skip
    trusted, untrusted = open_way(Guard(is_trusted=True)), open_way(Guard())
    sender = HttpSender(
        lambda owed: replace(endpoint, url=f"http://127.0.0.1:{owed.endpoint}/hook"),
        trusted=trusted,
        untrusted=untrusted,
        now_at=time.time,
    )
    event = Event(
        id=EventId("msg_1"), type="task.succeeded", task_id=None, created_at=0.0, body=b'{"type":"task.succeeded"}'
    )

    async def attempt(dice: random.Random, mad: Mad) -> str:
        mad.script = await asyncio.to_thread(script, dice, {"ok": True}, may_blame_key=True)
        delivery = Delivery(id=DeliveryId("dlv_1"), event_id=EventId("msg_1"), endpoint=str(mad.port), url=None)
        got = await sender.send(delivery, event)
        assert isinstance(got, Accepted | Refused), f"{got!r:.200}"
        assert isinstance(got, Refused) or 200 <= got.http_status < 300, f"{got!r:.200}"
        return str(got.refusal) if isinstance(got, Refused) else "accepted"

    await _sweep(part, attempt, seconds, case)
    await trusted.close()
    await untrusted.close()


async def _sweep(part: Part, attempt, seconds: float, case: int | None) -> None:
    """Try eight cases at a time for *seconds*, or *case* alone."""
    until, numbers, told, low = time.monotonic() + seconds, itertools.count(), Counter(), _peak()
    held, in_flight = Held(), set()
    ticking = asyncio.create_task(held.tick())

    async def one(number: int, mad: Mad) -> None:
        began = time.monotonic()
        in_flight.add(number)
        try:
            async with asyncio.timeout(DEADLINE + 10):
                told[await attempt(part.dice(number), mad)] += 1
        except Exception as failure:
            part.fail(number, f"{type(failure).__name__}: {failure!s:.300}")
        took = time.monotonic() - began
        if took > DEADLINE + OVER:
            part.fail(number, f"came back after {took:.2f} s, not {DEADLINE}")
        if held.worst > HELD_SECONDS:
            part.fail(
                number,
                f"the loop was held for {held.worst * 1000:.0f} ms of processor time by one of {sorted(in_flight)}",
            )
            held.worst = 0.0
        part.facts["held the loop at most"] = max(
            str(part.facts.get("held the loop at most", "")), f"{held.worst * 1000:4.0f} ms"
        )
        in_flight.discard(number)
        part.slowest, part.tried = max(part.slowest, took), part.tried + 1

    async def worker() -> None:
        mad = Mad()
        mad.start()
        while time.monotonic() < until and len(part.failures) < 20:
            await one(next(numbers) if case is None else case, mad)
            if case is not None:
                return

    await asyncio.gather(*(worker() for _ in range(WORKERS if case is None else 1)))
    ticking.cancel()
    grown = _peak() - low
    part.facts |= {"told": dict(told), "peak memory grew by MiB, the makers of the answers included": round(grown)}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
