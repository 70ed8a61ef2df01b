"""How soon an end is told: the provider's answer sent until the webhook received, by one clock; and how late polls are.

The provider and the receiver live in this process, on the other core, so both moments are read from the same clock.
In between lie the answer's reading, the durable commit (synchronous=FULL), the signature and the POST.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import Self

import uvloop

from benchmarks.machine import SERVERS, middle, pinned, quantile
from benchmarks.plot import Axis, Panel, draw
from benchmarks.report import Row, Wishes, main, progress
from benchmarks.scraped import lateness, quantile_between
from benchmarks.server import DONE, Server
from benchmarks.subject import BATCH, SECRET, LaneSpec, Subject
from benchmarks.wire import listen, told

RATES = (50, 200, 500)
PROMISED_AT = 200
TOLD = {"p50": (15.0, 8.0), "p99": (100.0, 40.0)}
LATE = (50.0, 20.0)
PATIENCE = 30.0
LANES, GAP = 5, 2.0
LOADS = (125, 250, 500, 1000, 2000, 4000)
LATE_AT = 1000
ACCEPTED = told("204 No Content", b"")
MARK = b'"remote_id":"'


class Ends:
    """A provider whose every answer is an end, and the receiver of the webhooks; both in a thread of this process."""

    def __init__(self) -> None:
        self.answered: dict[bytes, float] = {}
        self.received: dict[bytes, float] = {}
        self.ports: list[int] = []
        self._loop = uvloop.new_event_loop()
        self._is_open = Event()
        self._thread = Thread(target=self._serve, daemon=True)

    def delays(self) -> list[float]:
        """Return milliseconds from answer to webhook, for every end told so far."""
        return [1000 * (when - self.answered[task]) for task, when in self.received.items()]

    def _answer(self, target: bytes, body: bytes) -> bytes:
        del body
        self.answered.setdefault(target.rpartition(b"/")[2], time.perf_counter())
        return DONE

    def _receive(self, target: bytes, body: bytes) -> bytes:
        del target
        start = body.index(MARK) + len(MARK)
        self.received.setdefault(body[start : body.index(b'"', start)], time.perf_counter())
        return ACCEPTED

    def _serve(self) -> None:
        for answer in (self._answer, self._receive):
            _, port = self._loop.run_until_complete(listen(answer))
            self.ports.append(port)
        self._is_open.set()
        self._loop.run_forever()

    def __enter__(self) -> Self:
        """Open both servers."""
        self._thread.start()
        self._is_open.wait()
        return self

    def __exit__(self, *failure: object) -> None:
        """Let go of both servers."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


def telling(folder: Path, rate: int, seconds: float) -> tuple[list[float], int]:
    """Let tasks end at random moments, *rate* of them per second; return the delays and how many were never told."""
    count = int(rate * seconds)
    with ExitStack() as stack:
        stack.enter_context(pinned(SERVERS))
        ends = stack.enter_context(Ends())
        provider, hooks = ends.ports
        lane = LaneSpec(name="l0", url=f"http://127.0.0.1:{provider}", gap=5.0, manner="done")
        endpoint = {"url": f"http://127.0.0.1:{hooks}/hooks", "secret": SECRET}
        subject = stack.enter_context(Subject(folder, [lane], **{"endpoints.default": endpoint}))
        subject.start()
        subject.register("l0", count, over=seconds, lead=2.0 + count / BATCH, endpoint="default")
        until = time.monotonic() + 2.0 + count / BATCH + seconds + PATIENCE
        while len(ends.received) < count and time.monotonic() < until:
            time.sleep(0.05)
        return ends.delays(), count - len(ends.received)


def late(folder: Path, load: int, seconds: float) -> dict[str, float]:
    """Poll *load* times a second; return milliseconds of lateness as the server and as the daemon saw it."""
    tasks = int(load * GAP)
    with Server() as server:
        lanes = [LaneSpec(name=f"l{n}", url=server.url, gap=GAP) for n in range(LANES)]
        names = [lane.name for lane in lanes]
        with Subject(folder, lanes) as subject:
            subject.start()
            for name in names:
                subject.register(name, tasks // LANES, over=GAP)
            time.sleep(2 * GAP)
            before = lateness(subject.metrics(), names)
            server.record()
            cpu = subject.process.cpu
            time.sleep(seconds)
            used = (subject.process.cpu - cpu) / seconds
            found = [1000 * (gap - GAP) for gaps in server.gaps().values() for gap in gaps]
            after = lateness(subject.metrics(), names)
    own = 1000 * quantile_between(before, after, 0.99)
    return {"p50": quantile(found, 0.5), "p99": quantile(found, 0.99), "own": own, "core": used}


def measure(wishes: Wishes) -> Sequence[Row]:
    """Measure each rate in turn, several times over."""
    rounds, seconds = (1, 3.0) if wishes.quick else (5, 10.0)
    delays: dict[int, list[list[float]]] = {rate: [] for rate in RATES}
    untold = 0
    lates: dict[int, list[dict[str, float]]] = {load: [] for load in LOADS}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for rate in RATES:
            with tempfile.TemporaryDirectory() as folder:
                found, missing = telling(Path(folder), rate, seconds)
            delays[rate].append(found)
            untold += missing
        for load in LOADS if number == 0 and not wishes.quick else (LATE_AT,):
            with tempfile.TemporaryDirectory() as folder:
                lates[load].append(late(Path(folder), load, seconds))
    rows = [_told_row(rate, name, delays[rate]) for rate in RATES for name in TOLD]
    rows.append(Row(measure="ends never told", value=untold, unit="", floor=0, better="lower"))
    if not wishes.quick:
        picture(wishes, lates)
    return [*rows, *late_rows(lates[LATE_AT])]


def late_rows(lates: Sequence[dict[str, float]]) -> list[Row]:
    """Return how late polls are at the load that is promised."""
    rows = []
    for key, what in (("p50", "p50"), ("p99", "p99"), ("own", "p99 by the daemon's own histogram")):
        floor, goal = LATE if key == "own" else (None, None)
        value = middle([each[key] for each in lates])
        rows.append(Row(measure=f"lateness at 1,000 polls/s, {what}", value=value, unit="ms", floor=floor, goal=goal,
                        better="lower"))  # fmt: skip
    core = middle([each["core"] for each in lates])
    rows.append(Row(measure="core in use at 1,000 polls/s", value=core, unit="of a core", better="lower"))
    return rows


def picture(wishes: Wishes, lates: Mapping[int, Sequence[dict[str, float]]]) -> None:
    """Draw lateness over load."""
    shown = {"p50, seen from the server": "p50", "p99, seen from the server": "p99", "p99, start minus due": "own"}
    lines = {
        name: [(float(load), middle([each[key] for each in found])) for load, found in lates.items()]
        for name, key in shown.items()
    }
    across, upward = Axis("polls per second", LOADS), Axis("lateness, ms", (0.1, 1, 10, 100, 1000))
    wishes.results.mkdir(parents=True, exist_ok=True)
    told = draw([Panel("lateness over load, one core", lines, {})], across, upward)
    (wishes.results / "latency.svg").write_text(told)


def _told_row(rate: int, name: str, rounds: Sequence[Sequence[float]]) -> Row:
    floor, goal = TOLD[name] if rate == PROMISED_AT else (None, None)
    value = middle([quantile(delays, float(name[1:]) / 100) for delays in rounds])
    what = f"answer sent to webhook received, {rate} endings/s, {name}"
    return Row(measure=what, value=value, unit="ms", floor=floor, goal=goal, better="lower")


if __name__ == "__main__":
    sys.exit(main("latency", measure))
