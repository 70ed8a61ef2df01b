"""From a life table to the law that is believed: shrunk to a prior, guided by a shape, bent to what was seen.

With few endings a log-normal fitted to the table says more than the table's own bins; with many the bins say more. So
the law is events over exposure, where the prior, the fitted log-normal and the table each count as so many endings.
Where in its interval an ending lies is told by the law itself, in rounds (expectation maximisation with smoothing).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp, log, sqrt

from daemon.core.durations import Durations
from daemon.core.law import BINS, BINS_PER_OCTAVE, Law, edges, expected, log_moments, log_normal, spread_by

WIDE = 0.45
FIT_FROM = 3.0
FIT_BELIEF = 6.0
FIT_PRIOR = 0.5
WIDEST = 0.5
TAIL_SHARE = 0.1
TAIL_HAZARD = 0.8
ROUNDS = 2
Columns = tuple[list[float], list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """How many endings the prior counts as, and the least blur over the logarithm of the age."""

    prior: float
    blur: float


def learned(table: Durations, prior: Law, beliefs: Beliefs) -> Law:
    """Return the law of *table*, shrunk to *prior*."""
    endings = table.endings
    if endings <= 0 and not any(table.exposure):
        return Law(prior.hazard, 0.0)
    law = prior
    for _ in range(ROUNDS if table.recent else 1):
        events, exposure = _filled(table, law)
        law = _shrunk(events, exposure, endings, prior, beliefs)
    return replace(law, endings=endings)


def _filled(table: Durations, law: Law) -> Columns:
    """Return events and exposure per bin, the latest endings spread over their intervals as *law* has it."""
    events = [(a + b) / table.weight for a, b in zip(table.succeeded, table.failed, strict=True)]
    exposure = [value / table.weight for value in table.exposure]
    for ending in table.recent:
        spread_by(law, (ending.since, ending.until), events, exposure, 1.0)
    return events, exposure


def _shrunk(events: list[float], exposure: list[float], endings: float, prior: Law, beliefs: Beliefs) -> Law:
    kernel = _kernel(max(beliefs.blur, WIDE * max(endings, 1.0) ** -0.35))
    counted: list[tuple[float, Sequence[float], Sequence[float]]] = [
        (1.0, _smoothed(events, kernel), _smoothed(exposure, kernel))
    ]
    if endings < FIT_FROM:
        counted.append((beliefs.prior, *expected(prior)))
    else:
        counted.append((FIT_PRIOR, *expected(prior)))
        counted.append((FIT_BELIEF, *expected(_fitted(events, exposure, endings, prior))))
    return Law(_with_tail(_quotient(counted)), endings)


def _quotient(counted: Iterable[tuple[float, Sequence[float], Sequence[float]]]) -> list[float]:
    above, below = [0.0] * BINS, [1e-9] * BINS
    for weight, events, exposure in counted:
        above = [a + weight * b for a, b in zip(above, events, strict=True)]
        below = [a + weight * b for a, b in zip(below, exposure, strict=True)]
    return [a / b for a, b in zip(above, below, strict=True)]


def _fitted(events: Sequence[float], exposure: Sequence[float], endings: float, prior: Law) -> Law:
    """Return the log-normal that the table points to, its mean held by at most one, its width by three endings of the
    prior (normal-inverse-gamma, Gelman et al., Bayesian Data Analysis, 3.3), widened by what is not known of the mean.

    A prior that is far off pulls less.
    """
    mean, variance = log_moments(events, exposure)
    prior_mean, prior_variance = log_moments(*expected(prior))
    apart = (mean - prior_mean) ** 2
    pull = 1 / (1 + apart / prior_variance)
    width = (endings * variance + 1.8 * min(prior_variance, WIDEST) + 0.3 * min(apart, 1.0)) / (endings + 3)
    centre = (endings * mean + pull * prior_mean) / (endings + pull)
    return log_normal(exp(centre), sqrt(width * (1 + 1 / (endings + 1))))


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
