"""The yardstick is straight: the exact optimum agrees with another way to find it, and with the published table."""

from __future__ import annotations

from itertools import pairwise

import pytest

from benchmarks.cadence import delay_like, fixed
from benchmarks.laws import BIMODAL, EXPONENTIAL, HEAVY, SLOW, SWIFT, Law, Outcome, durations, of_schedule, optimum
from benchmarks.replay import curve, learn

FRONTIER = [
    (SLOW, 0.1, 2.38, 18.3),
    (SLOW, 1.0, 6.33, 6.00),
    (SLOW, 3.0, 10.7, 3.48),
    (SWIFT, 0.3, 1.72, 3.81),
    (SWIFT, 1.0, 2.61, 2.19),
    (BIMODAL, 0.1, 2.36, 15.6),
    (BIMODAL, 3.0, 9.60, 3.20),
    (HEAVY, 1.0, 8.16, 7.51),
]


@pytest.mark.parametrize(("law", "r", "polls", "delay"), FRONTIER, ids=lambda value: getattr(value, "name", None))
def test_the_optimum_is_that_of_the_frontier_table(law, r, polls, delay):
    found = optimum(law, 1 / r)

    assert found.polls == pytest.approx(polls, rel=0.02)
    assert found.delay == pytest.approx(delay, rel=0.02)
    assert found.cost(1 / r) == pytest.approx(polls / r + delay, rel=0.01)


@pytest.mark.parametrize("r", [0.1, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("law", [SLOW, SWIFT, HEAVY, EXPONENTIAL], ids=lambda law: law.name)
def test_the_programme_and_the_recursion_agree(law, r):
    assert recursed(law, 1 / r).cost(1 / r) == pytest.approx(optimum(law, 1 / r).cost(1 / r), rel=0.003)


def test_a_fixed_interval_costs_what_arithmetic_says():
    found = fixed(5.0, 5.0)(SLOW)

    assert found.delay == pytest.approx(2.5, rel=0.01)
    assert found.polls == pytest.approx(sum(durations(SLOW)) / len(durations(SLOW)) / 5 + 0.5, rel=0.01)


def test_the_real_cadence_is_never_cheaper_than_the_optimum_and_is_near_it_once_it_has_learned():
    learned = learn(SLOW, 100, price=1.0, seed=1)

    ratio = curve(learned, SLOW, 1.0).cost(1.0) / optimum(SLOW, 1.0).cost(1.0)

    assert 1.0 <= ratio < 1.25


def test_a_price_is_found_that_gives_the_delay_asked_for():
    learned = learn(SWIFT, 100, price=0.15, seed=1)

    assert delay_like(learned, SWIFT, 2.5).delay == pytest.approx(2.5, rel=0.02)


def recursed(law: Law, price: float) -> Outcome:
    """Return the optimum by the recursion x_{k+1} - x_k = (F(x_k) - F(x_{k-1})) / f(x_k) - price, for a unimodal law.

    The first check is found by bisection: too late a one makes gaps grow for ever, too early a one makes them
    negative. Steps on past the point where rounding takes over repeat the last sound gap.
    """
    low, high = law.quantile(1e-6), law.quantile(1 - 1e-6)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if _grows(law, price, middle) else (middle, high)
    checks = _steps(law, price, low)[:-2]
    gap = checks[-1] - checks[-2] if len(checks) > 1 else checks[0]
    while checks[-1] < durations(law)[-1]:
        checks.append(checks[-1] + gap)
    return of_schedule(law, checks)


def _grows(law: Law, price: float, first: float) -> bool:
    checks = _steps(law, price, first)
    gaps = [later - earlier for earlier, later in pairwise(checks)]
    return bool(gaps) and gaps[-1] > 0


def _steps(law: Law, price: float, first: float) -> list[float]:
    """Follow the recursion until a gap is negative or larger than any sound one."""
    checks, before, end = [first], 0.0, law.quantile(1 - 1e-7)
    while checks[-1] < end:
        age = checks[-1]
        step = 1e-5 * age
        density = (law.ended(age + step) - law.ended(age - step)) / (2 * step)
        gap = (law.ended(age) - law.ended(before)) / max(density, 1e-300) - price
        checks.append(age + gap)
        if gap <= 0 or (len(checks) > 2 and gap > 3 * (age - before)):
            break
        before = age
    return checks
