"""Retention at its largest: a hundred thousand old tasks go without anybody waiting for it."""

from __future__ import annotations

import asyncio
import time

import pytest

from daemon.engine.clock import Clock
from daemon.engine.janitor import Janitor, Retention
from tests.store.test_speed import MULTIPLY

MONTH = 30 * 86400.0
TICK = 0.005
OWE = """
INSERT INTO events (id, type, task_id, created_at, body)
SELECT 'msg_' || seq, 'task.succeeded', id, ended_at, zeroblob(600) FROM tasks WHERE event_id IS NULL AND ended_at > 0
"""
DELIVER = """
INSERT INTO deliveries (id, event_id, endpoint, state, created_at, updated_at)
SELECT 'dlv_' || seq, id, 'default', 'delivered', created_at, created_at FROM events
"""

SETTLE = """
UPDATE deliveries SET state = 'delivered', due_at = NULL WHERE id <> (SELECT min(id) FROM deliveries)
"""


@pytest.mark.slow
async def test_pruning_a_hundred_thousand_ended_tasks_stalls_neither_the_loop_nor_a_registration(store, a):
    """Slower than other tests: the claim is about this many rows on a real disk, watched for two seconds of it."""
    old = a.newcomer("old")
    await store.watchlist.add([old])
    await store.watchlist.finish(a.ending(old))
    await store.database.change(_multiply)
    keep = Retention(tasks=MONTH, events=MONTH, attempts=MONTH)
    clock = Clock(now=time.monotonic, now_at=lambda: a.NOW + 2 * MONTH)

    pruning = asyncio.create_task(Janitor(store.watchlist, store.outbox, store.shelf, keep, clock).tidy())
    gaps, waits = await _watch(store, a)
    pruning.cancel()
    await asyncio.wait([pruning])

    left = await store.database.read(_ended)
    print(
        f"\n{100_000 - left:,} pruned in 2 s: longest stall {max(gaps):.3f} s, longest registration {max(waits):.3f} s"
    )
    assert left < 99_000
    assert sorted(gaps)[len(gaps) * 99 // 100] < 0.05, "a machine shared with others may miss a tick now and then"
    assert max(waits) < 0.5


async def test_all_that_is_past_its_retention_goes_and_nothing_else(store, a):
    records = [a.newcomer(f"job-{n}") for n in range(500)]
    await store.watchlist.add([*records, a.newcomer("live")])
    await asyncio.gather(*(store.watchlist.finish(a.ending(record)) for record in records))
    await store.database.change(lambda connection: connection.execute(SETTLE))
    keep = Retention(tasks=MONTH, events=MONTH, attempts=MONTH)
    clock = Clock(now=time.monotonic, now_at=lambda: a.NOW + 2 * MONTH)

    await Janitor(store.watchlist, store.outbox, store.shelf, keep, clock).tidy()

    assert await store.database.read(_ended) == 0
    assert len(await store.outbox.feed(0, 500)) == 1, "an event that is still owed stays"
    assert [task.remote_id for task in [t async for ts in store.watchlist.live(0.0, 1e12) for t in ts]] == ["live"]


async def _watch(store, a) -> tuple[list[float], list[float]]:
    """Return by how much each tick of the loop came late, and how long each registration took."""
    gaps, waits = [], []
    registering = asyncio.create_task(_register(store, a, waits))
    end = before = time.perf_counter()
    while before < end + 2.0:
        await asyncio.sleep(TICK)
        now = time.perf_counter()
        gaps.append(now - before - TICK)
        before = now
    registering.cancel()
    return gaps, waits


async def _register(store, a, waits) -> None:
    while True:
        began = time.perf_counter()
        await store.watchlist.add([a.newcomer(f"new-{len(waits)}")])
        waits.append(time.perf_counter() - began)


def _multiply(connection) -> None:
    connection.execute(
        MULTIPLY.replace("params)", "params, ended_at)").replace("params\nFROM", "params, ended_at\nFROM")
    )
    connection.execute(OWE)
    connection.execute(DELIVER)


def _ended(connection) -> int:
    return connection.execute("SELECT count(*) FROM tasks WHERE ended_at IS NOT NULL").fetchone()[0]
