from __future__ import annotations

import asyncio
import time

import pytest

from daemon.observe.stalls import TICK, watch_stalls


async def test_only_a_sleep_that_ends_late_is_a_stall():
    clock, overshoots, reported = [100.0], iter([0.0, 0.01, 0.049, 0.3, 0.0, 0.06]), []

    async def sleep(seconds: float) -> None:
        try:
            clock[0] += seconds + next(overshoots)
        except StopIteration:
            raise asyncio.CancelledError from None

    with pytest.raises(asyncio.CancelledError):
        await watch_stalls(reported.append, sleep=sleep, now=lambda: clock[0])

    assert reported == [pytest.approx(0.3), pytest.approx(0.06)]


async def test_a_real_stall_is_seen():

    seen: asyncio.Queue[float] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(watch_stalls(seen.put_nowait))
        await asyncio.sleep(0)
        time.sleep(0.1 + TICK)
        stall = await asyncio.wait_for(seen.get(), 5)
        watcher.cancel()

    assert stall > 0.05
