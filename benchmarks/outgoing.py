"""The delivering half of the daemon as a process, and what it is measured against: ``python -m benchmarks.outgoing``.

``courier SETTINGS PLAN``: the daemon's own parts (store with synchronous=FULL, courier, sender) on those settings;
events are committed, signed, sent and recorded as endings are, without the polls that would come before. ``bare URL``:
nothing but POSTs of as many bytes, 100 at a time, on one aiohttp session.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

import aiohttp
import uvloop
from daemon.config import Settings
from daemon.engine.courier import Courier
from daemon.observe.logs import configure
from daemon.observe.redactor import Redactor
from daemon.service.daemon import settle_garbage
from daemon.service.parts import assemble

from benchmarks.subject import SECRET

CONNECTIONS = 100
OWED_AT_MOST = 1000
PAD = "x" * 500
KIND = "task.succeeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send: to *endpoints* in turn at *rate* events/s (0: as fast as they go), for *seconds*.

    Each of *stuck* is owed *backlog* events at the start.
    """

    endpoints: list[str]
    rate: float
    seconds: float
    stuck: list[str]
    backlog: int = 0

    def told(self) -> str:
        """Return the plan as one word of a command line."""
        return json.dumps(asdict(self))


async def courier(settings: Settings, plan: Plan) -> None:
    """Carry out *plan* and end once every event of it was sent."""
    async with AsyncExitStack() as stack:
        parts = await assemble(settings, stack, environ={}, hide=lambda _: None)
        settle_garbage()
        courier = parts.courier
        pump = stack.enter_context(_running(courier))
        for name in plan.stuck:
            await asyncio.gather(*(courier.send_test(KIND, _facts(), name) for _ in range(plan.backlog)))
        await asyncio.sleep(0.5)
        _say("started")
        began = time.monotonic()
        if plan.rate:
            await _at_a_rate(courier, plan, began)
        else:
            await asyncio.gather(*(_flat_out(courier, plan, began, n) for n in range(CONNECTIONS)))
        while any(len(courier.pump.lanes[name]) for name in plan.endpoints):  # noqa: ASYNC110 (outside of what is timed)
            await asyncio.sleep(0.05)
        pump.cancel()


async def _at_a_rate(courier: Courier, plan: Plan, began: float) -> None:
    """Publish at random moments, whether or not what went before has arrived."""
    dice, at, number = random.Random(7), began, 0  # noqa: S311 (a simulation)
    async with asyncio.TaskGroup() as group:
        while (at := at + dice.expovariate(plan.rate)) < began + plan.seconds:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            name = plan.endpoints[number % len(plan.endpoints)]
            number += 1
            group.create_task(courier.send_test(KIND, _facts(), name))


async def _flat_out(courier: Courier, plan: Plan, began: float, number: int) -> None:
    lanes, names = courier.pump.lanes, plan.endpoints
    name = names[number % len(names)]
    while time.monotonic() < began + plan.seconds:
        if name in lanes and len(lanes[name]) > OWED_AT_MOST / len(names):
            await asyncio.sleep(0.05)
            continue
        await courier.send_test(KIND, _facts(), name)


def _running(courier: Courier) -> _Cancelled:
    return _Cancelled(asyncio.get_running_loop().create_task(courier.pump.run()))


class _Cancelled:
    """A task that the ``with`` cancels."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task

    def __enter__(self) -> asyncio.Task[None]:
        """Return the task."""
        return self.task

    def __exit__(self, *failure: object) -> None:
        """Cancel it."""
        self.task.cancel()


def _facts() -> dict[str, object]:
    return {"at": time.monotonic(), "pad": PAD}


async def bare(url: str) -> None:
    """POST as fast as one session can."""
    body = json.dumps({"type": KIND, "timestamp": "2026-11-21T20:11:40.512Z", "data": _facts()}).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "bare", "webhook-id": "msg_0000000000000000000000000"}

    async def one(session: aiohttp.ClientSession) -> None:
        while True:
            async with session.post(url, data=body, headers=headers) as response:
                await response.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        _say("started")
        await asyncio.gather(*(one(session) for _ in range(CONNECTIONS)))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _main(role: str, first: str, *rest: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if role == "bare":
            runner.run(bare(first))
            return
        settings = Settings.model_validate_json(first)
        with settings.store.path.with_name("daemon.log").open("a") as log:
            configure(settings.log.level, "json", log, Redactor([SECRET]))
            runner.run(courier(settings, Plan(**json.loads(rest[0]))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
