"""Traces: a span for a task's life, one for each attempt below it; nothing at all where nobody asks."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, TraceIdRatioBased

from daemon.core.delivery import Accepted, Delivery, Refusal, Refused
from daemon.core.event import Event
from daemon.observe.traces import POLLS_KEPT, OpenTelemetry, TaskIds
from daemon.service.tracing import open_traces, traced, wants_traces

BODY = b"""{"type": "task.succeeded", "data": {"provider": "amux", "model": "veo-3", "status": "succeeded",
"remote_id": "secret-ish", "outputs": [{"url": "https://cdn.example.com/x.mp4?sig=1"}],
"timing": {"registered_at": "2026-11-21T20:10:00.000Z", "started_at": "2026-11-21T20:10:05.000Z",
"finished_at": "2026-11-21T20:11:00.000Z", "detected_at": "2026-11-21T20:11:01.500Z", "polls": 3}}}"""
NOW = 1_795_291_861.5
EVENT = Event(id="msg_1", type="task.succeeded", task_id="tsk_1", created_at=NOW, body=BODY)
DELIVERY = Delivery(id="dlv_1", event_id="msg_1", endpoint="default", url=None, attempts=1)
REFUSED = Refused(refusal=Refusal.HTTP, detail="503", seconds=0.25, http_status=503)


def made(sampler=None) -> tuple[OpenTelemetry, InMemorySpanExporter]:
    ids, exporter = TaskIds(), InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return OpenTelemetry(provider, ids, "1", now_at=lambda: NOW), exporter


def test_a_task_s_span_reaches_from_registration_to_detection_with_its_polls():
    traces, exporter = made()
    for result in ("queued", "running", "succeeded"):
        traces.polled("tsk_1", result)

    traces.ended(EVENT)

    (span,) = exporter.get_finished_spans()
    assert (span.name, span.parent, span.status.is_ok) == ("watch amux", None, True)
    assert (span.end_time - span.start_time) / 1e9 == pytest.approx(61.5)
    assert span.attributes["pollhook.polls"] == 3
    assert [event.name for event in span.events] == ["provider.started", "provider.finished", "poll", "poll", "poll"]
    assert [event.attributes.get("pollhook.result") for event in span.events][2:] == ["queued", "running", "succeeded"]


def test_an_attempt_stands_below_its_task_even_in_another_process():
    here, told = made()
    there, told_later = made()

    here.ended(EVENT)
    there.attempted(DELIVERY, EVENT, REFUSED, NOW)
    there.attempted(replace(DELIVERY, attempts=2), EVENT, Accepted(http_status=204, seconds=0.01), NOW)

    (task,) = told.get_finished_spans()
    first, second = told_later.get_finished_spans()
    for attempt in (first, second):
        assert attempt.context.trace_id == task.context.trace_id
        assert attempt.parent.span_id == task.context.span_id
    assert first.context.span_id != second.context.span_id
    assert (first.attributes["pollhook.result"], first.attributes["http.response.status_code"]) == ("http_status", 503)
    assert (first.status.is_ok, second.status.is_ok) == (False, True)
    assert (second.attributes["pollhook.attempt"], second.attributes["pollhook.result"]) == (3, "delivered")
    assert (first.end_time - first.start_time) / 1e9 == pytest.approx(0.25)


def test_no_span_holds_a_url_or_what_others_wrote():
    traces, exporter = made()

    traces.ended(EVENT)
    traces.attempted(
        replace(DELIVERY, url="https://a.example/h?k=1", endpoint="https://a.example"), EVENT, REFUSED, NOW
    )

    told = " ".join(span.to_json() for span in exporter.get_finished_spans())
    assert "cdn.example.com" not in told
    assert "k=1" not in told
    assert "secret-ish" not in told


def test_attempts_share_the_fate_of_their_task_under_a_sampler():
    for sampler in (ALWAYS_OFF, TraceIdRatioBased(0.5)):
        for number in range(40):
            traces, exporter = made(sampler)
            event = replace(EVENT, task_id=f"tsk_{number}")
            traces.ended(event)
            traces.attempted(DELIVERY, event, REFUSED, NOW)
            assert len(exporter.get_finished_spans()) in ((0,) if sampler is ALWAYS_OFF else (0, 2))


def test_what_is_heard_of_a_task_is_bounded_and_forgotten():
    traces, exporter = made()
    for _ in range(1000):
        traces.polled("tsk_1", "running")
        traces.polled("tsk_2", "running")
    traces.forget("tsk_2")

    traces.ended(EVENT)

    assert not traces._polls
    assert sum(event.name == "poll" for event in exporter.get_finished_spans()[0].events) == POLLS_KEPT


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
    ],
)
def test_the_standard_environment_decides(environ, wanted):
    assert wants_traces(environ) is wanted


async def test_where_nobody_asks_nothing_is_wrapped():
    sender = object()
    async with AsyncExitStack() as stack:
        traces = open_traces({}, stack, lambda _secret: None)

    assert traces is None
    assert traced(sender, traces, lambda: 0.0) is sender


async def test_asked_for_and_not_installed_is_a_warning_with_its_cure(lines, monkeypatch):
    structlog.get_logger()
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    hidden: list[str] = []

    async with AsyncExitStack() as stack:
        environ = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20abc123,x=y12345",
        }
        assert open_traces(environ, stack, hidden.append) is None

    (line,) = lines()
    assert (line["event"], line["level"]) == ("traces.unavailable", "warning")
    assert "pollhook[otel]" in line["fix"]
    assert hidden == ["Basic abc123", "y12345"]


def test_the_daemon_loads_nothing_of_opentelemetry():
    code = (
        "import sys, daemon.service.daemon, daemon.service.serving, daemon.cli.main;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf', 'requests'))])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
