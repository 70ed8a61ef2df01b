"""Laws of how long tasks take, and the exact optimum for each: what a cadence is measured against.

Cost is price x polls + delay, in seconds: Barlow, Hunter, Proschan 1963, J. SIAM 11, 1078-1095.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from statistics import NormalDist, fmean

SAMPLES = 4000
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Law:
    """A mixture of log-normal laws (share, median, sigma); without any, the exponential law of mean 90 s."""

    name: str
    parts: tuple[tuple[float, float, float], ...] = ()

    def ended(self, age: float) -> float:
        """Return the share of tasks that have ended by *age*."""
        if age <= 0:
            return 0.0
        if not self.parts:
            return -math.expm1(-age / 90)
        return sum(share * NORMAL.cdf(math.log(age / median) / sigma) for share, median, sigma in self.parts)

    def quantile(self, share: float) -> float:
        """Return the age by which *share* of the tasks have ended."""
        low, high = 1e-6, 1e7
        while high / low > 1 + 1e-9:
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.ended(middle) < share else (low, middle)
        return high

    def draw(self, dice: Random) -> float:
        """Return one duration."""
        if not self.parts:
            return dice.expovariate(1 / 90)
        share, at = dice.random(), 0
        while at < len(self.parts) - 1 and share >= self.parts[at][0]:
            share -= self.parts[at][0]
            at += 1
        return self.parts[at][1] * math.exp(self.parts[at][2] * dice.gauss(0, 1))


SLOW = Law("LN(90, .5)", ((1.0, 90.0, 0.5),))
SWIFT = Law("LN(20, .3)", ((1.0, 20.0, 0.3),))
BIMODAL = Law("bimodal", ((0.65, 40.0, 0.25), (0.35, 200.0, 0.25)))
HEAVY = Law("LN(60, 1.2)", ((1.0, 60.0, 1.2),))
EXPONENTIAL = Law("exponential 90")
LAWS = (SLOW, SWIFT, BIMODAL, HEAVY, EXPONENTIAL)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a schedule gives: polls per task, mean and 95 % delay in seconds."""

    polls: float
    delay: float
    p95: float

    def cost(self, price: float) -> float:
        """Return the cost in seconds where a poll is worth *price* seconds."""
        return price * self.polls + self.delay


@cache
def durations(law: Law) -> tuple[float, ...]:
    """Return the law as evenly likely durations, shortest first."""
    return tuple(law.quantile((n + 0.5) / SAMPLES) for n in range(SAMPLES))


def outcome(law: Law, follow: Callable[[float], float], first: float) -> Outcome:
    """Return what checks give that begin at age *first*; *follow* tells the age of the check after one."""
    checks, longest = [first], durations(law)[-1]
    while checks[-1] < longest:
        checks.append(follow(checks[-1]))
    return of_schedule(law, checks)


def of_schedule(law: Law, checks: Sequence[float]) -> Outcome:
    """Return what checks at these ages give; the last is at or past the longest duration."""
    seen = [(bisect_left(checks, duration), duration) for duration in durations(law)]
    delays = sorted(checks[at] - duration for at, duration in seen)
    return Outcome(fmean(at + 1 for at, _ in seen), fmean(delays), delays[int(0.95 * len(delays))])


@cache
def optimum(law: Law, price: float, points: int = 3000) -> Outcome:
    """Return the least cost that any schedule can have, by a backward dynamic programme over a grid of ages.

    W(i) = min over j of price S_i + t_j (F_j - F_i) - (M_j - M_i) + W(j), M the partial first moment. The cost of a
    step is Monge (its mixed difference is -(t_j' - t_j)(F_i' - F_i)), so the best j never falls as i grows.
    """
    ages, shares, moments = _grid(law, points)
    last = len(ages) - 1
    least, best = [0.0] * (last + 1), [last] * (last + 1)
    for i in range(last - 1, -1, -1):
        here, moment, base = shares[i], moments[i], price * (1 - shares[i])
        cost, at = math.inf, last
        for j in range(i + 1, best[i + 1] + 1 if i + 1 < last else last + 1):
            tried = ages[j] * (shares[j] - here) - moments[j] + least[j]
            if tried < cost:
                cost, at = tried, j
        least[i], best[i] = cost + base + moment, at
    checks, at = [], 0
    while at < last:
        at = best[at]
        checks.append(ages[at])
    return of_schedule(law, checks)


def _grid(law: Law, points: int) -> tuple[list[float], list[float], list[float]]:
    """Return ages, even up to the 99 % quantile and geometric past it, their shares and partial first moments."""
    body, end = law.quantile(0.99), max(durations(law)[-1], law.quantile(1 - 1e-6))
    tail = points // 5
    ages = [body * n / points for n in range(points)]
    ages += [body * (end / body) ** (n / tail) for n in range(tail + 1)]
    shares = [law.ended(age) for age in ages]
    shares[-1] = 1.0
    moments = [0.0]
    for n in range(1, len(ages)):
        moments.append(moments[-1] + (shares[n] - shares[n - 1]) * (ages[n] + ages[n - 1]) / 2)
    return ages, shares, moments
