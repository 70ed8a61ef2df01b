"""How many signed, durable deliveries one core makes, how soon the first attempt is, and whether bad neighbours hurt.

The receivers live in this process, on the other core. An event carries the moment at which it was made, so the delay is
read from one clock: in between lie the durable commit of the event, the signature and the POST.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Self

import uvloop

from benchmarks.machine import SERVERS, UNDER_TEST, Child, middle, pinned, quantile
from benchmarks.outgoing import CONNECTIONS, Plan
from benchmarks.report import Row, Wishes, compared, main, progress
from benchmarks.subject import SECRET
from benchmarks.wire import listen, told

ENDPOINTS = 10
RATES = (100, 500, 1000)
THROUGHPUT = (0.4, 0.6)
ISOLATION = (2.0, 1.2)
HANGING, HEALTHY_RATE, TIMEOUT = 50, 50.0, 2.0
BARE = f"a bare aiohttp POST loop, {CONNECTIONS} connections"
NAMES = [f"e{n}" for n in range(ENDPOINTS)]
ACCEPTED = told("204 No Content", b"")
MARK = b'"at":'


class Receivers:
    """Counts what arrives and how old it is; a target that begins with ``/hang`` is never answered."""

    def __init__(self) -> None:
        self.count = 0
        self.port = 0
        self.ages: defaultdict[bytes, list[float]] = defaultdict(list)
        self._loop = uvloop.new_event_loop()
        self._is_open = Event()
        self._thread = Thread(target=self._serve, daemon=True)

    def url(self, name: str, *, hangs: bool = False) -> str:
        """Return where the endpoint *name* stands."""
        return f"http://127.0.0.1:{self.port}/{'hang' if hangs else 'ok'}/{name}"

    def _answer(self, target: bytes, body: bytes) -> bytes | None:
        now, start = time.monotonic(), body.index(MARK) + len(MARK)
        if target.startswith(b"/hang"):
            return None
        self.count += 1
        self.ages[target].append(now - float(body[start : body.index(b",", start)]))
        return ACCEPTED

    def _serve(self) -> None:
        _, self.port = self._loop.run_until_complete(listen(self._answer))
        self._is_open.set()
        self._loop.run_forever()

    def __enter__(self) -> Self:
        """Open the port."""
        self._thread.start()
        self._is_open.wait()
        return self

    def __exit__(self, *failure: object) -> None:
        """Let go of it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


def settings(folder: Path, urls: dict[str, str], *, level: str = "warning", timeout: float = 20.0) -> str:
    """Return the daemon's settings as JSON; its database and its log are to lie in *folder*."""
    folder.mkdir(exist_ok=True)
    each = {"secret": SECRET, "concurrency": CONNECTIONS // ENDPOINTS}
    return json.dumps({
        "store": {"path": str(folder / "pollhook.db")},
        "log": {"level": level},
        "delivery": {"timeout": timeout},
        "endpoints": {name: {"url": url, **each} for name, url in urls.items()},
    })  # fmt: skip


def sent(receivers: Receivers, child: Child, seconds: float) -> dict[str, float]:
    """Measure what arrives for some seconds: a rate, and the processor time of one."""
    child.first_line()
    time.sleep(seconds / 4)
    count, cpu, began = receivers.count, child.cpu, time.monotonic()
    time.sleep(seconds)
    took, found = time.monotonic() - began, receivers.count - count
    return {"rate": found / took, "cost": (child.cpu - cpu) / max(1, found) * 1e6}


def flat_out(folder: Path, seconds: float, level: str = "warning") -> dict[str, float]:
    """Send as fast as one core can."""
    with pinned(SERVERS), Receivers() as receivers:
        urls = {name: receivers.url(name) for name in NAMES}
        plan = Plan(endpoints=NAMES, rate=0.0, seconds=2 * seconds, stuck=[])
        with _courier(settings(folder, urls, level=level), plan) as child:
            return sent(receivers, child, seconds)


def bare(seconds: float) -> dict[str, float]:
    """Measure the rival."""
    with (
        pinned(SERVERS),
        Receivers() as receivers,
        Child.module("benchmarks.outgoing", "bare", receivers.url("bare"), core=UNDER_TEST) as child,
    ):
        return sent(receivers, child, seconds)


def delays(folder: Path, rate: float, seconds: float, *, names: Sequence[str] = NAMES, hanging: int = 0) -> list[float]:
    """Return milliseconds from the making of an event to its arrival at *names*, beside so many endpoints that hang."""
    with pinned(SERVERS), Receivers() as receivers:
        stuck = [f"h{n}" for n in range(hanging)]
        urls = {name: receivers.url(name) for name in names} | {name: receivers.url(name, hangs=True) for name in stuck}
        plan = Plan(endpoints=list(names), rate=rate, seconds=seconds, stuck=stuck, backlog=20)
        config = settings(folder, urls, timeout=TIMEOUT if hanging else 20.0)
        with _courier(config, plan) as child:
            child.first_line()
            child.process.wait(seconds + 60.0)
        return [1000 * age for ages in receivers.ages.values() for age in ages]


def _courier(config: str, plan: Plan) -> Child:
    return Child.module("benchmarks.outgoing", "courier", config, plan.told(), core=UNDER_TEST)


def measure(wishes: Wishes) -> Sequence[Row]:
    """Take turns: the daemon, its rival, the rates, the healthy endpoint alone and in bad company."""
    rounds, seconds = (1, 2.0) if wishes.quick else (5, 6.0)
    flat: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    late: defaultdict[str, list[list[float]]] = defaultdict(list)
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for name in ("warning", "bare", "info"):
            with tempfile.TemporaryDirectory() as folder:
                flat[name].append(bare(seconds) if name == "bare" else flat_out(Path(folder), seconds, name))
        for rate in RATES:
            with tempfile.TemporaryDirectory() as folder:
                late[str(rate)].append(delays(Path(folder), rate, seconds))
        for hanging in (0, HANGING):
            with tempfile.TemporaryDirectory() as folder:
                found = delays(Path(folder), HEALTHY_RATE, 2 * seconds, names=["healthy"], hanging=hanging)
                late[f"beside {hanging}"].append(found)
    return [*_flat_rows(flat), *_late_rows(late)]


def _flat_rows(flat: dict[str, list[dict[str, float]]]) -> list[Row]:
    def of(name: str, key: str) -> float:
        return middle([each[key] for each in flat[name]])

    return [
        compared("durable signed deliveries/s", of("warning", "rate"), "/s", (BARE, of("bare", "rate")),
                 bounds=THROUGHPUT),
        compared("the same with a log line for each", of("info", "rate"), "/s", (BARE, of("bare", "rate"))),
        compared("CPU per delivery", of("warning", "cost"), "µs", (BARE, of("bare", "cost")), better="lower"),
    ]  # fmt: skip


def _late_rows(late: dict[str, list[list[float]]]) -> list[Row]:
    def of(name: str, share: float) -> float:
        return middle([quantile(ages, share) for ages in late[name]])

    rows = []
    for rate in map(str, RATES):
        for share in (0.5, 0.99):
            what = f"event made to first attempt received, {int(rate):,} events/s, p{share * 100:g}"
            rows.append(Row(measure=what, value=of(rate, share), unit="ms", better="lower"))
    for share in (0.5, 0.99):
        ours, alone = of(f"beside {HANGING}", share), of("beside 0", share)
        what = f"the same for a healthy endpoint beside {HANGING} that hang to time-out, p{share * 100:g}"
        bounds = ISOLATION if share > 0.9 else None
        rows.append(compared(what, ours, "ms", ("alone", alone), bounds=bounds, better="lower"))
    return rows


if __name__ == "__main__":
    sys.exit(main("delivery", measure))
