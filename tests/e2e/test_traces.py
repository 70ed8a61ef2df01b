"""The real daemon sends its traces to a collector on loopback, and stops in time where there is none."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from daemon.demo.plan import Pace
from daemon.demo.ports import free_port
from tests.e2e.rig import Rig

pytestmark = pytest.mark.slow

QUICK = Pace(queued=(0.0, 0.1), running=(0.2, 0.5), failing=0.0, canceled=0.0)


@asynccontextmanager
async def collector() -> Any:
    """An OTLP collector: yields its address, the spans it got and the headers they came with."""
    spans: list[Any] = []
    headers: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        told = ExportTraceServiceRequest.FromString(await request.read())
        headers.append(request.headers)
        spans.extend(span for one in told.resource_spans for scope in one.scope_spans for span in scope.spans)
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", spans, headers
    await runner.cleanup()


async def test_registration_polls_ending_and_delivery_are_one_trace(tmp_path, monkeypatch):
    async with collector() as (address, spans, headers), Rig(tmp_path, pace=QUICK) as rig:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20collectors-own-key")
        await rig.start()
        job = rig.simulation.providers["token360"].create()
        status, task = await rig.call("POST", "/v1/tasks", {"provider": "token360", "remote_id": job.id})
        assert status == 201, task
        await rig.until(lambda: rig.receiver.arrivals, what="the webhook")
        assert await rig.stop() == 0

    watch, deliver = sorted(spans, key=lambda span: span.name, reverse=True)
    assert (watch.name, deliver.name) == ("watch token360", "deliver default")
    assert deliver.trace_id == watch.trace_id
    assert deliver.parent_span_id == watch.span_id
    assert deliver.start_time_unix_nano >= watch.end_time_unix_nano - 50_000_000
    facts = {fact.key: fact.value for fact in watch.attributes}
    assert facts["pollhook.task_id"].string_value == task["id"]
    assert sum(event.name == "poll" for event in watch.events) == facts["pollhook.polls"].int_value > 0
    assert headers[0]["Authorization"] == "Bearer collectors-own-key"
    assert "collectors-own-key" not in rig.log.read_text()
    assert len(rig.log_lines("traces.open")) == 1


async def test_a_collector_that_is_away_holds_up_nothing(tmp_path, monkeypatch):
    async with Rig(tmp_path, pace=QUICK) as rig:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
        await rig.start()
        job = rig.simulation.providers["token360"].create()
        await rig.call("POST", "/v1/tasks", {"provider": "token360", "remote_id": job.id})
        await rig.until(lambda: rig.receiver.arrivals, what="the webhook")

        began = time.monotonic()
        assert await rig.stop() == 0

    assert time.monotonic() - began < 6.0
