"""OpenTelemetry traces: one span for a task's life, with its polls as events, and one below it for each attempt.

Nothing of OpenTelemetry is imported before the standard ``OTEL_*`` environment asks for traces. A task's trace and span
ids are made from its own id, so that an attempt after a restart still stands below its task and nothing need be kept.
A span holds ids, names, counts and codes; never a URL, a body or a text of somebody else's.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from daemon.core.delivery import Accepted, Delivery, Receipt
from daemon.core.event import Event
from daemon.core.ids import TaskId

POLLS_KEPT = 64
_NANO = 1_000_000_000


class TaskIds(RandomIdGenerator):
    """Ids of new spans: those that were set for the next one, else random."""

    def __init__(self) -> None:
        self.next_trace: int | None = None
        self.next_span: int | None = None

    def generate_trace_id(self) -> int:
        """Return the trace id of a span without a parent."""
        found, self.next_trace = self.next_trace, None
        return super().generate_trace_id() if found is None else found

    def generate_span_id(self) -> int:
        """Return a span id."""
        found, self.next_span = self.next_span, None
        return super().generate_span_id() if found is None else found


@dataclass(slots=True)
class OpenTelemetry:
    """Makes spans of what it hears; *ids* must be the generator of *provider*."""

    provider: TracerProvider
    ids: TaskIds
    version: str
    now_at: Callable[[], float] = time.time
    _polls: dict[TaskId, deque[tuple[float, str]]] = field(default_factory=dict)

    def polled(self, task_id: TaskId, result: str) -> None:
        """Keep a poll for its task's span; the last 64 of a task are kept."""
        kept = self._polls.get(task_id)
        if kept is None:
            kept = self._polls[task_id] = deque(maxlen=POLLS_KEPT)
        kept.append((self.now_at(), result))

    def forget(self, task_id: TaskId) -> None:
        """Let go of the polls of a task."""
        self._polls.pop(task_id, None)

    def ended(self, event: Event) -> None:
        """Make the span of a task that ended, from registration to detection."""
        if event.task_id is None:
            return
        data = json.loads(event.body)["data"]
        timing = data["timing"]
        self.ids.next_trace, self.ids.next_span = _trace_of(event.task_id), _span_of(event.task_id)
        span = self.provider.get_tracer("pollhook", self.version).start_span(
            f"watch {data['provider']}",
            start_time=_nanoseconds(timing["registered_at"]),
            attributes=_facts(event, data),
        )
        for name in ("started_at", "finished_at"):
            if timing[name] is not None:
                span.add_event(f"provider.{name.removesuffix('_at')}", timestamp=_nanoseconds(timing[name]))
        for at, result in self._polls.pop(event.task_id, ()):
            span.add_event("poll", {"pollhook.result": result}, timestamp=int(at * _NANO))
        span.set_status(StatusCode.OK if data["status"] == "succeeded" else StatusCode.ERROR)
        span.end(int(event.created_at * _NANO))

    def attempted(self, delivery: Delivery, event: Event, receipt: Receipt, began_at: float) -> None:
        """Make the span of one attempt, below its task's."""
        subject = event.task_id or event.id
        trace = _trace_of(subject)
        decision = self.provider.sampler.should_sample(None, trace, "deliver").decision
        flags = TraceFlags(TraceFlags.DEFAULT if decision is Decision.DROP else TraceFlags.SAMPLED)
        parent = SpanContext(trace, _span_of(subject), is_remote=True, trace_flags=flags)
        facts: dict[str, str | int] = {
            "pollhook.endpoint": delivery.endpoint,
            "pollhook.delivery_id": delivery.id,
            "pollhook.event_id": event.id,
            "pollhook.event_type": event.type,
            "pollhook.attempt": delivery.attempts + 1,
            "pollhook.result": "delivered" if isinstance(receipt, Accepted) else receipt.refusal.value,
        }
        if receipt.http_status is not None:
            facts["http.response.status_code"] = receipt.http_status
        span = self.provider.get_tracer("pollhook", self.version).start_span(
            f"deliver {'url' if delivery.url else delivery.endpoint}",
            set_span_in_context(NonRecordingSpan(parent)),
            kind=SpanKind.CLIENT,
            attributes=facts,
            start_time=int(began_at * _NANO),
        )
        span.set_status(StatusCode.OK if isinstance(receipt, Accepted) else StatusCode.ERROR)
        span.end(int((began_at + receipt.seconds) * _NANO))


def _facts(event: Event, data: Mapping[str, Any]) -> dict[str, str | int]:  # the body's own JSON
    found: dict[str, str | int | None] = {
        "pollhook.task_id": event.task_id,
        "pollhook.lane": data["provider"],
        "pollhook.model": data["model"],
        "pollhook.outcome": data["status"],
        "pollhook.event_id": event.id,
        "pollhook.polls": data["timing"]["polls"],
    }
    return {name: value for name, value in found.items() if value is not None}


def _trace_of(subject: str) -> int:
    return int.from_bytes(sha256(f"trace {subject}".encode()).digest()[:16])


def _span_of(subject: str) -> int:
    return int.from_bytes(sha256(f"span {subject}".encode()).digest()[:8])


def _nanoseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * _NANO)
