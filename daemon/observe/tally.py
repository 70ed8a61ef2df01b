"""Polls, counted as cheaply as they come and shown as Prometheus counters and histograms when somebody asks.

The library's own counters take a lock and look a child up for each number; for what happens a thousand times a second
on one event loop, plain lists do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Literal

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One metric as the metrics page tells it, by the name that queries use."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ()


POLL_FAMILIES = (
    Shown(
        name="pollhook_polls_total",
        kind="counter",
        text="Polls by result: a status word or why there was no news.",
        labels=("lane", "result"),
    ),
    Shown(
        name="pollhook_poll_misses_total",
        kind="counter",
        text="Polls that brought no news; throttled is 429.",
        labels=("lane", "reason"),
    ),
    Shown(
        name="pollhook_poll_lateness_seconds",
        kind="histogram",
        text="Start of a poll minus when it was due.",
        labels=("lane",),
    ),
    Shown(name="pollhook_poll_seconds", kind="histogram", text="Time that one poll took.", labels=("lane",)),
)


@dataclass(slots=True)
class Shape:
    """How the values of one histogram are spread: a count per bucket, the last one for what is larger than all."""

    bounds: Sequence[float]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        """Start with empty buckets."""
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count *value*."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return the cumulative counts by upper bound, as Prometheus wants them."""
        told, so_far = [], 0
        for bound, count in zip((*self.bounds, inf), self.counts, strict=True):
            so_far += count
            told.append((_text(bound), float(so_far)))
        return told


class LaneTally:
    """The polls of one lane."""

    __slots__ = ("lateness", "results", "seconds")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.results: dict[str, int] = {}
        self.lateness = Shape(bounds)
        self.seconds = Shape(bounds)


class PollTally(Collector):
    """The polls of all lanes; *misses* are the results that brought no news, counted once more by their reason."""

    def __init__(self, bounds: Sequence[float], misses: Collection[str]) -> None:
        self._bounds = bounds
        self._misses = misses
        self._lanes: dict[str, LaneTally] = {}

    def add(self, lane: str, result: str, lateness: float, seconds: float) -> None:
        """Count one poll."""
        tally = self._lanes.get(lane)
        if tally is None:
            tally = self._lanes[lane] = LaneTally(self._bounds)
        tally.results[result] = tally.results.get(result, 0) + 1
        tally.lateness.add(max(lateness, 0.0))
        tally.seconds.add(seconds)

    def describe(self) -> Iterator[Metric]:
        """Name the metrics."""
        return iter(self._families())

    def collect(self) -> Iterator[Metric]:
        """Show what was counted so far."""
        polls, misses, lateness, seconds = self._families()
        for lane, tally in self._lanes.items():
            for result, count in tally.results.items():
                polls.add_metric([lane, result], count)
                if result in self._misses:
                    misses.add_metric([lane, result], count)
            lateness.add_metric([lane], tally.lateness.buckets(), tally.lateness.total)
            seconds.add_metric([lane], tally.seconds.buckets(), tally.seconds.total)
        return iter((polls, misses, lateness, seconds))

    def _families(
        self,
    ) -> tuple[CounterMetricFamily, CounterMetricFamily, HistogramMetricFamily, HistogramMetricFamily]:
        polls, misses, lateness, seconds = POLL_FAMILIES
        return (
            CounterMetricFamily(polls.name, polls.text, labels=polls.labels),
            CounterMetricFamily(misses.name, misses.text, labels=misses.labels),
            HistogramMetricFamily(lateness.name, lateness.text, labels=lateness.labels),
            HistogramMetricFamily(seconds.name, seconds.text, labels=seconds.labels),
        )


def _text(bound: float) -> str:
    """Spell a bound as the library's own histograms do."""
    return "+Inf" if bound == inf else str(float(bound))
