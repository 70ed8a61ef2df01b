"""The whole show, from the first task to the exit status.

Simulated providers and the receiver run as processes of their own, the daemon as the real command. It is killed with
SIGKILL when half of the webhooks have arrived, started again, and must then bring every other one.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
from rich.console import Console

from daemon.core.observation import Json
from daemon.demo.companion import CompanionLost
from daemon.demo.customer import RegistrationRefused
from daemon.demo.display import Display
from daemon.demo.house import IN_FLIGHT, DaemonDown
from daemon.demo.stage import Stage, staged
from daemon.demo.summary import Kill, Verdict, judge_show, table

LIMIT_SECONDS = 50.0
ORDER_SECONDS = 8.0
LOOK_GAP = 0.25
TROUBLES = 5
FAULTS: dict[str, Json] = {
    "throttled": 0.008,
    "server_error": 0.02,
    "hang": 0.004,
    "html": 0.01,
    "unknown_word": 0.05,
    "retry_after": 1,
    "hang_seconds": 4.0,
}


async def run(
    *, tasks: int = 200, seed: int = 1, keep: bool = False, speed: float = 1.0, console: Console | None = None
) -> int:
    """Run the show with *tasks* tasks; return 0 where every ending was told once and signed, 1 otherwise.

    *keep* leaves the folder with the database, the config file and the daemon's log. *speed* divides the durations
    of the tasks. SIGTERM ends the show as Ctrl-C
    does: everything it started is stopped first.
    """
    console = console or Console()
    verdict: Verdict | None = None
    with _folder(console, keep=keep) as folder, _ended_by_sigterm():
        try:
            with Display(console, tasks) as display:
                verdict = await _perform(folder, tasks, seed, speed=speed, display=display)
        except* (DaemonDown, CompanionLost, RegistrationRefused, aiohttp.ClientError) as failures:
            for failure in _leaves(failures):
                console.print(f"The show is over: {failure}", style="red", markup=False, highlight=False)
    return 1 if verdict is None else _conclude(console, verdict)


async def _perform(folder: Path, tasks: int, seed: int, *, speed: float, display: Display) -> Verdict:
    end = time.monotonic() + LIMIT_SECONDS
    async with staged(folder, FAULTS | {"seed": seed, "speed": speed}) as stage:
        took = await stage.open_house()
        display.say(f"daemon ready after {took:.2f} s; five providers, one receiver, {tasks} tasks")
        async with asyncio.TaskGroup() as group:
            ordering = group.create_task(stage.customer.order(tasks, ORDER_SECONDS / speed), name="ordering")
            kill = await _follow(stage, tasks, display, ordering=ordering, end=end)
            ordering.cancel()
        verdict = judge_show(await stage.truth(), stage.arrivals, await stage.recorded(), kill)
        return replace(verdict, remarks=[*verdict.remarks, *_troubles(stage)])


async def _follow(
    stage: Stage, tasks: int, display: Display, *, ordering: asyncio.Task[None], end: float
) -> Kill | None:
    """Watch until every ending is delivered, or the time is over; kill the daemon half way."""
    kill: Kill | None = None
    while time.monotonic() < end:
        delivered = await stage.look()
        display.update(stage.customer.registered, await stage.truth(), delivered)
        if kill is None and ordering.done() and delivered.total() * 2 >= tasks:
            kill = await _kill(stage, display)
        elif kill is not None and delivered.total() >= tasks:
            return kill
        await asyncio.sleep(LOOK_GAP)
    return kill


async def _kill(stage: Stage, display: Display) -> Kill:
    killed_at = time.time()
    await stage.house.kill()
    display.say("[red]kill -9[/red]: the daemon is gone")
    took = await stage.open_house()
    display.say(f"[green]started again[/green], ready after {took:.2f} s")
    return Kill(killed_at=killed_at, ready_at=time.time(), in_flight=IN_FLIGHT)


def _troubles(stage: Stage) -> list[str]:
    return [f"the daemon's log has {trouble}" for trouble in stage.house.troubles()[:TROUBLES]]


def _conclude(console: Console, verdict: Verdict) -> int:
    console.print(table(verdict.rows))
    for remark in verdict.remarks:
        console.print(remark, style="dim", markup=False, highlight=False)
    for complaint in verdict.complaints:
        console.print(complaint, style="red", markup=False, highlight=False)
    if verdict.complaints:
        return 1
    told = sum(row.verified for row in verdict.rows)
    console.print(f"All {told} endings told, signed and once each, across a kill -9.", style="green", highlight=False)
    return 0


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[BaseException]:
    for member in group.exceptions:
        if isinstance(member, BaseExceptionGroup):
            yield from _leaves(member)
        else:
            yield member


@contextmanager
def _folder(console: Console, *, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pollhook-demo-"))
    try:
        yield folder
    finally:
        if keep:
            console.print(f"Database, config and log are kept in {folder}", highlight=False)
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
