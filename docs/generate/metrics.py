"""The metrics page: every name, kind, HELP text and label, and the values a label can have."""

from __future__ import annotations

from typing import cast

from daemon.core.delivery import DeliveryState, Refusal
from daemon.core.saving import SaveFault
from daemon.core.task import Miss, Status
from daemon.engine.clock import Clock
from daemon.engine.courier import Courier
from daemon.engine.ports import Outbox
from daemon.engine.watcher import Watcher
from daemon.observe.metrics import Metrics
from daemon.observe.tally import Shown
from daemon.service.gauges import Gauges
from docs.generate.markdown import codes, page, table

INTRODUCTION = """
`GET /metrics` in Prometheus's text format (version 0.0.4). It takes the bearer token, as every call on TCP does, unless
`[server] open_metrics = true`. How to scrape it, what to look at and what to be woken for:
[Metrics and alerts](../how-to/monitoring.md).

**Names, kinds and labels are stable**: a name is never used for something else, and one that goes is announced in the
changelog a release before. New ones may come. Histograms are told as `…_bucket` (with `le`), `…_sum` and `…_count`.
"""
UNITS = """
All times are seconds. A gauge is read from its owner at the moment of the scrape; `pollhook_deliveries` alone is a count
of the database, at most five seconds old. Besides these, the process's own are shown as every Prometheus client names
them: `process_resident_memory_bytes`, `process_cpu_seconds_total`, `process_open_fds` and their like.
"""
CLAIMS = (
    ("lateness of polls", "pollhook_poll_lateness_seconds"),
    ("detection delay", "pollhook_detection_delay_seconds"),
    ("polls per task", "pollhook_task_polls"),
    ("429s", "pollhook_poll_misses_total"),
    ("price", "pollhook_lane_price_seconds"),
    ("oldest due delivery", "pollhook_oldest_due_delivery_seconds"),
    ("first-attempt latency", "pollhook_first_attempt_latency_seconds"),
    ("commit time", "pollhook_commit_seconds"),
    ("loop stalls", "pollhook_loop_stall_seconds"),
)


def exported() -> list[Shown]:
    """Return every metric of a daemon, in the order it shows them."""
    metrics = Metrics()
    nobody = object()
    Gauges(
        watcher=cast("Watcher", nobody),
        courier=cast("Courier", nobody),
        outbox=cast("Outbox", nobody),
        clock=Clock(now=lambda: 0.0, now_at=lambda: 0.0),
        endpoints=tuple,
        max_tasks=lambda: 0,
        free_bytes=lambda: 0,
    ).register(metrics)
    return metrics.shown


def metrics_page() -> str:
    """Return the page."""
    shown = exported()
    rows = [(f"`{each.name}`", each.kind, codes(each.labels), each.text) for each in shown]
    return page(
        "Metrics",
        INTRODUCTION,
        UNITS,
        "## What proves the claims",
        table(("claim", "metric"), [(claim, f"`{name}`") for claim, name in CLAIMS]),
        "## Every metric",
        table(("name", "kind", "labels", "meaning"), rows),
        "## Every label",
        table(("label", "values"), [(f"`{label}`", values) for label, values in label_values().items()]),
    )


def label_values() -> dict[str, str]:
    """Return what each label can hold; none grows with tasks, models, URLs or callers."""
    words = [str(status) for status in Status if status is not Status.STOPPED]
    ends = [str(status) for status in Status if status.is_terminal and status is not Status.STOPPED]
    return {
        "lane": "the names of the configured lanes",
        "endpoint": "the names of the endpoints, and `url` for all URLs that registrations brought",
        "result": f"of a poll: {codes([*words, *map(str, Miss)])}; of an attempt: {codes(['delivered', *Refusal])}; "
        f"of a download: {codes(['saved', *SaveFault])}",
        "reason": codes(Miss),
        "outcome": codes(ends),
        "state": codes((DeliveryState.PENDING, DeliveryState.PARKED, DeliveryState.DEAD)),
        "kind": "`poll`, `deliver`, `save`",
        "version": "the version that runs",
    }
