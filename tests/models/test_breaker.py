"""A breaker beside the rule in plain words: it opens after failures of several, probes singly, and recovers by a ramp.

How the endpoint stands is on a real disk; a crash brings back an endpoint that fails as one that is probed, and one that
is disabled as disabled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import inf, log

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemon.core.agenda import Agenda
from daemon.core.breaker import Breaker, Temper, Trouble
from daemon.core.lane import TOLERANCE, Lane, Pace
from daemon.core.ramp import Ramp
from daemon.engine.standing import Standing
from tests.models.depth import PATIENCE, depth
from tests.models.disk import Disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE)]

TEMPER = Temper(failures=3, probe=5.0, probe_cap=40.0, credentials_probe=60.0)
NAME = "a"


@dataclass
class Hands:
    """A clock that is set by hand; wall time runs beside monotonic time."""

    at: float = 1000.0

    def now(self) -> float:
        return self.at

    def now_at(self) -> float:
        return self.at + 1e9


@dataclass
class Rule:
    """The breaker in plain words: since when it is open and why, its probes, and the failures in a row before that."""

    trouble: Trouble | None = None
    probes: int = 0
    next_probe: float = 0.0
    failures: int = 0
    culprits: frozenset[str] = frozenset()

    def opens(self, trouble: Trouble, now: float) -> None:
        self.trouble, self.probes = trouble, 0
        self._wait(now)

    def probed(self, now: float) -> None:
        self._wait(now)

    def closes(self) -> None:
        self.trouble, self.failures, self.culprits = None, 0, frozenset()

    def _wait(self, now: float) -> None:
        first = 60.0 if self.trouble is Trouble.CREDENTIALS else 5.0
        self.next_probe = now + min(first * 2**self.probes, max(40.0, first))
        self.probes += 1


class BreakerMachine(RuleBasedStateMachine):
    """A lane whose keys are always due, so that nothing but its breaker and its ramp says when it starts."""

    def __init__(self):
        super().__init__()
        self.disk = Disk()
        self.clock = Hands()
        self.keys: Iterator[int] = count()
        self.out: dict[str, bool] = {}
        self.rule = Rule()
        self._begin()

    def teardown(self):
        self.disk.destroy()

    # ---- what is done

    @rule(seconds=st.sampled_from((0.1, 1.0, 5.0, 30.0, 100.0)))
    def time_passes(self, seconds):
        self.clock.at += seconds

    @rule(most=st.sampled_from((1, 1, 50)))
    def start(self, most):
        for _ in range(most):
            now, was = self.clock.at, self.rule.trouble
            key = self.lane.take(now)
            if key is None:
                return
            self.out[key] = was is not None
            self.lane.plan(str(next(self.keys)), 0.0)
            if was is None:
                self._ramped(now)
                continue
            assert was is not Trouble.DISABLED, "what is disabled starts nothing"
            assert now + TOLERANCE >= self.rule.next_probe, "no probe before its time"
            assert sum(self.out.values()) == 1, "one probe at a time"
            self.rule.probed(now)

    @precondition(lambda self: self.rule.trouble is not None)
    @rule()
    def probes_as_soon_as_it_may(self):
        self.clock.at = max(self.clock.at, self.rule.next_probe)
        self.start(3)

    @rule(seconds=st.sampled_from((2.0, 10.0)))
    def starts_as_soon_as_it_may_for_a_while(self, seconds):
        until = self.clock.at + seconds
        for _ in range(60):
            self.start(1)
            ready = self.lane.ready_at()
            if ready > until:
                return
            self.clock.at = max(self.clock.at, ready)

    @precondition(lambda self: self.rule.trouble in (Trouble.OUTAGE, Trouble.CREDENTIALS))
    @rule(seconds=st.sampled_from((1.0, 10.0)))
    def comes_back_and_answers_all_at_once(self, seconds):
        """Neither slots nor window hold it then, only the ramp."""
        while self.out:
            self.is_silent(0)
        until = max(self.clock.at, self.rule.next_probe) + seconds
        for _ in range(100):
            self.clock.at = max(self.clock.at, self.lane.ready_at())
            if self.clock.at > until:
                return
            self.start(1)
            self.answers_well(0)

    @precondition(lambda self: self.out)
    @rule(pick=st.integers(0, 99))
    def answers_well(self, pick):
        key, is_probe = self._ends(pick)
        trouble = self.rule.trouble
        closes = trouble is None or trouble is Trouble.OUTAGE or (trouble is Trouble.CREDENTIALS and is_probe)
        has_closed = self.lane.went_well(key)
        self.lane.done(key, None)
        self.disk.run(self.standing.recovers(NAME))

        assert has_closed == (closes and trouble is not None)
        if closes:
            self._close()

    @precondition(lambda self: self.out)
    @rule(pick=st.integers(0, 99), again=st.booleans())
    def answers_badly(self, pick, again):
        key, _ = self._ends(pick)
        now = self.clock.at
        has_opened = self.lane.went_badly(key, now)
        self.lane.done(key, 0.0 if again else None)
        self.disk.run(self.standing.refuses(NAME, key, "answered 500"))

        self.fell_at = self.fell_at if self.fell_at is not None or not has_opened else now
        if self.rule.trouble is not None:
            assert not has_opened, "it is open already"
            return
        self.rule.failures += 1
        if len(self.rule.culprits) < TEMPER.failures:
            self.rule.culprits |= {key}
        is_enough = self.rule.failures >= TEMPER.failures and len(self.rule.culprits) > 1
        assert has_opened == is_enough
        if is_enough:
            self._open(Trouble.OUTAGE)

    @rule(pick=st.integers(0, 99))
    def is_silent(self, pick):
        """A try that ends without a verdict frees its place and decides nothing."""
        if self.out:
            key, _ = self._ends(pick)
            self.lane.done(key, None)

    @rule(trouble=st.sampled_from((Trouble.CREDENTIALS, Trouble.CREDENTIALS, Trouble.DISABLED)))
    def trips(self, trouble):
        is_new = self.rule.trouble not in (trouble, Trouble.DISABLED)
        if trouble is Trouble.DISABLED:
            self.disk.run(self.standing.disable(NAME, "somebody's word"))

        assert self.lane.trip(trouble, self.clock.at) == is_new
        self.fell_at = self.clock.at if self.fell_at is None else self.fell_at
        if is_new:
            self._open(trouble)

    @rule()
    def somebody_enables_it(self):
        self.disk.run(self.standing.enable(NAME))
        self.lane.resume()
        self._close()

    @rule()
    def crash(self):
        """What was refused for good is so after a start; what failed is probed; in-flight tries are gone."""
        was_failing, was_disabled = self.standing.failing(NAME), self.standing.disabled(NAME)
        self.disk.crash()
        self._begin()

        assert self.standing.failing(NAME) == was_failing
        assert self.standing.disabled(NAME) == was_disabled

    # ---- what must hold

    @invariant()
    def it_is_open_as_the_rule_says(self):
        breaker = self.lane.breaker
        assert breaker.trouble is self.rule.trouble
        assert self.lane.running == set(self.out)
        if self.rule.trouble is None:
            assert breaker.ready_at() == 0.0
        elif self.rule.trouble is Trouble.DISABLED or sum(self.out.values()):
            assert breaker.ready_at() == inf
        else:
            assert breaker.ready_at() == self.rule.next_probe

    @invariant()
    def the_window_stays_within_the_slots(self):
        assert 1.0 <= self.lane.window <= self.lane.slots

    # ---- the plain rules of the model

    def _begin(self) -> None:
        self.lane = Lane(
            name=NAME,
            slots=200,
            pace=Pace(rate=inf),
            breaker=Breaker(TEMPER),
            agenda=Agenda(),
            ramp=Ramp(),
            window=200.0,
        )
        self.standing = Standing(self.disk.ledger, self.clock)
        self.disk.run(self.standing.load())
        self.out, self.rule = {}, Rule()
        self.fell_at: float | None = None
        self.ramp_from: float | None = None
        self.is_ramping = False
        for _ in range(200):
            self.lane.plan(str(next(self.keys)), 0.0)
        trouble = (
            Trouble.DISABLED
            if self.standing.disabled(NAME)
            else Trouble.OUTAGE
            if self.standing.failing(NAME)
            else None
        )
        if trouble is not None:
            self.lane.trip(trouble, self.clock.at)
            self.fell_at = self.clock.at
            self._open(trouble)

    def _ends(self, pick: int) -> tuple[str, bool]:
        key = sorted(self.out)[pick % len(self.out)]
        return key, self.out.pop(key)

    def _open(self, trouble: Trouble) -> None:
        """A new trouble forgets the probe of the last one: it proves nothing of this one."""
        self.rule.opens(trouble, self.clock.at)
        self.out = dict.fromkeys(self.out, False)

    def _close(self) -> None:
        self.rule.closes()
        self.out = dict.fromkeys(self.out, False)
        if self.fell_at is not None:
            self.is_ramping, self.ramp_from = True, None

    def _ramped(self, now: float) -> None:
        """After an outage the starts by each moment are at most what a rate of two, doubling, allows."""
        if not self.is_ramping:
            return
        if self.ramp_from is None:
            self.doubling = min(max((now - self.fell_at) / 60, 0.5), 5.0)
            self.ramp_from, self.ramped, self.fell_at = now, 0, None
        self.ramped += 1
        age = now - self.ramp_from
        rate = 2.0 * 2 ** min(age / self.doubling, 20.0)
        self.is_ramping = rate < 1000
        allowed = (rate - 2.0) * self.doubling / log(2) + 0.05 * rate + 2
        assert not self.is_ramping or self.ramped <= allowed, f"{self.ramped} starts {age} s after the recovery"


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = depth(40, 40)
