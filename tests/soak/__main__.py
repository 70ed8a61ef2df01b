"""``python -m tests.soak``: the real daemon under churn and faults for as long as asked, then every ledger compared.

What must not grow is measured every few seconds; the first fifth of the run warms up and is not judged. Exit status 1
where something grew, where ledgers differ, or where work crashed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import aiohttp
import uvloop

from benchmarks.machine import machine, versions
from benchmarks.scraped import quantile_between
from tests.soak.churn import Churn
from tests.soak.house import House, late_by, now, total
from tests.soak.providers import Providers, tables
from tests.soak.receivers import Receivers
from tests.soak.reconcile import differences
from tests.soak.slopes import Trend, trend
from tests.soak.wire import listen

WARM = 0.2
DRAIN_SECONDS = 900.0
BOUNDS = {  # name: (unit, share of the middle, floor in the unit) that it may grow by over the window
    "rss": ("MiB", 0.06, 10.0),
    "descriptors": (
        "open",
        0.50,
        60.0,
    ),  # connections follow the load; a leak would be one for each of many thousand tries
    "wal": ("MiB", 0.25, 4.0),
    "tasks": ("live", 0.05, 100.0),
    "late p50": ("s", 0.15, 0.25),
    "late p99": ("s", 0.25, 1.5),
    "oldest due delivery": ("s", 0.25, 10.0),
}


class Soak:
    """One run."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self.asked = asked
        self.folder = folder
        self.seconds = asked.minutes * 60
        self.life = asked.life or min(300.0, self.seconds / 4)
        self.providers = Providers(asked.lanes, asked.seed, self.life)
        self.receivers = Receivers(asked.endpoints, asked.seed)
        self.series: dict[str, list[float]] = defaultdict(list)
        self.times: list[float] = []
        self.scrapes: list[Counter[float]] = []

    async def run(self) -> int:
        """Run it all; return the exit status."""
        provider_server, provider_port = await listen(self.providers.answer)
        receiver_server, self.receiver_port = await listen(self.receivers.answer)
        self.house = House(self.folder, self._tables(provider_port))
        timeout = aiohttp.ClientTimeout(total=60)
        try:
            async with provider_server, receiver_server, aiohttp.ClientSession(timeout=timeout) as session:
                await self.house.start(session)
                return await self._told()
        finally:
            await self.house.kill()

    def _tables(self, provider_port: int) -> dict:
        rate = self.asked.rate
        found = tables(provider_port, self.providers.names, rate, self.life)
        for name in self.receivers.names[:10]:
            secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
            self.receivers.knows(name, secret)
            found[f"endpoints.{name}"] = {"url": f"http://127.0.0.1:{self.receiver_port}/{name}", "secret": secret}
        found["delivery"] = {"schedule": ["1s", "2s", "4s", "8s", *["15s"] * 12], "timeout": "5s"}
        found["egress"] = {"allow": [f"127.0.0.1/32:{self.receiver_port}"]}
        found["retention"] = {"attempts": "5m"}
        return found

    async def _told(self) -> int:
        churn = Churn(self.house.call, self.providers, self.receivers, target=self.asked.tasks, seed=self.asked.seed)
        await churn.make_endpoints(f"http://127.0.0.1:{self.receiver_port}")
        began = now()
        await churn.fill(0)
        _say(f"{self.asked.tasks} tasks registered in {now() - began:.1f} s")
        await self._churn(churn)
        drained = await self._drain(churn)
        text = await self.house.metrics()
        status = await self.house.stop()
        found = differences(self.house.database, churn.ledger, self.providers, self.receivers)
        found["it drained and ended well"] = [] if drained and status == 0 else [f"drained={drained} exit={status}"]
        crashed = total(text, "pollhook_work_crashes_total")
        found["no work crashed"] = [] if crashed == 0 else [f"{crashed:.0f} crashes"]
        polls = total(text, "pollhook_polls_total")
        again = (
            sum(self.providers.asked.values()) - polls
        )  # an answer cut off on a kept connection is asked for once more
        if not 0 <= again <= self.providers.faults["cut"] + 50:
            found["polls counted are polls asked"] = [f"{polls:.0f} and {sum(self.providers.asked.values())}"]
        return self._report(churn, found, text)

    async def _churn(self, churn: Churn) -> None:
        until, step, next_step = now() + self.seconds, 0, now()
        while now() < until:
            turn = now()
            text = await self.house.metrics()
            live = total(text, "pollhook_tasks_watched")
            await churn.fill(int(live))
            await churn.look()
            if turn >= next_step:
                await churn.operate(step)
                step, next_step = step + 1, turn + min(15.0, self.seconds / 12)
            self._sample(text, live)
            await asyncio.sleep(max(0.0, turn + self.asked.every - now()))
        self.providers.down, self.receivers.down = set(), set()

    def _sample(self, text: str, live: float) -> None:
        self.scrapes.append(late_by(text, self.providers.names))
        if len(self.scrapes) < 8:
            return  # lateness is that of the polls of the last seven scrapes
        before, after = self.scrapes[-8], self.scrapes[-1]
        self.scrapes = self.scrapes[-8:]
        self.times.append(now())
        sampled = {
            "rss": self.house.rss(), "descriptors": self.house.descriptors(), "wal": self.house.wal(), "tasks": live,
            "late p50": quantile_between(before, after, 0.5), "late p99": quantile_between(before, after, 0.99),
            "oldest due delivery": total(text, "pollhook_oldest_due_delivery_seconds"),
        }  # fmt: skip
        for name, value in sampled.items():
            self.series[name].append(value)
        if len(self.times) % 30 == 1:
            _say(f"{len(self.times):4d} " + "  ".join(f"{name} {value:.4g}" for name, value in sampled.items()))

    async def _drain(self, churn: Churn) -> bool:
        self.providers.hasten(min(60.0, self.seconds / 4))
        began = now()
        while now() - began < DRAIN_SECONDS:
            text = await self.house.metrics()
            live = total(text, "pollhook_tasks_watched")
            if live == 0 and total(text, "pollhook_deliveries", "pending") == 0:
                pages = [
                    await self.house.call("GET", f"/v1/deliveries?limit=500&state={state}")
                    for state in ("pending", "parked")
                ]
                # What a deleted endpoint was owed stays parked, visibly, until one of its name is made again.
                if not [one for _, page in pages for one in page["data"] if not one["endpoint"].startswith("passing")]:
                    _say(f"drained in {now() - began:.0f} s")
                    return True
            await asyncio.sleep(2)
        return False

    def _report(self, churn: Churn, found: dict[str, list[str]], text: str) -> int:
        start = int(len(self.times) * WARM)
        trends = [
            trend(name, unit, self.times[start:], self.series[name][start:], share=share, floor=floor)
            for name, (unit, share, floor) in BOUNDS.items()
        ]
        for one in trends:
            _say(_line(one))
        facts = {
            "tasks registered": len(churn.ledger.tasks), "stopped": len(churn.ledger.stopped),
            "polls": sum(self.providers.asked.values()), "provider faults": dict(self.providers.faults),
            "webhooks answered": dict(self.receivers.said),
            "database MiB": round(self.house.database.stat().st_size / 2**20, 1),
            "loop stalls over 50 ms": total(text, "pollhook_loop_stall_seconds_count"),
            "stalls over 250 ms": total(text, "pollhook_loop_stall_seconds_count")
            - total(text, "pollhook_loop_stall_seconds_bucket", 'le="0.25"'),
            "stalled seconds": round(total(text, "pollhook_loop_stall_seconds_sum"), 2),
            "window seconds": round(self.times[-1] - self.times[start]),
        }  # fmt: skip
        for name, value in facts.items():
            _say(f"{name}: {value}")
        for rule, broken in found.items():
            _say(
                f"{'ok  ' if not broken else 'RED '} {rule}" + (f": {len(broken)}, e.g. {broken[:3]}" if broken else "")
            )
        bad = [one.name for one in trends if not one.is_flat] + [rule for rule, broken in found.items() if broken]
        self._write(trends, facts, found)
        _say(f"seed {self.asked.seed}: " + ("flat, and every ledger agrees" if not bad else f"RED: {', '.join(bad)}"))
        return 1 if bad else 0

    def _write(self, trends: list[Trend], facts: dict, found: dict) -> None:
        if self.asked.out is None:
            return
        told = {
            "trends": [{key: getattr(one, key) for key in one.__slots__} for one in trends], "facts": facts,
            "found": found, "series": dict(self.series), "times": self.times, "machine": machine(),
            "versions": versions(), "load": os.getloadavg(), "made_at": time.time(),
        }  # fmt: skip
        self.asked.out.write_text(json.dumps(told) + "\n")


def _line(one: Trend) -> str:
    verdict = "flat" if one.is_flat else "GREW"
    return (
        f"{verdict}  {one.name:20s} middle {one.middle:9.4g} {one.unit:5s} ({one.low:.4g} … {one.high:.4g})  "
        f"slope {one.per_hour:+.4g}/h  over the window {one.growth:+.3g}, allowed {one.allowed:.3g}"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--tasks", type=int, default=20_000, help="live at any moment")
    parser.add_argument("--lanes", type=int, default=20)
    parser.add_argument("--endpoints", type=int, default=20)
    parser.add_argument("--rate", type=float, default=10.0, help="polls per second of each lane")
    parser.add_argument("--life", type=float, default=0.0, help="median seconds that a job takes; 0: a fitting one")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two samples")
    parser.add_argument("--seed", type=int, default=20261125)
    parser.add_argument("--out", type=Path, default=None, help="a file for every figure, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(prefix="pollhook-soak-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        sys.exit(runner.run(Soak(_asked(), Path(folder)).run()))
