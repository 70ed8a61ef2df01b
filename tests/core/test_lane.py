"""A lane starts only what is due, and only within its slots, window, rate, hold and breaker."""

from __future__ import annotations

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemon.core.breaker import Breaker, Temper, Trouble
from daemon.core.lane import TOLERANCE, Agenda, Lane, Pace


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
    it.hold(10.0, "Retry-After")

    assert it.take(29.0) is None
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
