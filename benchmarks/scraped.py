"""Quantiles from the daemon's own histograms: what ``/metrics`` said at one moment, less what it said at another."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container

_BUCKET = re.compile(
    r'^pollhook_poll_lateness_seconds_bucket\{lane="([^"]+)",le="([^"]+)"\} ([0-9.e+]+)$', re.MULTILINE
)


def lateness(text: str, lanes: Container[str]) -> Counter[float]:
    """Return how many polls of *lanes* started at most so many seconds late, by the bucket's upper end."""
    found: Counter[float] = Counter()
    for lane, bound, count in _BUCKET.findall(text):
        if lane in lanes:
            found[float(bound)] += int(float(count))
    return found


def quantile_between(before: Counter[float], after: Counter[float], share: float) -> float:
    """Return the quantile of what came between two scrapes, even inside a bucket; NaN where nothing came."""
    low, under = 0.0, 0
    total = after[math.inf] - before[math.inf]
    for bound in sorted(after):
        count = after[bound] - before[bound]
        if total and count >= share * total:
            if bound == math.inf:
                return low
            return low + (bound - low) * (share * total - under) / max(1, count - under)
        low, under = bound, count
    return math.nan
