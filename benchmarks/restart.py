"""How soon the daemon works again with a full watchlist, and whether a herd forms.

It is killed with everything due, and started again when everything is overdue.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import middle
from benchmarks.report import Row, Wishes, main, progress
from benchmarks.server import Server
from benchmarks.subject import BATCH, LaneSpec, Subject

LANES, RATE = 10, 100.0
GAP = 120.0
OVER = 2.0
BATCH_SECONDS = 0.2
WATCHED_FOR = 5.0
READY = (3.0, 1.0)
ALLOWED = 1.02


def full(folder: Path, tasks: int, rounds: int, seconds: float = WATCHED_FOR) -> list[dict[str, float]]:
    """Kill and start a daemon that watches *tasks*; return what was measured each time."""
    with Server() as server:
        lanes = [LaneSpec(name=f"l{n}", url=server.url, gap=GAP, rate=RATE) for n in range(LANES)]
        with Subject(folder, lanes) as subject:
            subject.start()
            due = time.monotonic() + 1.0 + tasks / BATCH * BATCH_SECONDS
            for spec in lanes:
                subject.register(spec.name, tasks // LANES, over=OVER, lead=max(0.0, due - time.monotonic()))
            subject.process.kill()
            time.sleep(max(0.0, due + OVER - time.monotonic()))
            return [_once(server, subject, seconds) for _ in range(rounds)]


def _once(server: Server, subject: Subject, seconds: float) -> dict[str, float]:
    server.record()
    began = time.monotonic()
    ready = subject.start()
    memory, cpu = subject.process.rss, subject.process.cpu
    time.sleep(seconds + 1.0)
    arrivals = server.arrivals()
    subject.process.kill()
    first = min(times[0] for times in arrivals.values())
    early = [when for times in arrivals.values() for when in times if when < first + seconds]
    densest = max(_densest_second(times) for times in arrivals.values())
    return {
        "ready": ready,
        "first": first - began,
        "early": len(early),
        "densest": densest,
        "memory": memory,
        "cpu": cpu,
    }


def _densest_second(times: Sequence[float]) -> int:
    start, most = 0, 0
    for end, when in enumerate(times):
        while times[start] < when - 1.0:
            start += 1
        most = max(most, end - start + 1)
    return most


def measure(wishes: Wishes) -> Sequence[Row]:
    """Start an empty and a full daemon."""
    tasks, rounds = (10_000, 1) if wishes.quick else (100_000, 5)
    progress(f"{tasks:,} tasks are registered first")
    with tempfile.TemporaryDirectory() as folder:
        found = full(Path(folder), tasks, rounds)
    with tempfile.TemporaryDirectory() as folder, Subject(Path(folder), []) as empty:
        starts = []
        for _ in range(rounds):
            starts.append(empty.start())
            empty.stop()
    return rows_of(tasks, found, middle(starts))


def rows_of(tasks: int, found: Sequence[dict[str, float]], empty: float) -> list[Row]:
    """Return what is said of the starts; seconds are held against their floors as they are."""
    size = f"{tasks:,} overdue tasks"
    ready, first, early, densest = (
        middle([each[key] for each in found]) for key in ("ready", "first", "early", "densest")
    )
    rate, allowed = RATE + 1, LANES * (RATE * WATCHED_FOR + 1)
    return [
        Row(
            measure=f"exec to ready, {size}", value=ready, unit="s", rival="an empty database", against=empty,
            floor=READY[0], goal=READY[1], better="lower",
        ),
        Row(
            measure=f"CPU from exec to ready, {size}", value=middle([each["cpu"] for each in found]), unit="s",
            better="lower",
        ),
        Row(measure=f"exec to first poll, {size}", value=first, unit="s", better="lower"),
        Row(
            measure=f"polls in the first {WATCHED_FOR:g} s, {size}", value=early, unit="", rival="the rate allows",
            against=allowed, ratio=early / allowed, floor=ALLOWED, better="lower",
        ),
        Row(
            measure="most polls of one lane in any second", value=densest, unit="", rival="the rate allows",
            against=rate, ratio=densest / rate, better="lower",
        ),
        Row(
            measure=f"RSS at that moment, {size}", value=middle([each["memory"] for each in found]) / 2**20,
            unit="MiB", better="lower",
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main("restart", measure))
