"""How many polls one core makes, and what a watched task weighs.

The daemon and its rivals ask the same server for the same tasks, in turn, on the same core; the daemon is frozen while
a rival runs. Gaps are so short that every one of them would like to ask more often than it can.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import UNDER_TEST, Child, middle
from benchmarks.report import Row, Wishes, compared, main, progress
from benchmarks.rivals import CONNECTIONS, LANES, lane
from benchmarks.server import Server
from benchmarks.subject import LaneSpec, Subject

WANTED = 20_000.0
LEAST_GAP = 0.05
FIRST_WITHIN = 30.0
RIVALS = {
    "aiohttp": "a bare aiohttp loop, 100 connections",
    "httpx": "one coroutine per task with httpx",
    "httpx-few": "the same, 10 connections",
    "threads": "one thread per task (at most 200)",
}
THROUGHPUT = {"aiohttp": (0.7, 0.9), "httpx": (10.0, 20.0)}
WEIGHT = (1024.0, 512.0)
PROMISED_AT = 100_000


@dataclass(slots=True)
class Rounds:
    """What was measured of one of them, a value per round."""

    rate: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    rss: list[float] = field(default_factory=list)
    load: list[float] = field(default_factory=list)


def window(server: Server, child: Child, seconds: float, into: Rounds) -> None:
    """Measure *child* for some seconds: requests, processor time, memory, and how busy the server was."""
    count, cpu, busy, began = server.total(), child.cpu, server.child.cpu, time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    polls = max(1, server.total() - count)
    into.rate.append(polls / took)
    into.cost.append((child.cpu - cpu) / polls * 1e6)
    into.load.append((server.child.cpu - busy) / took)
    into.rss.append(child.rss)


def rival(server: Server, name: str, words: Sequence[str], seconds: float, into: Rounds) -> None:
    """Start the rival, wait for its first requests, measure it and end it."""
    with Child.module("benchmarks.rivals", name, server.url, *words, core=UNDER_TEST) as child:
        child.first_line()
        count, began = server.total(), time.monotonic()
        while server.total() < count + 50 and time.monotonic() - began < FIRST_WITHIN:
            time.sleep(0.05)
        time.sleep(seconds / 3)
        window(server, child, seconds, into)


def at(
    tasks: int, rounds: int, seconds: float, folder: Path, *, manner: str = "ok", rivals: Sequence[str] = tuple(RIVALS)
) -> tuple[dict[str, Rounds], float]:
    """Measure all of them at *tasks* watched; return their rounds and the bytes per task of the daemon."""
    gap = max(LEAST_GAP, tasks / WANTED)
    found: defaultdict[str, Rounds] = defaultdict(Rounds)
    with Server() as server:
        specs = [
            LaneSpec(name=lane(n), url=server.url, gap=gap, manner=manner, slots=CONNECTIONS // LANES, timeout=600.0)
            for n in range(LANES)
        ]
        with Subject(folder, specs) as subject:
            subject.start()
            empty = subject.process.rss
            for spec in specs:
                subject.register(spec.name, tasks // LANES, over=gap)
            for _ in range(rounds):
                subject.process.thaw()
                time.sleep(seconds / 2)
                window(server, subject.process, seconds, found["daemon"])
                subject.process.freeze()
                for name in rivals:
                    rival(server, name, (str(tasks), str(gap)), seconds, found[name])
            weight = (max(found["daemon"].rss) - empty) / tasks
    return found, weight


def rows_of(tasks: int, found: dict[str, Rounds], weight: float) -> list[Row]:
    """Return what is said of one size."""
    ours, size = found["daemon"], f"at {tasks:,} tasks"
    rows = []
    for name, text in RIVALS.items():
        theirs, bounds = (text, middle(found[name].rate)), THROUGHPUT.get(name)
        rows.append(compared(f"polls/s {size}", middle(ours.rate), "/s", theirs, bounds=bounds))
    for name, text in RIVALS.items():
        theirs = (text, middle(found[name].cost))
        rows.append(compared(f"CPU per poll {size}", middle(ours.cost), "µs", theirs, better="lower"))
    floor, goal = WEIGHT if tasks >= PROMISED_AT else (None, None)
    rows.append(Row(measure=f"RSS per task {size}", value=weight, unit="B", floor=floor, goal=goal, better="lower"))
    theirs = (RIVALS["httpx"], max(found["httpx"].rss) / 2**20)
    rows.append(compared(f"RSS {size}", max(ours.rss) / 2**20, "MiB", theirs, better="lower"))
    busiest = max(load for each in found.values() for load in each.load)
    what = f"busiest the server was {size} (1 would make it the limit)"
    rows.append(Row(measure=what, value=busiest, unit="of a core", floor=0.9, better="lower"))
    return rows


def unlike(tasks: int, rounds: int, seconds: float, folder: Path) -> list[Row]:
    """Return how many polls there are where no answer has the bytes of the one before, so that each is read."""
    found, _ = at(tasks, rounds, seconds, folder, manner="new", rivals=("aiohttp",))
    ours, theirs = found["daemon"], found["aiohttp"]
    what = f"at {tasks:,} tasks, each answer new"
    rate, cost = (RIVALS["aiohttp"], middle(theirs.rate)), (RIVALS["aiohttp"], middle(theirs.cost))
    return [
        compared(f"polls/s {what}", middle(ours.rate), "/s", rate, bounds=THROUGHPUT["aiohttp"]),
        compared(f"CPU per poll {what}", middle(ours.cost), "µs", cost, better="lower"),
    ]


def measure(wishes: Wishes) -> Sequence[Row]:
    """Measure at each size."""
    sizes = (1000, 10_000) if wishes.quick else (1000, 10_000, 100_000)
    rounds, seconds = (1, 1.0) if wishes.quick else (5, 4.0)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        rows += unlike(1000, rounds, seconds, Path(folder))
    for tasks in sizes:
        progress(f"{tasks:,} tasks, {rounds} rounds")
        with tempfile.TemporaryDirectory() as folder:
            rows += rows_of(tasks, *at(tasks, rounds, seconds, Path(folder)))
    return rows


if __name__ == "__main__":
    sys.exit(main("polls", measure))
