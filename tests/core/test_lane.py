"""A lane starts only what is due, and only within its slots, window, rate, hold and breaker."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemon.core.breaker import Breaker, Temper, Trouble
from daemon.core.lane import HOPEFULS, TOLERANCE, Agenda, Lane, Pace
from daemon.core.ramp import Ramp
from daemon.core.turns import Turns


def lane(*, slots=4, rate=inf, burst=1.0, window=64.0) -> Lane:
    made = Lane(name="amux", slots=slots, pace=Pace(rate=rate, burst=burst), window=window)
    made.breaker = Breaker(Temper(failures=3, probe=5.0, probe_cap=40.0, credentials_probe=60.0))
    return made


def test_the_earliest_due_goes_first_and_rank_breaks_ties():
    it = lane()
    it.plan("late", 3.0)
    it.plan("b", 1.0, rank=2.0)
    it.plan("a", 1.0, rank=1.0)

    assert [it.take(5.0) for _ in range(4)] == ["a", "b", "late", None]


def test_nothing_starts_before_it_is_due():
    it = lane()
    it.plan("a", 10.0)

    assert it.take(9.9) is None
    assert it.ready_at() == 10.0
    assert it.take(10.0) == "a"


def test_slots_bound_what_is_in_flight():
    it = lane(slots=2)
    for key in "abc":
        it.plan(key, 0.0)

    assert [it.take(1.0), it.take(1.0), it.take(1.0)] == ["a", "b", None]
    it.done("a", None)
    assert it.take(1.0) == "c"


def test_a_new_lane_opens_its_window_only_with_good_answers():
    it = Lane(name="x", slots=10, pace=Pace(rate=inf))
    for n in range(10):
        it.plan(str(n), 0.0)
    started = [key for _ in range(10) if (key := it.take(1.0))]
    assert len(started) == 2

    for key in started:
        it.went_well(key)
        it.done(key, None)

    started = [key for _ in range(10) if (key := it.take(1.0))]
    assert len(started) == 8


@given(st.floats(0.1, 500), st.integers(1, 20), st.lists(st.floats(0, 2), min_size=1, max_size=200))
def test_the_rate_is_never_exceeded_whenever_one_asks(rate, burst, gaps):
    pace, now, starts = Pace(rate=rate, burst=burst), 0.0, []
    for gap in gaps:
        now += gap
        if pace.allows(now):
            pace.spend(now)
            starts.append(now)

    for first in range(len(starts)):
        for last in range(first, len(starts)):
            span = starts[last] - starts[first]
            assert last - first + 1 <= burst + (span + (last - first + 1) * TOLERANCE) * rate + 1e-6


@given(st.floats(0.1, 1000), st.integers(1, 10))
def test_waiting_until_ready_at_is_always_enough_so_no_loop_can_spin(rate, burst):
    pace, now = Pace(rate=rate, burst=burst), 1e6
    for _ in range(100):
        now = max(now, pace.ready_at())
        assert pace.allows(now)
        pace.spend(now)


def test_a_restart_has_no_burst_in_hand():
    pace = Pace(rate=10.0, burst=5.0)
    pace.forget_burst(100.0)

    assert pace.allows(100.0)
    pace.spend(100.0)
    assert not pace.allows(100.0)
    assert pace.allows(100.1)


def test_a_hold_stops_the_whole_lane_and_a_shorter_one_does_not_lift_it():
    it = lane()
    it.plan("a", 0.0)
    it.hold(30.0, "Retry-After")
    it.hold(10.0, "a shorter one")
    it.hold(30.0, "as long a one")

    assert (it.take(29.0), it.hold_reason) == (None, "Retry-After")
    assert it.ready_at() == 30.0
    assert it.take(30.0) == "a"


def test_a_key_in_flight_is_not_started_twice_however_often_it_is_planned():
    it = lane()
    it.plan("a", 0.0)
    assert it.take(0.0) == "a"
    it.plan("a", 0.0)
    assert it.take(0.0) is None

    it.done("a", 50.0)

    assert it.take(0.0) == "a"


def test_a_dropped_key_never_starts():
    it = lane()
    it.plan("a", 0.0)
    it.drop("a")

    assert it.take(1.0) is None
    assert len(it) == 0


def test_a_run_of_failures_leaves_single_probes_that_back_off_and_a_good_answer_closes():
    it = lane()
    for n in range(20):
        it.plan(str(n), 0.0)
    for _ in range(3):
        key = it.take(0.0)
        opened = it.went_badly(key, 0.0)
        it.done(key, 100.0)
    assert opened
    assert it.take(4.9) is None

    probe = it.take(5.0)
    assert probe is not None
    assert it.take(5.0) is None, "one probe at a time"
    assert not it.went_badly(probe, 6.0)
    it.done(probe, 100.0)
    assert it.ready_at() == 15.0, "the wait doubles"

    probe = it.take(15.0)
    assert it.went_well(probe)
    it.done(probe, None)
    assert it.take(16.0) is not None


def test_failures_of_tries_that_were_out_before_the_breaker_opened_do_not_lengthen_the_wait():
    it = lane(slots=20)
    for n in range(12):
        it.plan(str(n), 0.0)
    out = [it.take(0.0) for _ in range(12)]
    for key in out:
        it.went_badly(key, 1.0)
        it.done(key, 200.0)

    assert it.breaker.ready_at() == 6.0


def test_a_parked_credential_is_probed_slowly_and_announced_once():
    it = lane()
    for n in range(3):
        it.plan(str(n), 0.0)
    first, second = it.take(0.0), it.take(0.0)

    assert it.trip(Trouble.CREDENTIALS, 0.0)
    assert not it.trip(Trouble.CREDENTIALS, 0.0)
    it.done(first, 2.0)
    it.done(second, 2.0)
    assert it.ready_at() == 60.0


def test_good_answers_that_were_out_when_the_key_was_refused_do_not_clear_it_but_the_probe_does():
    it = lane()
    it.plan("early", 0.0)
    it.plan("probe", 1.0)
    early = it.take(0.0)
    it.trip(Trouble.CREDENTIALS, 0.0)

    assert not it.went_well(early)
    it.done(early, None)
    probe = it.take(60.0)
    assert it.went_well(probe)
    assert not it.breaker.is_open


def test_a_probe_without_a_verdict_backs_off_all_the_same():
    it = lane()
    it.plan("a", 0.0)
    it.trip(Trouble.CREDENTIALS, 0.0)
    now, starts = 0.0, []
    while now < 600.0:
        now = it.ready_at()
        key = it.take(now)
        starts.append(now)
        it.done(key, now + 1)

    assert len(starts) <= 10


def test_failures_of_one_key_alone_do_not_open_the_breaker():
    it = lane()
    it.plan("poison", 0.0)
    for n in range(20):
        key = it.take(float(n))
        assert not it.went_badly(key, float(n))
        it.done(key, float(n + 1))

    assert not it.breaker.is_open


def failing(it: Breaker, keys: str) -> list[bool]:
    return [it.failed(key, 0.0) for key in keys]


def test_five_failures_of_two_keys_open_a_breaker_that_is_probed_after_5_s_and_at_least_every_5_min():
    it = Breaker(Temper())
    assert failing(it, "ababa") == [False] * 4 + [True]
    assert it.trouble is Trouble.OUTAGE

    waits = []
    for n in range(9):
        waits.append(it.ready_at())
        it.started(f"probe{n}", 0.0)
        it.ended(f"probe{n}")

    assert waits == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]


def test_a_refused_credential_is_probed_after_a_minute_and_at_least_every_five():
    it = Breaker(Temper())
    it.trip(Trouble.CREDENTIALS, 0.0)

    waits = []
    for n in range(5):
        waits.append(it.ready_at())
        it.started(f"probe{n}", 0.0)
        it.ended(f"probe{n}")

    assert waits == [60.0, 120.0, 240.0, 300.0, 300.0]


def test_a_good_answer_forgets_the_failures_before_it_and_whose_they_were():
    it = Breaker(Temper(failures=3))
    failing(it, "ab")

    it.succeeded("c")

    assert failing(it, "ab") == [False, False]
    it.succeeded("c")
    assert failing(it, "aaaa") == [False] * 4
    assert failing(it, "b") == [True]


def test_every_other_probe_tries_one_that_may_well_succeed():
    it = lane()
    for n in range(10):
        it.plan(f"old{n}", float(n))
    it.plan("good", 50.0)
    it.hope("good")
    it.trip(Trouble.OUTAGE, 60.0)

    probes = []
    while len(probes) < 2:
        now = it.ready_at()
        probes.append(it.take(now))
        it.done(probes[-1], now + 1000)

    assert "good" in probes


def test_a_key_planned_again_while_its_last_try_is_out_gets_its_try():
    it = lane()
    it.plan("a", 0.0)
    it.take(0.0)
    it.plan("a", 5.0)
    it.done("a", None)

    assert it.take(5.0) == "a"


def test_a_faster_rate_forgives_the_debt_of_a_slower_one():
    pace = Pace(rate=0.002, burst=1.0)
    pace.spend(0.0)
    assert not pace.allows(400.0)

    pace.change(10.0, 1.0, 1.0)

    assert pace.allows(1.2)


def test_a_disabled_lane_starts_nothing_until_it_is_resumed():
    it = lane()
    it.plan("a", 0.0)
    it.trip(Trouble.DISABLED, 0.0)
    assert it.ready_at() == inf
    assert not it.breaker.succeeded("a")
    assert not it.trip(Trouble.CREDENTIALS, 0.0), "a late 401 cannot wake what is disabled"
    assert it.take(1e9) is None

    it.resume()
    assert it.take(0.0) == "a"


def test_a_pace_lets_one_start_at_once_and_the_next_after_its_gap_give_or_take_a_millisecond():
    pace = Pace(rate=10.0)
    assert pace.allows(0.0)

    pace.spend(0.0)

    assert not pace.allows(0.09)
    assert pace.allows(0.0995)
    assert [Pace(rate=1.0, tat=at).allows(0.0) for at in (TOLERANCE, TOLERANCE * 1.01)] == [True, False]


def test_a_changed_pace_holds_from_then_on():
    pace = Pace(rate=0.5)
    pace.spend(0.0)

    pace.change(10.0, 3.0, 100.0)

    assert _starts(pace, 100.0, 100.4) == pytest.approx([100.0, 100.0, 100.0, 100.1, 100.2, 100.3])


def test_a_debt_that_the_new_rate_allows_is_not_forgiven():
    pace = Pace(rate=1.0, burst=2.0)
    pace.spend(0.0)
    pace.spend(0.0)

    pace.change(1.0, 2.0, 0.5)

    assert (pace.allows(0.9), pace.allows(1.0)) == (False, True)


def test_a_slower_rate_makes_no_start_free_that_was_owed():
    pace = Pace(rate=5.0, burst=2.0)
    pace.spend(0.0)
    pace.spend(0.0)

    pace.change(2.5, 2.0, 0.0)

    assert _starts(pace, 0.0, 1.0) == pytest.approx([0.4, 0.8])


def test_a_rate_set_where_there_was_none_begins_without_a_burst():
    pace = Pace(rate=inf, burst=1.0)

    pace.change(2.0, 3.0, 100.0)

    assert _starts(pace, 100.0, 101.2) == pytest.approx([100.0, 100.5, 101.0])


@given(
    st.lists(
        st.tuples(st.sampled_from((0.0, 0.01, 0.3, 2.0)), st.sampled_from((0.0, 0.5, 2.0, 5.0, 40.0))),
        min_size=1,
        max_size=40,
    )
)
def test_over_any_changes_of_the_rate_no_span_holds_more_starts_than_a_burst_and_the_fastest_rate_allow(steps):
    burst, pace, starts, now = 3.0, Pace(rate=2.0, burst=3.0), list[float](), 0.0
    fastest = max(2.0, *(rate for _, rate in steps))
    for pause, rate in steps:
        now += pause
        if rate:
            pace.change(rate, burst, now)
        for _ in range(4):
            if pace.allows(now):
                pace.spend(now)
                starts.append(now)

    for first in range(len(starts)):
        for last in range(first, len(starts)):
            many, span = last - first + 1, starts[last] - starts[first]
            assert many <= burst + (span + many * TOLERANCE) * fastest + 1e-6


def _starts(pace: Pace, now: float, until: float) -> list[float]:
    found = []
    while (now := max(now, pace.ready_at())) < until - TOLERANCE:
        found.append(now)
        pace.spend(now)
    return found


def test_every_start_is_counted_and_costs_of_the_rate():
    it = lane(rate=1.0)
    it.plan("a", 0.0)
    it.plan("b", 0.0)

    assert (it.take(5.0), it.take(5.0), it.ready_at()) == ("a", None, 6.0)
    assert it.starts == 1


def test_a_key_due_within_a_millisecond_is_due():
    it = lane()
    it.plan("a", TOLERANCE)

    assert it.take(0.0) == "a"


# ---- riders


def riding(party: int, **limits) -> Lane:
    it = lane(**limits)
    it.party = party
    for n, key in enumerate("abcde"):
        it.plan(key, float(n))
    return it


@pytest.mark.parametrize(("party", "along"), [(1, []), (2, ["b"]), (3, ["b", "c"]), (9, ["b", "c", "d"])])
def test_what_is_due_rides_up_to_the_party(party, along):
    it = riding(party)

    assert it.take(3.0) == "a"
    assert it.take_along(3.0) == along


def test_riders_cost_no_slot_and_no_rate_and_are_in_flight_all_the_same():
    it = riding(3, slots=1, rate=1.0)
    it.take(9.0)
    it.take_along(9.0)
    it.plan("b", 20.0)

    assert (it.running, it.riding, len(it), it.starts) == ({"a"}, {"b", "c"}, 5, 1)
    for key in "abc":
        it.done(key, None)
    assert (len(it), it.agenda.due("b"), it.agenda.due("c")) == (3, 20.0, inf)
    assert (it.take(9.5), it.take(10.0)) == (None, "d")


def test_who_must_be_asked_alone_neither_rides_nor_is_ridden_with():
    it = riding(3)
    it.loners = {"a", "c"}

    assert (it.take(9.0), it.take_along(9.0)) == ("a", [])
    assert (it.take(9.0), it.take_along(9.0)) == ("b", [])
    assert (it.take(9.0), it.take_along(9.0)) == ("c", [])
    assert (it.take(9.0), it.take_along(9.0)) == ("d", ["e"])


def test_nobody_rides_with_a_probe():
    it = riding(3)
    it.trip(Trouble.OUTAGE, 0.0)

    assert (it.take(9.0), it.take_along(9.0)) == ("a", [])


def test_a_new_lane_asks_for_one_at_a_time_and_is_not_trusted():
    it = Lane(name="x", slots=4, pace=Pace(rate=inf))
    it.plan("a", 0.0)
    it.plan("b", 0.0)

    assert (it.is_trusted, it.starts, it.ready_at()) == (False, 0, 0.0)
    assert (it.take(0.0), it.take_along(0.0)) == ("a", [])


# ---- probes


def probes(it: Lane, many: int) -> list[str | None]:
    """Return the next *many* keys that are probed, each without a verdict."""
    probed = []
    for _ in range(many):
        probed.append(it.take(it.ready_at()))
        it.done(probed[-1], None)
    return probed


def test_probes_try_the_latest_hopeful_key_and_the_longest_due_by_turns():
    it = lane()
    for n in range(5):
        it.plan(f"old{n}", float(n))
    for key, due in (("good0", 50.0), ("good1", 65.0), ("far", 1e6)):
        it.plan(key, due)
        it.hope(key)

    it.trip(Trouble.OUTAGE, 60.0)

    assert probes(it, 6) == ["good1", "old0", "good0", "old1", "old2", "old3"]


def test_while_all_is_well_hope_changes_no_order():
    it = lane()
    for key in "abc":
        it.plan(key, 0.0)
    it.hope("c")

    assert [it.take(1.0) for _ in range(3)] == ["a", "b", "c"]


def test_no_more_than_sixteen_hopeful_keys_are_kept():
    it = lane()
    for n in range(HOPEFULS + 1):
        it.plan(f"good{n:02}", 60.0)
        it.hope(f"good{n:02}")
    for n in range(40):
        it.plan(f"old{n:02}", float(n))
    it.trip(Trouble.OUTAGE, 60.0)

    probed = probes(it, 40)

    assert [key for key in probed if key.startswith("good")] == [f"good{n:02}" for n in range(16, 0, -1)]


# ---- first tries and retries


def retrying(keys: str, **limits) -> Lane:
    """Return a lane whose *keys* were tried at 0 and failed by themselves, due again at 1."""
    it = lane(**limits)
    it.agenda = Turns()
    for key in keys:
        it.plan(key, 0.0)
        assert it.take(0.0) == key
        it.demote(key)
        it.done(key, 1.0)
    return it


def taken(it: Lane, now: float) -> list[str]:
    return list(iter(lambda: it.take(now), None))


@pytest.mark.parametrize(
    ("window", "room"), [(1.0, 1), (1.9, 1), (2.0, 1), (3.0, 2), (4.0, 3), (7.9, 6), (8.0, 6), (9.0, 7), (40.0, 15)]
)
def test_a_quarter_of_the_slots_and_one_at_least_is_kept_for_first_tries(window, room):
    it = retrying("abcdefghijklmnopqrstuvwxyz", slots=20, window=window)

    assert len(taken(it, 1.0)) == room


def test_a_retry_that_ended_makes_room_for_another():
    it = retrying("abc", slots=2)
    assert taken(it, 1.0) == ["a"]

    it.done("a", None)

    assert taken(it, 1.0) == ["b"]


def test_a_failed_key_is_a_retry_however_it_is_planned():
    it = retrying("abcd", slots=4)
    for key in "abcd":
        it.plan(key, 1.0)

    assert taken(it, 1.0) == ["a", "b", "c"]


def forgotten_by_drop(it: Lane) -> None:
    for key in "abcd":
        it.drop(key)


def forgotten_by_an_end(it: Lane) -> None:
    it.pace.rate, it.slots, it.window = inf, 9, 9.0
    for key in taken(it, 1.0):
        it.done(key, None)
    it.slots = 4


def forgotten_by_an_outage(it: Lane) -> None:
    for key in ("x", "y", "z"):
        it.went_badly(key, 1.0)
    it.resume()
    it.window = 4.0


@pytest.mark.parametrize("forget", [forgotten_by_drop, forgotten_by_an_end, forgotten_by_an_outage])
def test_a_key_that_is_over_or_failed_with_all_others_is_a_first_try_again(forget):
    it = retrying("abcd", slots=4)

    forget(it)
    for key in "abcd":
        it.plan(key, 1.0)

    assert taken(it, 1.0) == ["a", "b", "c", "d"]


def test_an_outage_puts_all_that_waits_in_one_line():
    it = retrying("abcd", slots=4)

    forgotten_by_an_outage(it)

    assert taken(it, 1.0) == ["a", "b", "c", "d"]


def test_a_failure_that_opens_no_breaker_leaves_retries_in_their_line():
    it = retrying("abcd", slots=4)

    assert not it.went_badly("x", 1.0)
    it.window = 4.0
    it.plan("d", 1.0)

    assert taken(it, 1.0) == ["a", "b", "c"]


def test_what_is_due_together_goes_by_key_whichever_way_it_was_planned():
    for is_tried in (False, True):
        it = lane()
        for key in "ac":
            it.plan(key, 0.0)
            it.take(0.0)
        for key in "abcd":
            if is_tried:
                it.demote(key)
        it.plan("b", 5.0)
        it.plan("d", 5.0)
        it.done("a", 5.0)
        it.done("c", 5.0)

        assert taken(it, 5.0) == ["a", "b", "c", "d"]


def test_a_key_dropped_while_its_try_is_out_is_not_tried_again():
    it = lane()
    it.plan("a", 0.0)
    it.take(0.0)
    it.plan("a", 5.0)

    it.drop("a")
    it.done("a", None)

    assert it.take(9.0) is None


def test_of_two_times_for_a_key_in_flight_the_earlier_stands():
    it = lane()
    for key, times in (("a", (5.0, 7.0)), ("b", (7.0, 5.0))):
        it.plan(key, 0.0)
        it.take(0.0)
        for due in times:
            it.plan(key, due)
        it.done(key, 6.0)

    assert (it.agenda.due("a"), it.agenda.due("b")) == (5.0, 5.0)


# ---- answers, the window and the ramp


def test_good_answers_double_the_window_up_to_the_slots_and_bad_ones_halve_it_down_to_one():
    it = lane(slots=5, window=2.0)
    widths = []
    for is_good in (True, True, True, False, False, False, True):
        it.went_well("a") if is_good else it.went_badly("a", 0.0)
        widths.append(it.window)
        assert it.is_trusted is is_good

    assert widths == [4.0, 5.0, 5.0, 2.5, 1.25, 1.0, 2.0]


def test_a_window_wider_than_the_slots_is_not_narrowed_by_a_good_answer():
    it = lane(slots=2, window=64.0)

    it.went_well("a")

    assert it.window == 64.0


@pytest.mark.parametrize("trouble", [Trouble.CREDENTIALS, Trouble.DISABLED])
def test_a_tripped_lane_starts_over_with_a_window_of_one_and_a_stray_good_answer_does_not_widen_it(trouble):
    it = lane(slots=5, window=4.0)
    it.went_well("a")

    assert it.trip(trouble, 0.0)
    assert (it.is_trusted, it.window) == (False, 1.0)
    assert not it.went_well("stray")
    assert (it.is_trusted, it.window) == (False, 1.0)


def falls_by_failures(it: Lane) -> None:
    for key in "xyz":
        it.went_badly(key, 0.0)


def falls_by_a_word(it: Lane) -> None:
    it.trip(Trouble.CREDENTIALS, 0.0)


def recovers_by_its_probe(it: Lane) -> None:
    probe = it.take(300.0)
    assert it.went_well(probe)
    it.done(probe, None)


@pytest.mark.parametrize("fall", [falls_by_failures, falls_by_a_word])
@pytest.mark.parametrize("recover", [recovers_by_its_probe, Lane.resume])
def test_after_an_outage_starts_follow_the_ramp_and_a_failure_halves_its_pace(fall, recover):
    it = lane(slots=50)
    it.ramp = Ramp()
    for n in range(99):
        it.plan(str(n), 0.0)
    fall(it)
    recover(it)
    it.window = 50.0

    first = it.take(300.0)
    assert (it.take(300.0), it.ready_at()) == (None, 300.45)
    it.take(310.0)
    assert it.ready_at() == pytest.approx(310.075, abs=0.01)
    it.went_badly(first, 310.0)
    it.take(310.2)
    assert it.ready_at() == pytest.approx(310.39, abs=0.01)


def test_a_resumed_lane_forgets_its_hold():
    it = lane()
    it.plan("a", 0.0)
    it.hold(99.0, "Retry-After")
    assert (it.held_until, it.hold_reason) == (99.0, "Retry-After")

    it.resume()

    assert (it.take(0.0), it.held_until, it.hold_reason) == ("a", 0.0, None)


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 100)), max_size=300))
def test_the_agenda_answers_the_smallest_due_of_the_last_plan_for_each_key(plans):
    agenda, truth = Agenda(), {}
    for key, due in plans:
        agenda.put(str(key), due)
        truth[str(key)] = due

    popped = []
    while agenda.first_due() < inf:
        due = agenda.first_due()
        popped.append((due, agenda.pop()))

    assert sorted(popped) == sorted((due, key) for key, due in truth.items())
    assert [due for due, _ in popped] == sorted(truth.values())


@pytest.mark.parametrize(("keys", "most"), [(1, 64), (21, 64), (22, 66), (100, 300)])
def test_a_key_that_is_planned_over_and_over_leaves_at_most_three_places_behind(keys, most):
    agenda, lengths = Agenda(), []
    for n in range(20 * keys + 200):
        agenda.put(str(n % keys), float(n))
        lengths.append(len(agenda._heap))

    assert max(lengths) == most
    assert [agenda.pop() for _ in range(keys) if agenda.first_due() < inf] == [
        str(n % keys) for n in range(19 * keys + 200, 20 * keys + 200)
    ]


def test_a_key_without_a_rank_goes_before_any_of_its_time_that_has_one():
    agenda = Agenda()
    agenda.put("a", 1.0, 0.5)
    agenda.put("z", 1.0)

    assert (agenda.first_due(), agenda.pop(), agenda.first_due(), agenda.pop()) == (1.0, "z", 1.0, "a")


class LaneMachine(RuleBasedStateMachine):
    """Whatever happens, limits hold, no key runs twice and none is forgotten."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.it = lane(slots=3, rate=5.0, burst=2.0, window=2.0)
        self.waiting: set[str] = set()
        self.out: set[str] = set()
        self.serial = 0

    @rule(wait=st.floats(0, 20))
    def time_passes(self, wait):
        self.now += wait

    @rule(delay=st.floats(0, 10))
    def plan(self, delay):
        self.serial += 1
        self.it.plan(str(self.serial), self.now + delay)
        self.waiting.add(str(self.serial))

    @rule()
    def take(self):
        ready = self.it.ready_at()
        key = self.it.take(self.now)
        assert (key is not None) == (ready <= self.now + TOLERANCE)
        if key is not None:
            assert key in self.waiting
            self.waiting.remove(key)
            self.out.add(key)

    @precondition(lambda self: self.out)
    @rule(good=st.booleans(), again=st.booleans(), data=st.data())
    def end(self, good, again, data):
        key = data.draw(st.sampled_from(sorted(self.out)))
        self.out.remove(key)
        if good:
            self.it.went_well(key)
        else:
            self.it.went_badly(key, self.now)
        self.it.done(key, self.now + 1 if again else None)
        if again:
            self.waiting.add(key)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def drop(self, data):
        key = data.draw(st.sampled_from(sorted(self.waiting)))
        self.waiting.remove(key)
        self.it.drop(key)

    @invariant()
    def limits_hold_and_nothing_is_forgotten(self):
        assert self.it.running == self.out
        assert len(self.out) <= 3
        assert len(self.it) == len(self.waiting) + len(self.out)
        if self.waiting and not self.out:
            assert self.it.ready_at() < inf, "what waits in an idle lane will start some day"


LaneMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestLaneMachine = LaneMachine.TestCase


def test_keys_planned_at_once_start_in_the_order_of_keys_planned_one_by_one():
    entries = [(3.0, 0.0, "c"), (1.0, 2.0, "late"), (1.0, 1.0, "urgent"), (2.0, 0.0, "b")]
    at_once, one_by_one = lane(), lane()
    at_once.plan("b", 9.0)

    at_once.fill(entries)
    for due, rank, key in entries:
        one_by_one.plan(key, due, rank)

    started = [[it.take(9.0) for _ in range(5)] for it in (at_once, one_by_one)]
    assert started[0] == started[1] == ["urgent", "late", "b", "c", None]


def test_a_key_in_flight_is_not_started_twice_when_many_are_planned_at_once():
    it = lane()
    it.plan("a", 0.0)
    assert it.take(0.0) == "a"

    it.fill([(0.0, 0.0, "a"), (0.0, 0.0, "b")])

    assert (it.take(0.0), it.take(0.0)) == ("b", None)
    it.done("a", None)
    assert it.take(0.0) == "a"
