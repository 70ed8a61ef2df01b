"""The vigil: a pump that stands still is found out, one that waits with reason is left in peace."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from daemon.core.breaker import Trouble
from daemon.core.lane import Lane, Pace
from daemon.engine.clock import Clock
from daemon.engine.pump import Pump
from daemon.engine.vigil import LONGEST_COMMIT, LONGEST_TRY, Vigil
from tests.engine.fakes import simulate


class Watched:
    """A pump with one lane of three due keys, and the vigil that looks at it."""

    def __init__(self, work, *, slots=10, cap=10):
        loop = asyncio.get_running_loop()
        clock = Clock(now=loop.time, now_at=loop.time)
        self.commit: float | None = None
        self.pump = Pump("poll", work, cap=cap, clock=clock, on_crash=lambda _kind: None)
        self.lane = self.pump.add(Lane(name="amux", slots=slots, pace=Pace(rate=inf)))
        self.vigil = Vigil(brief=(self.pump,), lengthy=(), committing_since=lambda: self.commit, clock=clock)
        for key in "abc":
            self.pump.plan(self.lane, key, 0.0)

    async def looks(self, count=4, every=15.0):
        found = []
        for _ in range(count):
            found.append(self.vigil.standstill())
            await asyncio.sleep(every)
        return found


async def never(_key):
    await asyncio.get_running_loop().create_future()


def test_due_work_that_nothing_starts_is_a_standstill_at_the_second_look():
    async def main():
        first, second, *_ = await Watched(never).looks()

        assert first is None
        assert second == "poll amux: work is due for 15 s and may start, but nothing starts it"

    simulate(main)


def test_a_pump_that_turns_is_never_found_standing():
    async def main():
        watched = Watched(lambda key: asyncio.sleep(0.01, 0.0))
        running = asyncio.create_task(watched.pump.run())
        assert await watched.looks(every=1.0) == [None] * 4
        watched.pump.close()
        await running

    simulate(main)


@pytest.mark.parametrize("reason", ["held", "tripped", "full", "closing"])
def test_work_that_may_not_start_is_no_standstill(reason):
    async def main():
        watched = Watched(never, cap=0 if reason == "full" else 10)
        if reason == "held":
            watched.lane.hold(1e9, "asked for it")
        if reason == "tripped":
            watched.lane.trip(Trouble.DISABLED, 0.0)
        if reason == "closing":
            watched.pump.close()
        assert await watched.looks() == [None] * 4

    simulate(main)


def test_tries_that_outlast_every_deadline_are_a_standstill():
    async def main():
        watched = Watched(never)
        running = asyncio.create_task(watched.pump.run())
        await asyncio.sleep(1)

        found = await watched.looks(count=3, every=LONGEST_TRY * 0.6)

        assert found[:2] == [None, None]
        assert "none of 2 tries in flight has ended" in found[2]
        running.cancel()
        await asyncio.wait([running])

    simulate(main)


def test_a_commit_that_never_returns_is_a_standstill():
    async def main():
        watched = Watched(never)
        watched.pump.close()
        watched.commit = 0.0

        found = await watched.looks(count=3, every=LONGEST_COMMIT * 0.6)

        assert found == [None, None, "the database has not finished a commit for 144 s"]

    simulate(main)
