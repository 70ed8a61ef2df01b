"""Metrics that prove the claims, in Prometheus's text format.

``Metrics.shown`` lists what there is; the metrics page, the dashboard and the alert rules are held to it by tests.
Labels are bounded: lanes and endpoints by their configured names (``url`` for all ad-hoc origins), closed lists else.
A gauge is read from its owner when it is scraped, so nothing is counted twice and nothing can drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon import __version__
from daemon.core.task import Miss
from daemon.observe.tally import POLL_FAMILIES, PollTally, Shown

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Reading: TypeAlias = Mapping[str | tuple[str, ...], float] | float
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SLOW = (0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 900)
_COUNTS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500)
_CHANGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10000)
_MISSES = frozenset(map(str, Miss))


class Metrics:
    """All metrics of one daemon on a registry of their own; an Observer for the engine."""

    def __init__(self) -> None:
        # One switch for the process: without it every counter brings a second series that nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it unannotated
        self._registry = CollectorRegistry()
        self.shown: list[Shown] = []
        ProcessCollector(registry=self._registry)
        self.watch("pollhook_build_info", "Always 1; the version is the label.", lambda: {__version__: 1}, ("version",))
        self._make_poll_metrics()
        self._make_delivery_metrics()
        self._make_save_metrics()
        self._make_process_metrics()

    def polled(self, lane: str, result: str, *, lateness: float, seconds: float) -> None:
        """Count a poll; a result that is a Miss counts as one too."""
        self._tally.add(lane, result, lateness, seconds)

    def ended(self, lane: str, outcome: str, *, polls: int, delay: float | None) -> None:
        """Count an ending; *delay* where the provider told its finish time."""
        self._endings.labels(lane, outcome).inc()
        self._task_polls.labels(lane).observe(polls)
        if delay is not None:
            self._delay.labels(lane).observe(max(delay, 0.0))

    def attempted(self, endpoint: str, result: str, *, seconds: float, first_after: float | None) -> None:
        """Count an attempt; an ad-hoc origin goes under ``url``."""
        name = "url" if "://" in endpoint else endpoint
        series = self._series_of_attempts.get((name, result))
        if series is None:
            attempts, spent = self._attempts.labels(name, result), self._attempt_seconds.labels(name)
            series = self._series_of_attempts[name, result] = attempts, spent, self._first_after.labels(name)
        attempts, spent, first = series
        attempts.inc()
        spent.observe(seconds)
        if first_after is not None:
            first.observe(max(first_after, 0.0))

    def saved(self, lane: str, result: str, *, size: int, seconds: float) -> None:
        """Count a try to fetch an output, and the bytes it saved."""
        self._saves.labels(lane, result).inc()
        self._save_seconds.labels(lane).observe(seconds)
        if size:
            self._saved_bytes.labels(lane).inc(size)

    def endpoint_gone(self, endpoint: str) -> None:
        """Drop the series of a deleted endpoint: whoever makes and deletes many would fill the memory with them."""
        for key in [key for key in self._series_of_attempts if key[0] == endpoint]:
            del self._series_of_attempts[key]
        for family in (self._attempts, self._attempt_seconds, self._first_after):
            family.remove_by_labels({"endpoint": endpoint})

    def work_crashed(self, kind: str) -> None:
        """Count a bug that was contained."""
        self._crashes.labels(kind).inc()

    def committed(self, seconds: float, changes: int) -> None:
        """Count one group commit: how long it took and how many changes rode in it."""
        self._commit_seconds.observe(seconds)
        self._commit_changes.observe(changes)

    def auth_failed(self) -> None:
        """Count a request that the local API refused for its token, Host or Origin."""
        self._auth_failures.inc()

    def stalled(self, seconds: float) -> None:
        """Count a time during which the event loop ran nothing else."""
        self._stalls.observe(seconds)

    def watch(self, name: str, text: str, read: Callable[[], Reading], labels: Sequence[str] = ()) -> None:
        """Show a gauge that *read* answers at every scrape: a number, or one number per label value (or tuple)."""
        self._registry.register(_Gauge(name, text, read, tuple(labels)))
        self.shown.append(Shown(name=name, kind="gauge", text=text, labels=tuple(labels)))

    def render(self) -> bytes:
        """Return everything as text, to be served as ``CONTENT_TYPE``."""
        return generate_latest(self._registry)

    def _make_poll_metrics(self) -> None:
        lane = ("lane",)
        self._tally = PollTally(_QUICK, _MISSES)
        self._registry.register(self._tally)
        self.shown += POLL_FAMILIES
        self._endings = self._counter("task_endings", "Tasks that ended, by outcome.", "lane", "outcome")
        self._task_polls = self._histogram("task_polls", "Polls that one task took until it ended.", _COUNTS, lane)
        self._delay = self._histogram("detection_delay_seconds", "End seen minus the provider's finish.", _SLOW, lane)

    def _make_delivery_metrics(self) -> None:
        endpoint = ("endpoint",)
        self._attempts = self._counter("delivery_attempts", "Webhook attempts by result.", "endpoint", "result")
        self._attempt_seconds = self._histogram("delivery_attempt_seconds", "Time of an attempt.", _QUICK, endpoint)
        self._first_after = self._histogram(
            "first_attempt_latency_seconds", "Event committed to first attempt started.", _QUICK, endpoint
        )
        self._series_of_attempts: dict[tuple[str, str], tuple[Counter, Histogram, Histogram]] = {}

    def _make_save_metrics(self) -> None:
        self._saves = self._counter("output_saves", "Tries to fetch an output, by result.", "lane", "result")
        self._saved_bytes = self._counter("output_bytes", "Bytes of outputs saved.", "lane")
        self._save_seconds = self._histogram("output_save_seconds", "Time of one such try.", _SLOW, ("lane",))

    def _make_process_metrics(self) -> None:
        self._commit_seconds = self._histogram("commit_seconds", "Time of one group commit.", _QUICK)
        self._commit_changes = self._histogram("commit_changes", "Changes in one group commit.", _CHANGES)
        self._auth_failures = self._counter("api_auth_failures", "Requests refused for token, Host or Origin.")
        self._crashes = self._counter("work_crashes", "Bugs that were contained, by kind of work.", "kind")
        self._stalls = self._histogram("loop_stall_seconds", "Times the event loop was held up over 50 ms.", _QUICK)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        self.shown.append(Shown(name=f"pollhook_{name}_total", kind="counter", text=text, labels=labels))
        return Counter(f"pollhook_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], labels: Iterable[str] = ()) -> Histogram:
        self.shown.append(Shown(name=f"pollhook_{name}", kind="histogram", text=text, labels=tuple(labels)))
        return Histogram(f"pollhook_{name}", text, labels, buckets=buckets, registry=self._registry)


@dataclass(frozen=True, slots=True)
class _Gauge(Collector):
    name: str
    text: str
    read: Callable[[], Reading]
    labels: tuple[str, ...]

    def describe(self) -> Iterator[Metric]:
        """Name the gauge without reading it."""
        yield GaugeMetricFamily(self.name, self.text, labels=self.labels)

    def collect(self) -> Iterator[Metric]:
        """Read the gauge."""
        gauge = GaugeMetricFamily(self.name, self.text, labels=self.labels)
        reading = self.read()
        for key, value in reading.items() if isinstance(reading, Mapping) else [((), reading)]:
            gauge.add_metric((key,) if isinstance(key, str) else key, value)
        yield gauge
