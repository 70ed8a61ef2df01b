"""How long the store takes, with generous bounds; the numbers are printed."""

import time

import pytest

MULTIPLY = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 99999)
INSERT INTO tasks (id, provider, remote_id, status, created_at, registered_at, updated_at, deadline_at, model, params)
SELECT 'tsk_' || n, provider, 'job-' || n, status, created_at, registered_at, updated_at, deadline_at, model, params
FROM tasks, numbers
"""


async def test_a_thousand_registrations_in_one_call_are_quick(store, a, commits):
    batch = [a.newcomer(f"job-{n}") for n in range(1000)]

    began = time.perf_counter()
    answers = await store.watchlist.add(batch)
    spent = time.perf_counter() - began

    print(f"\n1,000 registrations in {spent * 1000:.0f} ms")
    assert all(one.is_new for one in answers)
    assert len(commits) == 1
    assert spent < 1.0


@pytest.mark.slow
async def test_a_hundred_thousand_live_tasks_are_loaded_within_seconds(store, a):
    await store.watchlist.add([a.newcomer("model")])
    await store.database.change(lambda connection: connection.execute(MULTIPLY))

    began = time.perf_counter()
    chunks = [chunk async for chunk in store.watchlist.live(0.0, 1e12)]
    spent = time.perf_counter() - began

    print(f"\n100,000 live tasks in {spent:.2f} s, {len(chunks)} chunks")
    assert sum(map(len, chunks)) == 100_000
    assert len({task.id for chunk in chunks for task in chunk}) == 100_000
    assert spent < 5.0
