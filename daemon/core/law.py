"""Laws of how long tasks take: hazard by age, in bins that widen with the age."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import erf, exp, log, sqrt

FIRST_EDGE = 0.25
BINS_PER_OCTAVE = 8
BINS = 190
_SURE = 1e-9


@cache
def edges() -> tuple[float, ...]:
    """Return the ages in seconds between which hazard is taken as constant: 0, then 8 to the octave up to 39 days."""
    return (0.0, *(FIRST_EDGE * 2 ** (k / BINS_PER_OCTAVE) for k in range(BINS)))


def place_of(age: float) -> int:
    """Return the bin that *age* lies in."""
    return min(max(bisect_right(edges(), age) - 1, 0), BINS - 1)


@dataclass(frozen=True, slots=True)
class Law:
    """Hazard per second in each bin, and how many endings stand behind it."""

    hazard: tuple[float, ...]
    endings: float

    def hazard_at(self, age: float) -> float:
        """Return the hazard per second at *age*."""
        return self.hazard[place_of(age)]

    def quantile(self, share: float) -> float:
        """Return the age by which *share* of the tasks have ended."""
        places, risk = edges(), -log(1 - share)
        for place, rate in enumerate(self.hazard):
            width = places[place + 1] - places[place]
            if rate * width >= risk:
                return places[place] + risk / rate
            risk -= rate * width
        return places[BINS]

    def share_ended(self, age: float) -> float:
        """Return the share of tasks that have ended by *age*."""
        places, risk = edges(), 0.0
        for place, rate in enumerate(self.hazard):
            if places[place] >= age:
                break
            risk += rate * (min(age, places[place + 1]) - places[place])
        return 1 - exp(-risk)


def log_normal(median: float, sigma: float) -> Law:
    """Return the law of log-normal durations: what is believed before anything was learned."""
    places = edges()
    survival = [1.0 if t <= 0 else 0.5 * (1 - erf(log(t / median) / (sigma * sqrt(2)))) for t in places]
    hazard: list[float] = []
    for place in range(BINS):
        width = places[place + 1] - places[place]
        alive, later = survival[place], survival[place + 1]
        hazard.append(-log(max(later, 1e-12) / alive) / width if alive > _SURE else hazard[-1])
    return Law(tuple(hazard), 0.0)


@lru_cache(maxsize=64)
def expected(law: Law) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return what one task of *law* is expected to add to a life table: events and exposure per bin."""
    places, alive = edges(), 1.0
    events, exposures = [], []
    for place, hazard in enumerate(law.hazard):
        width = places[place + 1] - places[place]
        later = alive * exp(-hazard * width)
        events.append(alive - later)
        exposures.append((alive - later) / hazard if hazard > 1e-12 else alive * width)
        alive = later
    return tuple(events), tuple(exposures)


def log_moments(events: Sequence[float], exposure: Sequence[float]) -> tuple[float, float]:
    """Return mean and variance of the logarithm of the durations in a life table (product-limit estimate)."""
    places, alive = edges(), 1.0
    total = first = second = 0.0
    for place in range(BINS):
        if events[place] <= 0:
            continue
        width = places[place + 1] - places[place]
        later = alive * exp(-events[place] / max(exposure[place], _SURE) * width)
        share, where = alive - later, log((places[place] + places[place + 1]) / 2)
        total, first, second = total + share, first + share * where, second + share * where * where
        alive = later
        if alive < _SURE:
            break
    mean = first / total
    return mean, max(second / total - mean * mean, 1e-4)


def spread_by(
    law: Law,
    interval: tuple[float, float],
    events: MutableSequence[float],
    exposure: MutableSequence[float],
    weight: float,
) -> None:
    """Add to a life table an ending somewhere in *interval* (ages), as likely in each part as *law* has it."""
    places = edges()
    since, until = max(interval[0], 0.0), min(interval[1], places[BINS] * 0.9999)
    first, last = place_of(since), place_of(until)
    if until - since < 1e-6 or first == last:
        events[last] += weight
        exposure[last] += weight * max(0.0, until - since) / 2
        return
    alive, parts = 1.0, []
    for place in range(first, last + 1):
        width = min(until, places[place + 1]) - max(since, places[place])
        later = alive * exp(-(law.hazard[place] + 1e-9) * width)
        parts.append((place, width, alive - later))
        alive = later
    whole, left = 1 - alive, 1.0
    for place, width, part in parts:
        share = part / whole
        left -= share
        events[place] += weight * share
        exposure[place] += weight * (left + share / 2) * width
