"""A task that timed out before a kill is still asked about after it, and its late end is told once, signed."""

from __future__ import annotations

import asyncio

import pytest

from daemon.core.task import PROVIDERS_WORDS
from daemon.demo.plan import Pace
from tests.e2e.rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


async def test_a_late_end_is_told_once_though_the_daemon_was_killed_after_the_deadline(tmp_path):
    pace = Pace(queued=(0.1, 0.1), running=(4.0, 4.0))
    async with Rig(tmp_path, seed=3, pace=pace) as rig:
        await rig.start()
        job = rig.simulation.providers["amux"].create()
        body = {"provider": "amux", "remote_id": job.id, "model": job.model, "deadline": "1s"}
        _, task = await rig.surely("POST", "/v1/tasks", body)

        def told() -> list[str]:
            return [arrival["type"] for arrival in rig.receiver.arrivals if arrival["complaint"] is None]

        await rig.until(lambda: told() == ["task.timed_out"], 10, "the deadline told")
        await rig.kill()
        await asyncio.sleep(4)
        await rig.start()
        await rig.until(lambda: "task.late" in told(), 30, "the late end told")
        await rig.kill()
        await rig.start()

        _, shown = await rig.surely("GET", f"/v1/tasks/{task['id']}")
        assert shown["status"] == "timed_out"
        assert shown["late"]["status"] in PROVIDERS_WORDS
        events = await rig.all_events()
        assert [event["type"] for event in events] == ["task.timed_out", "task.late"]
        assert events[1]["id"] == shown["late"]["event_id"]
        assert events[1]["body"]["data"]["corrects"] == {"event_id": events[0]["id"], "status": "timed_out"}
