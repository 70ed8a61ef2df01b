"""Deterministic simulation of the whole daemon: ``python -m tests.sim.run --seed 7`` plays one run and judges it.

A run is a day or more of simulated time: providers with outages, 429 storms, hanging, broken and slow answers;
receivers that refuse, hang and fail; clock steps; disk errors; the death of the process at random moments and at
commits. In the last hours the weather is fine, so that everything owed must arrive. The same seed gives the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import random
import sys
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from daemon.config import load
from daemon.core.errors import Fault
from daemon.core.record import Application, ToEndpoint
from daemon.observe.redactor import Redactor
from daemon.service.daemon import Daemon
from daemon.service.parts import Parts, assemble
from tests.engine.fakes import EPOCH
from tests.sim.judge import complaints
from tests.sim.people import TROUBLES, Job, Provider, Receiver
from tests.sim.world import SimLoop, World

HOUR = 3600.0
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RATE, BURST, SLOTS = 5.0, 5.0, 8
LEAST_HOURS = 6.0
LEFT_OUT = {"stalls", "gauges", "status", "watchdog", "reloads"}
CONFIG = """
[server]
listen = ["unix:{folder}/api.sock"]
[store]
path = "{folder}/pollhook.db"
[delivery]
schedule = ["5s", "30s", "2m", "10m", "30m", "1h", "2h", "2h", "4h", "6h"]
[endpoints.default]
url = "http://10.1.0.1:9001/hook"
secret = "{secret}"
[endpoints.other]
url = "http://10.1.0.2:9002/hook"
secret = "{secret}"
"""
LANE = """
[providers.{name}]
api_key = "sk-simulated-{name}-key"
base_url = "http://10.0.0.{number}:80"
rate = {rate}
burst = {burst}
concurrency = {slots}
min_gap = 2.0
timeout = 10.0
deadline = "{deadline}"
[providers.{name}.status]
request = "GET /jobs/{{id}}"
state = "state"
[providers.{name}.status.states]
queued = ["queued"]
running = ["running"]
succeeded = ["succeeded"]
failed = ["failed"]
canceled = ["canceled"]
[providers.{name}.status.fields]
progress = "progress"
outputs = "links"
[providers.{name}.typical]
duration = "90s"
"""


@dataclass
class Result:
    """What became of one run."""

    seed: int
    hours: float
    digest: str = ""
    tasks: int = 0
    polls: int = 0
    posts: int = 0
    crashes: int = 0
    faults: int = 0
    complaints: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)


class Run:
    """One seed."""

    def __init__(self, seed: int, hours: float, lanes: int, folder: Path) -> None:
        self.world, self.hours, self.folder = World(seed), hours, folder
        self.plan = random.Random(seed + 10)
        self.providers = [f"p{n}" for n in range(lanes)]
        self.result = Result(seed, hours)
        self.acked: dict[str, tuple[Provider, str, str]] = {}
        self.parts: Parts | None = None
        self.deaths: list[float] = []

    async def play(self) -> Result:
        with self.world.in_place():
            self._people()
            self._write_config()
            self._forecast()
            drivers = [self._spawn(each) for each in (self._register(), self._step_clock(), self._kill())]
            await self._live_on(until=self.hours * HOUR)
            for driver in drivers:
                driver.cancel()
        return self.result

    def _people(self) -> None:
        now, network = self._now, self.world.network
        self.truth = {name: Provider(name, now, random.Random(f"{self.world.seed}/{name}")) for name in self.providers}
        for number, provider in enumerate(self.truth.values(), 1):
            network.hosts[(f"10.0.0.{number}", 80)] = provider
        self.receivers = {
            name: Receiver(
                now, lambda: EPOCH + self._now() + self.world.step, random.Random(f"{self.world.seed}/{name}"), SECRET
            )
            for name in ("default", "other")
        }
        network.hosts[("10.1.0.1", 9001)] = self.receivers["default"]
        network.hosts[("10.1.0.2", 9002)] = self.receivers["other"]

    def _write_config(self) -> None:
        text = CONFIG.format(folder=self.folder, secret=SECRET)
        for number, name in enumerate(self.providers, 1):
            deadline = "2h" if number == 1 else "30d"
            text += LANE.format(name=name, number=number, rate=RATE, burst=BURST, slots=SLOTS, deadline=deadline)
        self.config = self.folder / "config.toml"
        self.config.write_text(text)
        self.config.chmod(0o600)

    def _forecast(self) -> None:
        """Bad weather in the first three fifths of the run."""
        clears = self.hours * HOUR * 0.6
        for person in (*self.truth.values(), *self.receivers.values()):
            for _ in range(self.plan.randint(2, 6)):
                begins = self.plan.uniform(0, self.hours * HOUR * 0.5)
                lasts = self.plan.choice((30.0, 300.0, 2000.0, 7200.0))
                share = self.plan.choice((0.05, 0.5, 1.0))
                person.weather.windows.append((begins, min(begins + lasts, clears), self.plan.choice(TROUBLES), share))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(coroutine, name="sim")

    async def _register(self) -> None:
        number, until = 0, self.hours * HOUR * 0.55
        while self._now() < until:
            await asyncio.sleep(self.plan.expovariate(1 / 240.0))
            for _ in range(self.plan.choice((1, 1, 1, 3, 25))):
                number += 1
                await self._register_one(number)

    async def _register_one(self, number: int) -> None:
        name = self.plan.choice(self.providers)
        provider, remote = self.truth[name], f"job{number}"
        outcome = self.plan.choices(("succeeded", "failed", "canceled"), (8, 2, 1))[0]
        duration = self.plan.choice((2.0, 20.0, 90.0, 90.0, 600.0)) * self.plan.lognormvariate(0, 0.5)
        provider.jobs[remote] = Job(self._now(), duration, outcome)
        endpoint = self.plan.choice(("default", "other"))
        application = Application(provider=name, remote_id=remote, model="m", target=ToEndpoint(name=endpoint))
        while True:
            parts, generation = self.parts, self.world.generation
            if parts is not None:
                asking = asyncio.ensure_future(parts.tasks.register([application], None))
                asking.set_name("daemon.register")
                done, _ = await asyncio.wait([asking], timeout=30.0)
                if (
                    done
                    and not asking.cancelled()
                    and asking.exception() is None
                    and generation == self.world.generation
                ):
                    self.acked[asking.result()[0].record.id] = (provider, remote, endpoint)
                    return
                asking.cancel()
            await asyncio.sleep(1.0)

    async def _step_clock(self) -> None:
        for _ in range(self.plan.randint(0, 3)):
            await asyncio.sleep(self.plan.uniform(0, self.hours * HOUR * 0.15))
            self.world.step += self.plan.choice((-7200.0, -60.0, -1.0, 1.0, 90.0, 10_000.0))
            self.world.note(f"clock steps to {self.world.step:+g} s")

    async def _kill(self) -> None:
        until = self.hours * HOUR * 0.55
        while self._now() < until:
            await asyncio.sleep(self.plan.expovariate(1 / (self.hours * HOUR * 0.08)))
            chance = self.plan.random()
            if chance < 0.4:
                self.world.note("killed")
                self.world.crashed.set()
            elif chance < 0.8:
                self.world.crash_at_commit = 0.05
            else:
                self.world.disk_error = 0.05

    async def _live_on(self, until: float) -> None:
        """Start the daemon, and again whenever it has died, as systemd does."""
        while self._now() < until:
            self.world.crashed.clear()
            self.world.generation += 1
            self.world.crash_at_commit = self.world.disk_error = 0.0
            life = asyncio.get_running_loop().create_task(self._life(until), name="daemon.life")
            crash = self._spawn(self._crashed())
            await asyncio.wait([life, crash], return_when=asyncio.FIRST_COMPLETED)
            await self._bury(life)
            crash.cancel()
            await asyncio.sleep(2.0)

    async def _crashed(self) -> None:
        await self.world.crashed.wait()
        self.result.crashes += 1

    async def _life(self, until: float) -> None:
        settings = load(self.config, {}, {})
        async with contextlib.AsyncExitStack() as stack:
            parts = await assemble(settings, stack, environ={}, hide=lambda _: None)
            await parts.recover()
            self.parts = parts
            daemon = Daemon(settings, read=lambda: settings, redactor=Redactor(()), environ={})
            workers = daemon._workers(parts)
            kept = [work for name, work in workers.items() if name not in LEFT_OUT]
            for name in LEFT_OUT & workers.keys():
                workers[name].close()
            try:
                async with asyncio.TaskGroup() as group:
                    for work in kept:
                        group.create_task(work, name="daemon.worker")
                    await asyncio.sleep(until - self._now())
                    await self._judge(parts)
                    raise _Over
            except* _Over:
                pass

    async def _judge(self, parts: Parts) -> None:
        self.result.complaints = await complaints(parts, self.acked, self.truth, self.receivers, self.deaths)
        self.result.tasks = len(self.acked)
        self.result.polls = sum(len(each.polls) for each in self.truth.values())
        self.result.posts = sum(len(h.times) for each in self.receivers.values() for h in each.heard.values())
        self.result.digest, self.result.trace = self._digest(), self.world.events

    def _digest(self) -> str:
        for provider in self.truth.values():
            for at, remote in provider.polls:
                self.world._digest.update(f"{at:.6f}{remote}".encode())
        return self.world.digest

    async def _bury(self, life: asyncio.Task[None]) -> None:
        """End a process as SIGKILL does: nothing of it goes on, and what it held is let go."""
        self.deaths.append(self._now())
        parts, self.parts = self.parts, None
        self.world.crashed.set()
        ends = self.world.network.drop_all()
        if life.done() and not life.cancelled() and (error := life.exception()) is not None:
            self.result.faults += 1
            self.world.note("the daemon ended by a fault" if _is_fault(error) else f"the daemon ended: {_told(error)}")
            if not _is_fault(error):
                self.result.complaints.append(f"the daemon died of a bug: {_told(error)}")
        mine = [task for task in asyncio.all_tasks() if task.get_name() != "sim" and task is not asyncio.current_task()]
        mine.sort(key=asyncio.Task.get_name)  # a set comes in another order each time
        for task in mine:
            task.cancel()
        await asyncio.sleep(0.01)
        for end in ends:
            end.connection_lost(None)
        await asyncio.wait(mine, timeout=0.5) if mine else None
        for task in mine:
            if task.done() and not task.cancelled():
                task.exception()
        if parts is not None:
            parts.store.lock.close()
            for connection in (parts.store.database._writer, parts.store.database._reader):
                if connection._connection is not None:
                    connection._connection.close()


class _Over(Exception):
    """The run has come to its end."""


def _is_fault(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_fault, error.exceptions))
    return isinstance(error, Fault | asyncio.CancelledError)


def _told(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(_told, error.exceptions))
    return f"{type(error).__name__}: {error}"


def play(seed: int, hours: float = 24.0, lanes: int = 3) -> Result:
    """Play one seed and return what became of it."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the dead leave tasks behind, on purpose
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    memory = Path("/dev/shm")  # an fsync of the real disk is real time, and adds nothing here
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        asyncio.Runner(loop_factory=SimLoop) as runner,
    ):
        return runner.run(Run(seed, hours, lanes, Path(folder)).play())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds, one after another")
    parser.add_argument("--hours", type=float, default=24.0, help="simulated hours of each run")
    parser.add_argument("--twice", action="store_true", help="play each seed again and compare the two to the byte")
    parser.add_argument("--trace", action="store_true", help="print what happened to the world")
    asked = parser.parse_args()
    if asked.hours < LEAST_HOURS:
        parser.error(f"a run takes {LEAST_HOURS:g} hours or more, or what waits for its next attempt cannot arrive")
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"  # sets of texts are walked in another order otherwise
        os.execv(sys.executable, [sys.executable, "-m", "tests.sim.run", *sys.argv[1:]])
    bad = 0
    for seed in range(asked.seed, asked.seed + asked.runs):
        result = play(seed, asked.hours)
        if asked.twice and play(seed, asked.hours).digest != result.digest:
            result.complaints.append("played again, the same seed gave another run")
        print(
            f"seed {seed}: {result.hours:g} h, {result.tasks} tasks, {result.polls} polls, {result.posts} webhooks, "
            f"{result.crashes} crashes, {result.faults} ends by fault, trace {result.digest}: "
            f"{'FAILED' if result.complaints else 'ok'}",
            flush=True,
        )
        for line in result.trace if asked.trace or result.complaints else ():
            print("   ", line)
        for text in result.complaints[:20]:
            print("  !", text)
        bad += bool(result.complaints)
    if bad:
        print(f"{bad} of {asked.runs} runs failed; play one again with --seed N --trace")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
