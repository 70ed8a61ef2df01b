"""Whether there are traces: where ``OTEL_*`` asks for them and the extra ``otel`` is installed; else nothing is loaded.

The standard variables decide (OpenTelemetry's environment specification): an OTLP endpoint, or
OTEL_TRACES_EXPORTER=otlp, asks for traces; OTEL_SDK_DISABLED=true or OTEL_TRACES_EXPORTER=none does not want any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from threading import Thread
from urllib.parse import unquote

import structlog

from daemon import __version__
from daemon.engine.ports import Sender
from daemon.engine.tracing import TracedSender, Traces

FLUSH = 3.0
FIX = "pip install 'pollhook[otel]' into Pollhook's environment"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")

log = structlog.get_logger()


def open_traces(environ: Mapping[str, str], stack: AsyncExitStack, hide: Callable[[str], None]) -> Traces | None:
    """Return where traces go, closed with *stack*; None where nobody asks. *hide* keeps the headers out of the log."""
    if not wants_traces(environ):
        return None
    for secret in _credentials(environ):
        hide(secret)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 (an extra)
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        from daemon.observe.traces import OpenTelemetry, TaskIds  # noqa: PLC0415
    except ImportError as error:
        log.warning("traces.unavailable", why=str(error), fix=FIX)
        return None
    ids = TaskIds()
    service = {"service.name": environ.get("OTEL_SERVICE_NAME", "pollhook"), "service.version": __version__}
    provider = TracerProvider(resource=Resource.create(service), id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    stack.push_async_callback(_closed, provider.shutdown)
    log.info("traces.open")
    return OpenTelemetry(provider, ids, __version__)


def wants_traces(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces."""
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return False
    return exporter == "otlp" or any(environ.get(name) for name in _ENDPOINTS)


def traced(sender: Sender, traces: Traces | None, now_at: Callable[[], float]) -> Sender:
    """Return *sender*, its attempts traced where there are traces."""
    return sender if traces is None else TracedSender(sender, traces, now_at)


async def _closed(shutdown: Callable[[], object]) -> None:
    """Send what waits, for a few seconds at most: a collector that is away holds up no stop."""
    closing = Thread(target=shutdown, name="traces", daemon=True)
    closing.start()
    await asyncio.to_thread(closing.join, FLUSH)


def _credentials(environ: Mapping[str, str]) -> Iterator[str]:
    for name in _HEADERS:
        values = (header.partition("=")[2].strip() for header in environ.get(name, "").split(","))
        yield from map(unquote, filter(None, values))
