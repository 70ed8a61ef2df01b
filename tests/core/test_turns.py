"""Turns, ramp and keyring: who goes first at an endpoint, how fast after an outage, and which keys sign."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.agenda import Agenda
from daemon.core.errors import TooManyKeys
from daemon.core.keyring import DAY, MOST_KEYS, StoredKey, next_expiry, rotated, signing
from daemon.core.lane import Lane, Pace
from daemon.core.ramp import FIRST_RATE, LAST_RATE, Ramp
from daemon.core.turns import Turns

keys = st.text("abcdef", min_size=1, max_size=3)
times = st.integers(0, 800).map(lambda n: n / 8)  # further apart than what counts as the same moment
puts = st.lists(st.tuples(keys, times, st.booleans()), max_size=60)


def drained(turns: Turns, now: float) -> list[str]:
    popped = []
    while turns.first_due() <= now:
        popped.append(turns.pop(now))
        turns.ended(popped[-1])
    return popped


@given(puts, times)
def test_what_is_due_comes_once_and_what_is_not_due_stays(given_puts, now):
    turns, truth = Turns(), {}
    for key, due, is_retry in given_puts:
        turns.put(key, due, float(is_retry))
        truth[key] = due

    popped = drained(turns, now)

    assert sorted(popped) == sorted(key for key, due in truth.items() if due <= now)
    assert turns.first_due() == min((due for due in truth.values() if due > now), default=inf)
    assert len(turns) == sum(due > now for due in truth.values())


@given(puts)
def test_each_line_goes_oldest_first_and_a_waiting_first_attempt_comes_within_two_starts(given_puts):
    turns, rank = Turns(), {}
    for key, due, is_retry in given_puts:
        turns.put(key, due, float(is_retry))
        rank[key] = is_retry

    popped = drained(turns, 100.0)

    for line in (True, False):
        mine = [key for key in popped if rank[key] is line]
        assert mine == sorted(mine)
    fresh_left = sum(not is_retry for is_retry in rank.values())
    for first, second in pairwise(popped):
        assert not (rank[first] and rank[second] and fresh_left), popped
        fresh_left -= (not rank[first]) + 0
    assert fresh_left <= 1


@given(puts, st.sets(keys), st.sets(keys))
def test_what_is_discarded_or_put_again_is_never_met_at_its_old_place(given_puts, gone, moved):
    turns, truth = Turns(), {}
    for key, due, is_retry in given_puts:
        turns.put(key, due, float(is_retry))
        truth[key] = due
    turns.first_due()
    for key in gone:
        turns.discard(key)
        truth.pop(key, None)
    for key in moved & truth.keys():
        turns.put(key, 500.0)
        truth[key] = 500.0

    assert {key for key in truth if key in turns} == set(truth)
    assert sorted(drained(turns, 100.0)) == sorted(key for key, due in truth.items() if due <= 100)


def test_a_backlog_of_retries_leaves_slots_for_first_attempts():
    lane = Lane(name="x", slots=8, pace=Pace(rate=inf), agenda=Turns(), window=8.0)
    for n in range(100):
        lane.plan(f"a{n:03}", 0.0, 1.0)

    started = [lane.take(1.0) for _ in range(8)]
    lane.plan("z-new", 1.0)

    assert [key for key in started if key] == [f"a{n:03}" for n in range(6)]
    assert lane.take(1.0) == "z-new"


def test_the_gauge_of_the_oldest_due_sees_a_due_time():
    turns = Turns()
    turns.put("b", 3.0)
    turns.put("a", 5.0)
    turns.pop(10.0)

    assert turns.first_due() == 3.0


def test_both_orders_answer_the_same_questions():
    for order in (Agenda(), Turns()):
        order.put("a", 2.0)
        order.put("b", 1.0)
        assert (len(order), "a" in order, order.due("b"), order.first_due(), order.due("c")) == (2, True, 1.0, 1.0, inf)
        assert (order.first(), order.pop(1.5), order.first_due()) == ("b", "b", 2.0)
        order.discard("a")
        assert (len(order), order.first_due()) == (0, inf)


# ---- the ramp


def starts(ramp: Ramp, until: float, now: float = 100.0) -> list[float]:
    """Return when a lane that is always ready would start things."""
    found: list[float] = []
    while now < until and ramp.is_on:
        found.append(now)
        ramp.spend(now)
        now = max(now, ramp.next_at)
    return found


def fallen(outage: float) -> Ramp:
    ramp = Ramp()
    ramp.fell(100.0 - outage)
    ramp.begin()
    return ramp


@pytest.mark.parametrize(("outage", "doubling"), [(10.0, 0.5), (120.0, 2.0), (300.0, 5.0), (86400.0, 5.0)])
def test_a_ramp_doubles_and_ends_the_sooner_the_shorter_the_outage_was(outage, doubling):
    ramp = fallen(outage)

    found = starts(ramp, 200.0)

    counts = [sum(100 + doubling * n <= at < 100 + doubling * (n + 1) for at in found) for n in range(8)]
    assert ramp.doubling == doubling
    assert counts[0] <= max(2.0, FIRST_RATE * doubling * 1.6)
    assert all(1.5 <= after / before <= 2.5 for before, after in pairwise(counts[3:]))
    assert not ramp.is_on
    assert found[-1] < 100 + doubling * 9.1
    assert ramp.next_at == 0.0


def test_a_failure_on_the_ramp_halves_the_pace_and_never_below_its_start():
    ramp = fallen(600.0)
    starts(ramp, 120.0)

    before = ramp._rate(120.0)
    ramp.falter(120.0)
    halved = ramp._rate(120.0)
    for _ in range(10):
        ramp.falter(120.0)

    assert halved == pytest.approx(before / 2)
    assert ramp._rate(120.0) == FIRST_RATE


def test_probes_of_a_second_outage_set_no_ramp_out():
    ramp = fallen(10.0)
    ramp.fell(100.0)
    for probe in (105.0, 115.0, 135.0):
        ramp.spend(probe)

    ramp.begin()

    assert 2 <= len(starts(ramp, 201.0, now=200.0)) <= 3


def test_a_lane_that_never_failed_has_no_ramp():
    ramp = Ramp()
    ramp.begin()
    ramp.spend(5.0)
    ramp.falter(5.0)

    assert (ramp.is_on, ramp.next_at) == (False, 0.0)
    assert LAST_RATE > FIRST_RATE


# ---- the keyring


def key(made_at: float, expires_at: float | None = None, version="v1") -> StoredKey:
    return StoredKey(version=version, secret=f"whsec_{made_at}", made_at=made_at, expires_at=expires_at)


@given(st.lists(st.tuples(st.floats(1, 7 * DAY), st.floats(0, 7 * DAY)), max_size=12))
def test_whatever_is_rotated_one_present_key_signs_first_and_at_most_three_do(steps):
    held, now = (key(0.0), key(0.0, version="v1a")), 0.0
    for wait, grace in steps:
        now += wait
        try:
            held = rotated(held, key(now), grace)
        except TooManyKeys:
            continue
        live = [one for one in signing(held, now) if one.version == "v1"]
        assert (live[0].made_at, live[0].expires_at) == (now, None)
        assert [one.expires_at is None for one in live].count(True) == 1
        assert len(live) <= MOST_KEYS
        assert all(one.expires_at <= now + grace for one in live[1:])
        assert [one for one in signing(held, now) if one.version == "v1a"] == [key(0.0, version="v1a")]


def test_a_key_stops_at_its_moment_and_the_next_end_is_known():
    held = (key(5.0), key(0.0, 10.0), key(1.0, 12.0))

    assert [one.made_at for one in signing(held, 9.9)] == [5.0, 1.0, 0.0]
    assert [one.made_at for one in signing(held, 10.0)] == [5.0, 1.0]
    assert (next_expiry(held, 9.0), next_expiry(held, 11.0), next_expiry(held, 12.0)) == (10.0, 12.0, inf)


def test_the_secret_stands_in_no_repr():
    assert "whsec" not in repr(key(1.0))
