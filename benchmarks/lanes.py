"""Whether bad neighbours hurt: lateness of healthy lanes alone, and beside one that hangs, throttles, garbles, is big.

Lateness is taken from outside, where the server sees it: the time between two polls of a task less the gap it was due
after. So it holds the whole of what a poll waits for, the last answer's reading included.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import middle, quantile
from benchmarks.report import Row, Wishes, compared, main, progress
from benchmarks.scraped import lateness, quantile_between
from benchmarks.server import Server
from benchmarks.subject import LaneSpec, Subject

HEALTHY = 16
TASKS, GAP = 20, 1.0
BAD = {"hanging": "hang", "throttled": "busy", "garbled": "junk"}
BAD_TASKS = 200
BIG_TASKS, BIG_GAP = 10_000, 20.0
ISOLATION = (2.0, 1.2)
NAMES = tuple(f"h{n}" for n in range(HEALTHY))
Late = dict[str, float]


def alone(folder: Path, seconds: float) -> Late:
    """Measure the healthy lanes with nobody beside them."""
    with Server() as server, Subject(folder, _healthy(server.url)) as subject:
        subject.start()
        return _measured(server, subject, seconds)


def in_company(folder: Path, seconds: float) -> Late:
    """Measure the healthy lanes beside the four others."""
    with Server() as server:
        bad = [LaneSpec(name=name, url=server.url, gap=GAP, manner=manner, timeout=2.0) for name, manner in BAD.items()]
        big = LaneSpec(name="big", url=server.url, gap=BIG_GAP)
        with Subject(folder, [*_healthy(server.url), *bad, big]) as subject:
            subject.start()
            for spec in bad:
                subject.register(spec.name, BAD_TASKS, over=GAP)
            subject.register(big.name, BIG_TASKS, over=BIG_GAP)
            return _measured(server, subject, seconds)


def _healthy(url: str) -> list[LaneSpec]:
    return [LaneSpec(name=name, url=url, gap=GAP) for name in NAMES]


def _measured(server: Server, subject: Subject, seconds: float) -> Late:
    for name in NAMES:
        subject.register(name, TASKS, over=GAP)
    time.sleep(2 * GAP + 1.0)
    before, before_count = lateness(subject.metrics(), NAMES), _polls(server)
    server.record()
    time.sleep(seconds)
    after_count, gaps = _polls(server), server.gaps()
    after = lateness(subject.metrics(), NAMES)
    late = [1000 * (gap - GAP) for name in NAMES for gap in gaps[name]]
    return {
        "p50": quantile(late, 0.5),
        "p99": quantile(late, 0.99),
        "p99 by the daemon's own histogram": 1000 * quantile_between(before, after, 0.99),
        "polls": (after_count - before_count) / seconds,
    }


def _polls(server: Server) -> int:
    counts = server.counts()
    return sum(counts[name] for name in NAMES)


def measure(wishes: Wishes) -> Sequence[Row]:
    """Take turns between the two, each on a fresh daemon."""
    rounds, seconds = (1, 3.0) if wishes.quick else (5, 10.0)
    found: defaultdict[str, list[Late]] = defaultdict(list)
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for name, run in (("alone", alone), ("company", in_company)):
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(run(Path(folder), seconds))
    rows = []
    for key in ("p50", "p99", "p99 by the daemon's own histogram"):
        ours, theirs = (middle([late[key] for late in found[name]]) for name in ("company", "alone"))
        bounds = ISOLATION if key == "p99" else None
        what = f"lateness of {HEALTHY} healthy lanes beside 4 bad or big ones, {key}"
        rows.append(compared(what, ours, "ms", ("alone", theirs), bounds=bounds, better="lower"))
    ours, theirs = (middle([late["polls"] for late in found[name]]) for name in ("company", "alone"))
    rows.append(compared("polls/s of the healthy lanes in that company", ours, "/s", ("alone", theirs)))
    return rows


if __name__ == "__main__":
    sys.exit(main("lanes", measure))
