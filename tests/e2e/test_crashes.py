"""Killed with SIGKILL at random moments under load: nothing lost, nothing ended twice, nothing told twice."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import defaultdict
from contextlib import closing

import pytest

from daemon.core.task import Status
from daemon.demo.plan import Faults, Pace
from daemon.demo.receiver import findings, is_delivered
from tests.e2e.rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
TASKS = 500
KILLS = 22
FAULTS = Faults(throttled=0.01, server_error=0.03, html=0.01, unknown_word=0.05, retry_after=1)


async def register(rig: Rig, job, dice: random.Random, acknowledged: dict) -> None:
    """Ask until the answer is 2xx, as a client whose connection broke would."""
    body = {"provider": job.provider, "remote_id": job.id, "model": job.model, "metadata": {"n": job.prompt}}
    for _ in range(dice.choice((1, 1, 2))):
        status, answer = await rig.surely("POST", "/v1/tasks", body)
        assert status in (200, 201), answer
        acknowledged[job.provider, job.id].add(answer["id"])


async def test_five_hundred_tasks_survive_twenty_random_kills(tmp_path):
    dice = random.Random(20261121)
    acknowledged: dict[tuple[str, str], set[str]] = defaultdict(set)
    pace = Pace(queued=(0.1, 1.0), running=(0.5, 8.0))
    async with Rig(tmp_path, seed=7, faults=FAULTS, pace=pace, fail_rate=0.05) as rig:
        await rig.start()
        providers = list(rig.simulation.providers.values())

        async def clients():
            async def one(share: int) -> None:
                for n in range(share):
                    await register(rig, providers[n % 5].create(), dice, acknowledged)
                    await asyncio.sleep(dice.uniform(0, 0.8))

            await asyncio.gather(*(one(TASKS // 20) for _ in range(20)))

        async def killer():
            for _ in range(KILLS):
                await asyncio.sleep(dice.uniform(0.05, 0.9))
                await rig.kill()
                await rig.start()

        await asyncio.gather(clients(), killer())
        jobs = rig.simulation.outcomes()
        assert len(jobs) == TASKS

        def told() -> set[tuple[str, str]]:
            return {(a["provider"], a["remote_id"]) for a in rig.receiver.arrivals if is_delivered(a)}

        await rig.until(lambda: told() == set(jobs), 60, "every task told")
        assert rig.starts >= KILLS + 1

        assert all(len(ids) == 1 for ids in acknowledged.values()), "asked again, the same task"
        assert set(acknowledged) == set(jobs)
        endings = defaultdict(list)
        for event in await rig.all_events():
            endings[event["body"]["data"]["task_id"]].append(event)
        for pair, (task_id,) in acknowledged.items():
            status, task = await rig.call("GET", f"/v1/tasks/{task_id}")
            assert status == 200, f"registration of {pair} lost"
            assert Status(task["status"]) is jobs[pair]
            (only,) = endings[task_id]
            assert only["id"] == task["event_id"]
            assert only["type"] == f"task.{task['status']}"

        found = findings(rig.receiver.arrivals)
        assert found["unverified"] == 0
        assert found["changed"] == []
        assert found["doubled"] == []
        assert len(found["repeated"]) <= KILLS * 20, "a duplicate is a delivery that was in flight at a kill"
        await rig.until(lambda: no_pending(rig), 20, "every delivery settled")
        assert await rig.stop() == 0
    with closing(sqlite3.connect(tmp_path / "state" / "pollhook.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        live = database.execute("SELECT count(*) FROM tasks WHERE status IN ('queued', 'running')").fetchone()
        assert live == (0,)


async def no_pending(rig: Rig) -> bool:
    _, page = await rig.call("GET", "/v1/deliveries?state=pending")
    return page["data"] == []


async def test_a_billed_result_is_never_asked_for_twice_however_often_the_daemon_is_killed(tmp_path):
    dice = random.Random(5)
    pace = Pace(queued=(0.0, 0.1), running=(0.3, 3.0), failing=0.0, canceled=0.0)
    async with Rig(tmp_path, seed=3, pace=pace, tables={"providers.modelmax": {"timeout": "5s"}}) as rig:
        await rig.start()
        modelmax = rig.simulation.providers["modelmax"]
        for _ in range(40):
            job = modelmax.create()
            body = {"provider": "modelmax", "remote_id": job.id, "model": job.model, "fetch_result": True}
            assert (await rig.call("POST", "/v1/tasks", body))[0] == 201
        for _ in range(6):
            await asyncio.sleep(dice.uniform(0.1, 0.4))
            await rig.kill()
            await rig.start()

        await rig.until(
            lambda: len({a["remote_id"] for a in rig.receiver.arrivals if is_delivered(a)}) == 40, 30, "every task told"
        )
        ledger = modelmax.ledger()
        assert max(entry["billed"] for entry in ledger) == 1
        assert sum(entry["billed"] for entry in ledger) >= 30
