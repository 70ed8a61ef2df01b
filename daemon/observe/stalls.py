"""Measure how long the event loop was held up: a short sleep that ends late was a stall."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

TICK = 0.02
FLOOR = 0.05


async def watch_stalls(
    report: Callable[[float], object],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Report, until cancelled, the seconds of every stall above 50 ms; measured short by 20 ms at most."""
    while True:
        due = now() + TICK
        await sleep(TICK)
        late = now() - due
        if late > FLOOR:
            report(late)
