"""How many registrations one core takes, single and in batches, against a server that only parses the body.

Every 201 of the daemon stands for a durable commit (synchronous=FULL); the bare server keeps nothing. Who waits for a
commit shares it, so with few callers it is the disk that is measured; what one flush of it takes is told, too.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from benchmarks.caller import Tally, call, post
from benchmarks.machine import SERVERS, UNDER_TEST, Child, middle, pinned
from benchmarks.report import Row, Wishes, compared, main, progress
from benchmarks.subject import BATCH, LaneSpec, Subject

CONNECTIONS, FEW, BATCHERS = 64, 16, 4
FLUSHES = 100
SINGLE = (0.4, 0.6)
BATCHED = (10_000.0, 25_000.0)
TYPICAL = 1200.0
"""So long that nothing is polled before the end of the run."""
NUMBERS = count()


def registration() -> dict[str, object]:
    """Return a registration of a job that was never registered before."""
    return {
        "provider": "l0",
        "remote_id": f"job-{next(NUMBERS):012d}",
        "model": "seedance-2.0",
        "metadata": {"order": 17, "customer": "c_1234567"},
    }


def singles(port: int, token: str) -> Iterator[bytes]:
    """Yield single registrations for ever."""
    while True:
        yield post("/v1/tasks", port, token, json.dumps(registration()).encode())


def batches(port: int, token: str) -> Iterator[bytes]:
    """Yield full batches for ever."""
    while True:
        body = json.dumps({"tasks": [registration() for _ in range(BATCH)]}).encode()
        yield post("/v1/tasks/batch", port, token, body)


KINDS: tuple[tuple[str, Callable[[int, str], Iterator[bytes]], int, int, int], ...] = (
    ("single", singles, CONNECTIONS, 201, 1),
    ("few", singles, FEW, 201, 1),
    ("batch", batches, BATCHERS, 200, BATCH),
)
"""What is sent, over how many connections, which status is right, and how many tasks one request holds."""


def taken(tally: Tally, status: int) -> float:
    """Return answers per second; every one of them must be *status*."""
    assert set(tally.statuses) == {status}, tally.statuses
    return tally.answers / tally.seconds


def rounds_of(rounds: int, seconds: float, subject: Subject, bare: Child) -> dict[str, list[float]]:
    """Take turns between the daemon and the bare server."""
    port = int(bare.first_line())
    found: defaultdict[str, list[float]] = defaultdict(list)
    token = subject.token
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for name, requests, connections, status, each in KINDS:
            cpu = subject.process.cpu
            tally = call(subject.port, requests(subject.port, token), connections, seconds)
            found[name].append(each * taken(tally, status))
            found["client"].append(tally.busy)
            found[f"{name} cpu"].append((subject.process.cpu - cpu) / tally.answers / each * 1e6)
            subject.process.freeze()
            cpu = bare.cpu
            tally = call(port, requests(port, token), connections, seconds)
            subject.process.thaw()
            found[f"{name} bare"].append(each * taken(tally, 201))
            if each == 1:
                found["client"].append(tally.busy)
            found[f"{name} bare cpu"].append((bare.cpu - cpu) / tally.answers / each * 1e6)
    return found


def flush_seconds(folder: Path) -> float:
    """Return the median time of one small durable write to the disk of *folder*."""
    times = []
    with (folder / "flushed").open("wb", buffering=0) as file:
        for _ in range(FLUSHES):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return middle(times)


def measure(wishes: Wishes) -> Sequence[Row]:
    """Register, singly and in batches."""
    rounds, seconds = (1, 1.5) if wishes.quick else (5, 4.0)
    with tempfile.TemporaryDirectory() as folder:
        lane = LaneSpec(name="l0", url="http://127.0.0.1:9", gap=2.0, typical=TYPICAL)
        with (
            Subject(Path(folder), [lane]) as subject,
            Child.module("benchmarks.bare", core=UNDER_TEST) as bare,
            pinned(SERVERS),
        ):
            subject.start()
            values_of = rounds_of(rounds, seconds, subject, bare)
            found = {name: middle(values) for name, values in values_of.items()}
        flush = flush_seconds(Path(folder))
    rows = rows_of(found)
    rows.append(Row(measure="one flush of the disk (fdatasync)", value=flush * 1e3, unit="ms", better="lower"))
    what = "busiest the client was (1 would make it the limit; a bare server's batches left out)"
    rows.append(Row(measure=what, value=max(values_of["client"]), unit="of a core", floor=0.9, better="lower"))
    return rows


def rows_of(found: Mapping[str, float]) -> list[Row]:
    """Return what is said of the rates and of what they cost."""
    rival = "a bare aiohttp server"
    single, few, cost, batch, batch_cost = (
        (rival, found[name]) for name in ("single bare", "few bare", "single bare cpu", "batch bare", "batch bare cpu")
    )
    rows = [
        compared(f"single registrations/s, {CONNECTIONS} connections", found["single"], "/s", single, bounds=SINGLE)
    ]
    rows.append(compared(f"the same, {FEW} connections", found["few"], "/s", few))
    rows.append(compared("CPU per single registration", found["single cpu"], "µs", cost, better="lower"))
    what, (floor, goal) = "tasks/s in batches of 1,000, 4 connections", BATCHED
    rows.append(
        Row(measure=what, value=found["batch"], unit="/s", rival=batch[0], against=batch[1], floor=floor, goal=goal)
    )
    rows.append(compared("CPU per task in a batch", found["batch cpu"], "µs", batch_cost, better="lower"))
    return rows


if __name__ == "__main__":
    sys.exit(main("api", measure))
