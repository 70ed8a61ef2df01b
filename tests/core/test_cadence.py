"""The cadence: near the optimum for what was learned, bounded whatever it learned, explained in words."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.cadence import Bounds, LearnedCadence
from daemon.core.durations import Durations
from daemon.core.law import BINS, edges, log_normal
from daemon.core.learning import Beliefs, learned
from tests.core.test_judge import task

pytestmark = pytest.mark.slow


FREE = Bounds(min_gap=0.2, max_gap=1e9, retention=1e9)


def cadence(*, typical=60.0, price=1.0, bounds=FREE) -> LearnedCadence:
    return LearnedCadence(typical=typical, price=price, bounds=bounds)


def run(it: LearnedCadence, duration: float, *, model="m", start=0.0, learn=True) -> tuple[int, float]:
    """Poll one task of *duration* to its end; return polls and delay."""
    watched, now, polls = task(model=model, born=0.0, seen=start), start, 0
    now += it.first(watched, now).delay
    while True:
        polls += 1
        if now >= duration:
            if learn:
                it.ended(watched, now, has_succeeded=True)
            return polls, now - duration
        if learn:
            it.alive(watched, now)
        watched = replace(watched, seen=now)
        now += it.next(watched, now).delay


def cost(it: LearnedCadence, draw, price: float, tasks=400) -> float:
    total = 0.0
    for _ in range(tasks):
        polls, delay = run(it, draw(), learn=False)
        total += price * polls + delay
    return total / tasks


LAWS = {
    "LN(90, .5)": lambda dice: 90 * math.exp(0.5 * dice.gauss(0, 1)),
    "LN(20, .3)": lambda dice: 20 * math.exp(0.3 * dice.gauss(0, 1)),
    "bimodal": lambda dice: (40 if dice.random() < 0.65 else 200) * math.exp(0.25 * dice.gauss(0, 1)),
}
OPTIMUM = {"LN(90, .5)": 6.33 + 6.00, "LN(20, .3)": 2.61 + 2.19, "bimodal": 5.61 + 5.62}
"""Cost at a price of 1 s of the exact optimum for each law: reference/cadence.md, frontier table, r = 1."""


@pytest.mark.parametrize(("law", "bound"), [("LN(90, .5)", 1.05), ("LN(20, .3)", 1.05), ("bimodal", 1.1)])
def test_after_thirty_endings_the_cost_is_near_that_of_the_exact_optimum(law, bound):
    ratios = []
    for seed in range(6):
        dice = random.Random(f"{law}/{seed}")
        it = cadence()
        for _ in range(30):
            run(it, LAWS[law](dice))
        ratios.append(cost(it, lambda dice=dice: LAWS[law](dice), 1.0) / OPTIMUM[law])

    assert sum(ratios) / len(ratios) < bound


def test_learning_pays_against_the_prior_alone():
    dice = random.Random(3)
    draw = lambda: 20 * math.exp(0.3 * dice.gauss(0, 1))  # noqa: E731
    it = cadence(typical=200.0)
    before = cost(it, draw, 1.0)
    for _ in range(30):
        run(it, draw())

    assert cost(it, draw, 1.0) < before / 3


def test_a_law_that_shifts_is_followed():
    dice = random.Random(4)
    it = cadence()
    for _ in range(200):
        run(it, 20 * math.exp(0.3 * dice.gauss(0, 1)))
    for _ in range(600):
        run(it, 120 * math.exp(0.3 * dice.gauss(0, 1)))

    assert 90 < it.law_of("m").quantile(0.5) < 135


def test_a_law_that_shifts_is_followed_within_ten_endings_of_the_new_one():
    ratios = []
    for seed in range(4):
        dice = random.Random(f"shift/{seed}")
        it = cadence()
        for _ in range(200):
            run(it, LAWS["LN(20, .3)"](dice))
        for _ in range(10):
            run(it, LAWS["LN(90, .5)"](dice))
        ratios.append(cost(it, lambda dice=dice: LAWS["LN(90, .5)"](dice), 1.0) / OPTIMUM["LN(90, .5)"])

    assert sum(ratios) / len(ratios) < 1.12


@pytest.mark.parametrize("law", LAWS)
def test_a_law_that_stays_is_hardly_ever_taken_for_shifted(law):
    dice = random.Random(law)
    it = cadence(price=3.0)
    for _ in range(500):
        run(it, LAWS[law](dice))

    assert it.whole.models["m"].shifts <= 1
    assert it.whole.models["m"].endings > 100


def test_polling_hides_nothing_from_the_median():
    dice = random.Random(5)
    it = cadence(price=30.0)
    for _ in range(300):
        run(it, 90 * math.exp(0.4 * dice.gauss(0, 1)))

    assert it.law_of("m").quantile(0.5) == pytest.approx(90, rel=0.12)


def test_tasks_that_never_end_teach_that_they_last():
    it = cadence(typical=10.0)
    watched = task(model="m", born=0.0, seen=0.0)
    for now in range(10, 5000, 10):
        it.alive(watched, float(now))
        watched = replace(watched, seen=float(now))

    assert it.law_of("m").quantile(0.5) > 20.0


def test_a_new_model_is_polled_as_its_lane_is():
    dice = random.Random(6)
    it = cadence(typical=500.0)
    for _ in range(50):
        run(it, 20 * math.exp(0.2 * dice.gauss(0, 1)), model="known")

    assert it.law_of("new").quantile(0.5) < 40.0


tables = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.booleans(), st.booleans()), max_size=60)


@settings(deadline=None)
@given(tables, st.floats(0, 3e6), st.floats(1e-3, 1e3), st.floats(0.1, 30), st.floats(30, 600), st.floats(60, 1e6))
def test_whatever_was_learned_gaps_keep_their_bounds(seen, age, price, min_gap, max_gap, retention):
    it = cadence(price=price, bounds=Bounds(min_gap=min_gap, max_gap=max_gap, retention=retention))
    for since, until, has_ended, has_succeeded in seen:
        watched = task(model="m", born=0.0, seen=min(since, until))
        if has_ended:
            it.ended(watched, max(since, until), has_succeeded=has_succeeded)
        else:
            it.alive(watched, max(since, until))

    for plan in (it.first(task(model="m", born=0.0), age), it.next(task(model="m", born=0.0), age)):
        assert min_gap <= plan.delay <= max(min_gap, retention / 2)
        assert math.isfinite(plan.delay)
        assert plan.reason
    if it.law_of("m").share_ended(age) >= 0.5:
        assert it.next(task(model="m", born=0.0), age).delay <= max(max_gap, min_gap)


def test_gaps_do_not_grow_while_endings_are_likely():
    dice = random.Random(7)
    it = cadence(price=0.15)
    for _ in range(100):
        run(it, 90 * math.exp(0.5 * dice.gauss(0, 1)))

    at = lambda age: it.next(task(model="m", born=0.0), age).delay  # noqa: E731
    assert at(90.0) < at(30.0)
    assert at(90.0) < 8.0


def test_a_price_stretches_all_gaps_alike_and_comes_back_within_minutes():
    it = cadence(price=0.15)
    before = it.next(task(model="m"), 60.0).delay
    for second in range(4):
        it.throttled(float(second))
    dear = it.next(task(model="m"), 60.0).delay
    it.paced(0.0, 1500.0)

    assert dear == pytest.approx(before * math.sqrt(1.5**4), rel=0.3)
    assert it.price == pytest.approx(0.15, rel=0.05)


def test_a_burst_of_429s_is_one_and_the_price_has_a_ceiling():
    burst, storm = cadence(price=0.15), cadence(price=0.15)
    for _ in range(100):
        burst.throttled(5.0)
    for second in range(10_000):
        storm.throttled(float(second))
        storm.paced(10.0, float(second))

    assert burst.price == pytest.approx(0.225)
    assert storm.price <= 0.15 * 100


def test_a_lane_that_cannot_keep_its_plan_raises_its_price():
    it = cadence(price=0.15)
    for second in range(60):
        it.paced(10.0, float(second))

    assert it.price > 0.5


def test_a_job_older_than_all_that_can_be_learned_is_polled_sparsely():
    plan = cadence(bounds=Bounds(min_gap=2.0, max_gap=60.0, retention=1e7)).next(task(model=None), 60 * 86400.0)

    assert plan.delay == 60.0


def test_the_two_hundred_and_first_model_is_learned_too():
    it = cadence()
    for n in range(230):
        run(it, 20.0, model=f"m{n}")

    assert len(it.whole.models) == 200
    assert "m229" in it.whole.models


def test_a_table_packed_by_the_first_version_is_still_read():
    table = Durations()
    table.ended(30.0, 35.0, has_succeeded=True)
    old = b"\1" + table.pack()[1:-9]

    again = Durations.unpack(old)

    assert again is not None
    assert (again.endings, list(again.recent)) == (0.0, [])


def test_a_table_with_a_number_that_is_none_is_refused():
    packed = bytearray(Durations().pack())
    packed[1:5] = b"\x00\x00\xc0\x7f"

    assert Durations.unpack(bytes(packed)) is None


def test_a_job_that_may_well_have_ended_is_polled_at_once():
    plan = cadence(typical=60.0, bounds=Bounds(min_gap=2.0, max_gap=60.0, retention=1e5)).first(task(model=None), 300.0)

    assert plan.delay == 2.0
    assert "at once" in plan.reason


def test_the_plan_says_what_it_rests_on():
    it = cadence(typical=90.0)
    assert "quantile of the typical 90 s" in it.first(task(model="veo-3"), 0.0).reason
    for _ in range(12):
        run(it, 50.0, model="veo-3")

    assert "quantile of 12 endings of veo-3" in it.first(task(model="veo-3"), 0.0).reason
    assert "12 endings of this lane" in it.first(task(model=None), 0.0).reason


def test_jobs_just_accepted_share_one_plan_until_something_is_learned_or_the_price_moves():
    it = cadence(typical=90.0)

    plan = it.opening("veo-3", 0.0)
    assert it.opening("veo-3", 0.0) is plan
    assert it.first(task(model="veo-3"), 0.0) == plan

    it.throttled(1.0)
    dearer = it.opening("veo-3", 0.0)
    assert dearer.delay > plan.delay
    for _ in range(12):
        run(it, 50.0, model="veo-3")
    assert "12 endings of veo-3" in it.opening("veo-3", 0.0).reason


def test_a_table_survives_packing_and_foreign_bytes_are_refused():
    table = Durations()
    for n in range(50):
        table.alive(0.0, 30.0 + n)
        table.ended(30.0 + n, 35.0 + n, has_succeeded=n % 5 > 0)

    again = Durations.unpack(table.pack())

    assert again is not None
    assert again.endings == pytest.approx(table.endings, rel=1e-5)
    prior = log_normal(60.0, 0.6)
    one, other = (learned(t, prior, Beliefs(prior=2.0, blur=0.05)).quantile(0.5) for t in (table, again))
    assert one == pytest.approx(other, rel=1e-4)
    assert Durations.unpack(b"") is None
    assert Durations.unpack(b"\x03" + table.pack()[1:]) is None


def test_a_table_neither_overflows_nor_forgets_all_after_a_million_endings():
    table = Durations()
    for _ in range(20_000):
        table.ended(10.0, 12.0, has_succeeded=True)

    assert 300 < table.endings < 500
    assert table.weight < 1e7
    assert len(edges()) == BINS + 1


def test_without_leisure_the_last_forecast_serves_on_and_with_it_a_new_one_is_made():
    has_time = [True]
    it = LearnedCadence(typical=60.0, price=1.0, bounds=FREE, at_leisure=lambda: has_time[0])
    for _ in range(10):
        run(it, 20.0)
    before = it.whole.forecast("m")
    has_time[0] = False

    for _ in range(10):
        run(it, 20.0)
        run(it, 20.0, model="new")

    assert it.whole.forecast("m") is before
    assert it.whole.forecast("new") is it.whole.forecast(None)
    has_time[0] = True
    assert it.whole.forecast("m").law.endings == 20
    assert it.whole.forecast("new").law.endings == 10


def test_a_price_that_moves_without_leisure_stretches_what_is_there():
    has_time = [True]
    it = LearnedCadence(typical=60.0, price=1.0, bounds=FREE, at_leisure=lambda: has_time[0])
    forecast = it.whole.forecast(None)
    before = forecast.gap(30.0, 1.0)
    has_time[0] = False

    assert forecast.gap(30.0, 4.0) == pytest.approx(2 * before)


def test_a_lane_that_knows_nothing_costs_less_than_twice_the_optimum_where_tasks_take_a_third_of_what_is_typical():
    dice = random.Random(5)

    assert cost(cadence(typical=60.0), lambda: LAWS["LN(20, .3)"](dice), 1.0) < 2.0 * OPTIMUM["LN(20, .3)"]
