"""The simulation tells one story per seed, spoils answers as asked, and keeps the truth in its ledger."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from daemon.core.task import Status
from daemon.demo.plan import Faults, Pace
from daemon.demo.providers import DIALECTS, Simulation


def story(seed: int) -> list[tuple[str, str, float]]:
    simulation = Simulation(seed=seed, clock=lambda: 0.0)
    for provider in simulation.providers.values():
        for _ in range(20):
            provider.create()
    return [(job["remote_id"], job["outcome"], job["ended_at"]) for job in simulation.ledger()]


def test_the_same_seed_tells_the_same_story_and_another_seed_another():
    assert story(1) == story(1)
    assert story(1) != story(2)


def test_speed_divides_every_duration():
    slow, fast = Simulation(seed=3, clock=lambda: 0.0), Simulation(seed=3, speed=10.0, clock=lambda: 0.0)

    assert fast.providers["amux"].create().ended_at == pytest.approx(slow.providers["amux"].create().ended_at / 10)


def test_only_seacloud_cancels():
    simulation = Simulation(pace=Pace(failing=0.0, canceled=1.0))
    for provider in simulation.providers.values():
        provider.create()

    canceled = {name for (name, _), outcome in simulation.outcomes().items() if outcome is Status.CANCELED}

    assert canceled == {"seacloud"}


async def test_the_ledger_counts_polls_and_when_the_end_was_first_told(rig):
    it = await rig()
    job = it["amux"].create()

    await it.get("amux", f"/v1/videos/{job.id}")
    it.clock.now += 200
    await it.get("amux", f"/v1/videos/{job.id}")
    told_at = it.clock.now
    it.clock.now += 10
    await it.get("amux", f"/v1/videos/{job.id}")
    async with it.session.get(it["amux"].base_url + "/_ledger") as response:
        [entry] = await response.json()

    assert entry == it.simulation.ledger()[0]
    assert (entry["polls"], entry["told_at"], entry["has_ended"], entry["outcome"]) == (3, told_at, True, "succeeded")
    assert entry["ended_at"] == entry["created_at"] + 110


async def test_a_throttled_answer_carries_retry_after(rig):
    it = await rig(faults=Faults(throttled=1.0, retry_after=7))
    job, provider = it["seacloud"].create(), it["seacloud"]
    url = f"{provider.base_url}/v1/queue/{job.model}/requests/{job.id}/status"

    async with it.session.get(url, headers={"Authorization": f"Key {provider.key}"}) as response:
        body = await response.json()

    assert (response.status, response.headers["Retry-After"]) == (429, "7")
    assert body["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert it.simulation.ledger()[0]["faults"] == {"throttled": 1}


async def test_a_server_error_is_5xx_and_html_is_html(rig):
    it = await rig(faults=Faults(server_error=1.0))
    job = it["amux"].create()

    broken, _ = await it.get("amux", f"/v1/videos/{job.id}")
    it["amux"].faults = Faults(html=1.0)
    _, page = await it.get("amux", f"/v1/videos/{job.id}")

    assert broken in (500, 502, 503)
    assert page.startswith(b"<!DOCTYPE html>")


async def test_an_unknown_word_comes_once_and_only_while_the_task_lives(rig):
    it = await rig(faults=Faults(unknown_word=1.0))
    job = it["amux"].create()

    words = [(await it.get("amux", f"/v1/videos/{job.id}"))[1]["status"] for _ in range(3)]

    assert words == ["WARMING_UP", "queued", "queued"]


async def test_a_hanging_answer_outlasts_the_clients_patience(rig):
    it = await rig(faults=Faults(hang=1.0, hang_seconds=30.0))
    job, provider = it["amux"].create(), it["amux"]

    with pytest.raises(asyncio.TimeoutError):
        await it.session.get(
            f"{provider.base_url}/v1/videos/{job.id}",
            headers={"Authorization": f"Bearer {provider.key}"},
            timeout=aiohttp.ClientTimeout(total=0.1),
        )

    assert job.polls == 1


def test_there_are_five_dialects():
    assert [dialect.name for dialect in DIALECTS] == ["modelmax", "seacloud", "mixroute", "token360", "amux"]
