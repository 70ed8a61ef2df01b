"""What was learned of how long tasks take: a life table over ages, per lane and model.

Each stretch of age in which a task was seen alive adds exposure, each end adds one event spread over the interval that
polling left open. Hence what polling hides is corrected for (interval censoring), and so is what still runs (right
censoring) and what was registered late (left truncation): hazard = events / exposure, bin by bin (actuarial estimate).
Failures are counted apart from successes, as competing ends of the same task.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from math import erf, exp, isfinite, log, sqrt

FIRST_EDGE = 0.25
BINS_PER_OCTAVE = 8
BINS = 190
MEMORY = 400.0
WIDE = 0.45
TAIL_SHARE = 0.1
TAIL_HAZARD = 0.8
_RESCALE = 1e6


@cache
def edges() -> tuple[float, ...]:
    """Return the ages in seconds between which hazard is taken as constant: 0, then 8 to the octave up to 39 days."""
    return (0.0, *(FIRST_EDGE * 2 ** (k / BINS_PER_OCTAVE) for k in range(BINS)))


@dataclass(frozen=True, slots=True)
class Law:
    """Hazard per second in each bin, and how many endings stand behind it."""

    hazard: tuple[float, ...]
    endings: float

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


def _zeros() -> array[float]:
    return array("d", bytes(8 * BINS))


@dataclass(slots=True)
class Durations:
    """The life table of one lane or of one model in it; old endings fade, so that a law that shifts is followed."""

    succeeded: array[float] = field(default_factory=_zeros)
    failed: array[float] = field(default_factory=_zeros)
    exposure: array[float] = field(default_factory=_zeros)
    weight: float = 1.0
    changes: int = 0

    @property
    def endings(self) -> float:
        """How many endings it holds, faded ones counted in part; at most about 400."""
        return (sum(self.succeeded) + sum(self.failed)) / self.weight

    def alive(self, since: float, until: float) -> None:
        """Note that a task was seen alive at age *until*, and before that at age *since*."""
        _spread(self.exposure, since, until, self.weight)

    def ended(self, since: float, until: float, *, has_succeeded: bool) -> None:
        """Note that a task alive at age *since* had ended by age *until*."""
        middle = (since + until) / 2
        _spread(self.exposure, since, middle, self.weight)
        _spread(self.succeeded if has_succeeded else self.failed, since, until, self.weight, is_share=True)
        self.weight *= 1 + 1 / MEMORY
        self.changes += 1
        if self.weight > _RESCALE:
            self._rescale()

    def pack(self) -> bytes:
        """Return the table as bytes that ``unpack`` reads back, in any later version."""
        columns = (self.succeeded, self.failed, self.exposure)
        return b"\1" + b"".join(array("f", [value / self.weight for value in column]).tobytes() for column in columns)

    @classmethod
    def unpack(cls, packed: bytes) -> Durations | None:
        """Return the table that ``pack`` made; None where the bytes are of no version known here."""
        width = 4 * BINS
        if len(packed) != 1 + 3 * width or packed[:1] != b"\1":
            return None
        columns = [array("d", array("f", packed[1 + k * width : 1 + (k + 1) * width])) for k in range(3)]
        if not all(isfinite(value) and value >= 0 for column in columns for value in column):
            return None
        return cls(succeeded=columns[0], failed=columns[1], exposure=columns[2])

    def _rescale(self) -> None:
        for column in (self.succeeded, self.failed, self.exposure):
            for place, value in enumerate(column):
                column[place] = value / self.weight
        self.weight = 1.0


def log_normal(median: float, sigma: float) -> Law:
    """Return the law of log-normal durations: what is believed before anything was learned."""
    places = edges()
    survival = [1.0 if t <= 0 else 0.5 * (1 - erf(log(t / median) / (sigma * sqrt(2)))) for t in places]
    hazard: list[float] = []
    for place in range(BINS):
        width = places[place + 1] - places[place]
        alive, later = survival[place], survival[place + 1]
        hazard.append(-log(max(later, 1e-12) / alive) / width if alive > 1e-9 else hazard[-1])
    return Law(tuple(hazard), 0.0)


def learned(table: Durations, prior: Law, *, belief: float, blur: float) -> Law:
    """Return the law of *table* shrunk to *prior*, which counts as much as *belief* endings.

    The table is smoothed over age with a Gaussian of ``blur`` in the logarithm of the age, wider while endings are few.
    """
    endings = table.endings
    if endings <= 0 and not any(table.exposure):
        return Law(prior.hazard, 0.0)
    kernel = _kernel(max(blur, WIDE * max(endings, 1.0) ** -0.35))
    events = _smoothed([(a + b) / table.weight for a, b in zip(table.succeeded, table.failed, strict=True)], kernel)
    exposed = _smoothed([value / table.weight for value in table.exposure], kernel)
    believed, exposures = _expected(prior)
    hazard = tuple(
        (d + belief * d0) / max(e + belief * e0, 1e-9)
        for d, e, d0, e0 in zip(events, exposed, believed, exposures, strict=True)
    )
    return Law(_with_tail(hazard), endings)


def _with_tail(hazard: Sequence[float]) -> tuple[float, ...]:
    """Keep the hazard from vanishing where few tasks were ever seen: past the 90 % quantile at least 0.8 / age.

    A few tasks seen alive at a great age are no proof that none ends there.
    """
    places, alive, kept = edges(), 1.0, []
    for place, rate in enumerate(hazard):
        start, end = places[place], places[place + 1]
        kept.append(max(rate, TAIL_HAZARD / end) if alive < TAIL_SHARE else rate)
        alive *= exp(-kept[-1] * (end - start))
    return tuple(kept)


def _expected(law: Law) -> tuple[list[float], list[float]]:
    """Return what one task of *law* is expected to add: events and exposure per bin."""
    places, alive = edges(), 1.0
    events, exposures = [], []
    for place, hazard in enumerate(law.hazard):
        width = places[place + 1] - places[place]
        later = alive * exp(-hazard * width)
        events.append(alive - later)
        exposures.append((alive - later) / hazard if hazard > 1e-12 else alive * width)
        alive = later
    return events, exposures


def _spread(column: array[float], since: float, until: float, weight: float, *, is_share: bool = False) -> None:
    places = edges()
    last = places[BINS]
    since, until = min(max(since, 0.0), last * 0.999), min(max(until, 0.0), last * 0.9999)
    place = min(bisect_right(places, since) - 1, BINS - 1)
    if until - since < 1e-6:
        column[place] += weight if is_share else 0.0
        return
    scale = weight / (until - since) if is_share else weight
    while since < until:
        end = min(until, places[place + 1])
        column[place] += (end - since) * scale
        since = end
        place += 1


def _kernel(blur: float) -> list[float]:
    bins = blur * BINS_PER_OCTAVE / log(2)
    reach = int(3 * bins) + 1
    weights = [exp(-0.5 * (k / bins) ** 2) for k in range(-reach, reach + 1)]
    total = sum(weights)
    return [weight / total for weight in weights]


def _smoothed(values: Sequence[float], kernel: Sequence[float]) -> list[float]:
    reach = len(kernel) // 2
    result = [0.0] * len(values)
    for place, value in enumerate(values):
        if value:
            low, high = max(0, place - reach), min(len(values), place + reach + 1)
            for target in range(low, high):
                result[target] += value * kernel[target - place + reach]
    return result
