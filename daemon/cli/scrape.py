"""Two looks at the daemon's metrics, and what happened in between: rates, and how late polls were."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf

from prometheus_client.parser import text_string_to_metric_families

from daemon.cli.client import Api, Object, items
from daemon.cli.complaint import Complaint

Labels = frozenset[tuple[str, str]]
Samples = Mapping[str, Mapping[Labels, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the daemon said at one moment (monotonic seconds)."""

    at: float
    lanes: list[Object]
    endpoints: list[Object]
    samples: Samples = field(repr=False)

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of *name* whose labels hold *labels*."""
        wanted = set(labels.items())
        return sum(value for held, value in self.samples.get(name, {}).items() if wanted <= held)


def look(api: Api) -> Look:
    """Ask the daemon for its lanes, its endpoints and its metrics."""
    lanes, endpoints = items(api.get("/v1/providers")), items(api.get("/v1/endpoints"))
    return Look(at=time.monotonic(), lanes=lanes, endpoints=endpoints, samples=_samples(api.text("/metrics")))


def rate(before: Look, now: Look, name: str, **labels: str) -> float:
    """Return by how much a counter rose per second; a daemon that started anew counts from nought."""
    risen = now.total(name, **labels) - before.total(name, **labels)
    return max(0.0, risen) / max(0.001, now.at - before.at)


def quantile(before: Look, now: Look, name: str, share: float, **labels: str) -> float | None:
    """Return the upper bound of the bucket that holds the *share* quantile of what came between; None for nothing."""
    rises = dict(sorted(_rises(before, now, f"{name}_bucket", labels)))
    count = rises.get(inf, 0.0)
    if count <= 0:
        return None
    return next(bound for bound, below in rises.items() if below >= share * count)


def _rises(before: Look, now: Look, name: str, labels: Mapping[str, str]) -> Iterator[tuple[float, float]]:
    bounds = {dict(held)["le"] for held in now.samples.get(name, {})}
    for bound in bounds:
        risen = now.total(name, le=bound, **labels) - before.total(name, le=bound, **labels)
        yield float(bound), max(0.0, risen)


def _samples(text: str) -> Samples:
    found: dict[str, dict[Labels, float]] = defaultdict(dict)
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name][frozenset(sample.labels.items())] = sample.value
    except ValueError as error:
        raise Complaint(f"the daemon's metrics cannot be read: {error}") from None
    return found
