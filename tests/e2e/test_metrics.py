"""What the running daemon exports is what the metrics page says."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.demo.plan import Pace
from docs.generate.metrics import exported
from tests.e2e.rig import Rig

pytestmark = pytest.mark.slow


async def test_the_real_daemon_exports_what_the_page_says_and_nothing_else(tmp_path):
    async with Rig(tmp_path, pace=Pace(queued=(0.0, 0.1), running=(0.2, 0.5))) as rig:
        await rig.start()
        job = rig.simulation.providers["amux"].create()
        status, task = await rig.call("POST", "/v1/tasks", {"provider": "amux", "remote_id": job.id})
        assert status == 201, task
        await rig.call("GET", f"/v1/tasks/{task['id']}?wait=30")
        await rig.until(lambda: rig.receiver.arrivals, what="the webhook")

        status, text = await rig.call("GET", "/metrics")

    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    own = {name: family for name, family in families.items() if name.startswith("pollhook_")}
    page = {each.name.removesuffix("_total"): each for each in exported()}
    assert own.keys() == page.keys()
    for name, family in own.items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert (family.type, family.documentation) == (page[name].kind, page[name].text)
        assert labels <= set(page[name].labels), name
    gauges = {sample.name: sample.value for family in own.values() for sample in family.samples}
    assert gauges["pollhook_tasks_limit"] == 200_000
    assert gauges["pollhook_disk_free_bytes"] > 0
    assert gauges["pollhook_endpoint_disabled"] == gauges["pollhook_endpoint_failing_seconds"] == 0
    assert 0 < gauges["pollhook_lane_price_seconds"] < 3600
