"""Where the processor time goes: ``python -m benchmarks.profiled api`` for a registration, ``delivery`` for a delivery.

Microseconds of each by thread, from ``/proc``, and the main thread's by whose code it was in (``benchmarks.sampled``).
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import api, delivery
from benchmarks.caller import call
from benchmarks.machine import SERVERS, TICKS, UNDER_TEST, Child, pinned
from benchmarks.outgoing import Plan
from benchmarks.subject import LaneSpec, Subject

SECONDS = 10.0
FEW = 0.01


def threads(pid: int) -> dict[int, float]:
    """Return the seconds of processor time of each thread of a process; the main one has its id."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        found[int(task.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    return found


def watched(child: Child, file: Path, work: Callable[[], int]) -> dict[str, float]:
    """Return microseconds of processor time for each of what *work* says it did, by thread and by owner."""
    pid = child.process.pid
    child.process.send_signal(signal.SIGUSR1)
    before = threads(pid)
    count = work()
    after = threads(pid)
    child.process.send_signal(signal.SIGUSR2)
    while not file.exists():
        time.sleep(0.05)
    spent = {id_: (seconds - before.get(id_, 0.0)) / count * 1e6 for id_, seconds in after.items()}
    main = spent.pop(pid)
    samples: dict[str, int] = json.loads(file.read_text())
    whole = sum(samples.values())
    shares = {f"  {name}": main * number / whole for name, number in samples.items() if number > FEW * whole}
    return {
        "main thread": main,
        **dict(sorted(shares.items(), key=lambda share: -share[1])),
        "other threads (the store)": sum(spent.values()),
    }


def registrations(folder: Path) -> dict[str, float]:
    """Profile single registrations over 64 connections."""
    file = folder / "samples.json"
    lane = LaneSpec(name="l0", url="http://127.0.0.1:9", gap=2.0, typical=api.TYPICAL)
    with Subject(folder / "daemon", [lane]) as subject, pinned(SERVERS):
        subject.start(sampled=file)
        _, requests, connections, _, _ = api.KINDS[0]

        def work() -> int:
            return call(subject.port, requests(subject.port, subject.token), connections, SECONDS).answers

        call(subject.port, requests(subject.port, subject.token), connections, 2.0)
        return watched(subject.process, file, work)


def deliveries(folder: Path) -> dict[str, float]:
    """Profile deliveries as fast as they go."""
    file = folder / "samples.json"
    with pinned(SERVERS), delivery.Receivers() as receivers:
        urls = {name: receivers.url(name) for name in delivery.NAMES}
        plan = Plan(endpoints=delivery.NAMES, rate=0.0, seconds=SECONDS + 5.0, stuck=[])
        words = ("courier", delivery.settings(folder / "daemon", urls), plan.told())
        with Child.module("benchmarks.sampled", str(file), "benchmarks.outgoing", *words, core=UNDER_TEST) as child:
            child.first_line()
            time.sleep(2.0)

            def work() -> int:
                count = receivers.count
                time.sleep(SECONDS)
                return receivers.count - count

            return watched(child, file, work)


def main(name: str) -> None:
    """Print the profile of *name*."""
    with tempfile.TemporaryDirectory() as folder:
        found = {"api": registrations, "delivery": deliveries}[name](Path(folder))
    table = Table("whose", "µs", title=f"processor time of one, {name}")
    for whose, spent in found.items():
        table.add_row(whose, f"{spent:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main(*sys.argv[1:])
