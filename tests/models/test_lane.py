"""A lane before a real outbox: limits hold, nobody starves, and what is in memory is what the disk says, over crashes."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.core.agenda import Agenda
from daemon.core.breaker import Breaker, Temper
from daemon.core.delivery import Accepted, Delivered, Delivery, DeliveryState, Refusal, Refused, Retry, settle
from daemon.core.event import Event
from daemon.core.ids import delivery_id, event_id
from daemon.core.lane import TOLERANCE, Lane, Pace
from daemon.core.ramp import Ramp
from daemon.core.record import DeliveryQuery, Owed
from daemon.core.turns import Turns
from daemon.engine.attempts import settled_by
from tests.models.depth import PATIENCE, depth
from tests.models.disk import Disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE)]

NOW = 1_764_000_000.0
SCHEDULE = (5.0, 30.0, 120.0)
SLOTS, RATE, BURST = 4, 5.0, 2.0
PENDING, DELIVERED, PARKED, DEAD = DeliveryState
GOOD = Accepted(http_status=204, seconds=0.0)
DOWN = Refused(refusal=Refusal.TIMEOUT, detail="no answer", seconds=0.0)
ODD = Refused(refusal=Refusal.HTTP, detail="answered 400", seconds=0.0, http_status=400)


class LaneMachine(RuleBasedStateMachine):
    """Deliveries of one endpoint, taken by its lane as the courier takes them; monotonic time is wall time here."""

    def __init__(self):
        super().__init__()
        self.disk = Disk()
        self.now = NOW
        self.serial = 0
        self.starts: list[float] = []
        self.out: dict[str, Delivery] = {}
        self.held_until = 0.0
        self.asked_again: set[str] = set()
        """Keys that were planned while their try was out: each is started once more, even if that try settled it."""

    def teardown(self):
        try:
            if hasattr(self, "lane"):
                self._come_to_rest()
                self._first_attempts_get_their_turns()
                self._nobody_starves()
        finally:
            self.disk.destroy()

    # ---- what is done

    @initialize(takes_turns=st.booleans())
    def begin(self, takes_turns):
        self.takes_turns = takes_turns
        self.lane = self._new_lane()

    @rule(seconds=st.sampled_from((0.05, 0.3, 5.0, 40.0)))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(many=st.integers(1, 4))
    def publish(self, many):
        for _ in range(many):
            one = self._owed()
            self.lane.plan(one.delivery.id, self.now)
            self.lane.hope(one.delivery.id)

    @rule()
    def take(self):
        ready, before = self.lane.ready_at(), len(self.lane.running)
        key = self.lane.take(self.now)

        assert (key is not None) == (ready <= self.now + TOLERANCE)
        if key is None:
            return
        assert key not in self.out, "no delivery is tried twice at once"
        is_early, message = key in self.asked_again, self.disk.run(self.disk.outbox.message(key))
        self.asked_again.discard(key)
        assert is_early or message is not None, "what the lane starts is pending on disk"
        assert self.now + TOLERANCE >= max(0.0 if is_early else self._due_on_disk(key), self.held_until)
        assert before < min(SLOTS, int(self.lane.window))
        self.starts.append(self.now)
        if message is None:
            self.lane.done(key, None)
        else:
            self.out[key] = message[0]

    @rule()
    def publish_and_take_all_that_may_start_soon(self):
        self.publish(4)
        until = self.now + 6.0
        while self.lane.ready_at() <= until:
            self.now = max(self.now, self.lane.ready_at())
            self.take()

    @precondition(lambda self: self.out)
    @rule(pick=st.integers(0, 99), answer=st.sampled_from((GOOD, GOOD, DOWN, ODD)))
    def answer(self, pick, answer):
        key = sorted(self.out)[pick % len(self.out)]
        self._answered(key, answer)

    @rule(seconds=st.sampled_from((0.5, 20.0)))
    def hold(self, seconds):
        self.lane.hold(self.now + seconds, "Retry-After")
        self.held_until = max(self.held_until, self.now + seconds)

    @rule(limit=st.integers(1, 3))
    def park(self, limit):
        for id_ in self.disk.run(self.disk.outbox.park("a", "it rests", self.now, limit)):
            self.lane.drop(id_)
            self.asked_again.discard(id_)

    @rule(limit=st.integers(1, 3))
    def unpark(self, limit):
        for delivery, due in self.disk.run(self.disk.outbox.unpark("a", self.now, limit)):
            self._plan(delivery, due)
            self.asked_again |= {delivery.id} & set(self.out)

    @rule(is_slower=st.booleans())
    def change_the_rate(self, is_slower):
        self.lane.pace.change(RATE / 2 if is_slower else RATE, BURST, self.now)

    @rule()
    def crash(self):
        """A start finds on disk all that was in memory; the debt to the rate is remembered, no burst is in hand."""
        self.disk.crash()
        self.out.clear()
        self.asked_again.clear()
        self.held_until = 0.0
        tat = self.lane.pace.tat
        self.lane = self._new_lane()
        self.lane.pace.tat = max(tat, self.lane.pace.tat)
        for delivery, due in self.disk.all(self.disk.outbox.due(0.0)):
            self._plan(delivery, due)

    # ---- what must hold

    @invariant()
    def heap_and_store_agree(self):
        if not hasattr(self, "lane"):
            return
        records = self.disk.run(self.disk.outbox.page(DeliveryQuery(limit=500)))
        pending = {one.id: one.due_at for one in records if one.state is PENDING}
        waiting = {id_ for id_ in (one.id for one in records) if id_ in self.lane.agenda}
        assert self.lane.running == set(self.out)
        assert waiting - self.asked_again == set(pending) - set(self.out) - self.asked_again
        assert len(self.lane) == len(waiting) + len(self.out)
        assert all(self.lane.agenda.due(id_) == pending[id_] for id_ in waiting - self.asked_again)

    @invariant()
    def limits_hold(self):
        assert len(self.out) <= SLOTS
        recent = self.starts[-12:]
        for first in range(len(recent)):
            for last in range(first, len(recent)):
                many, span = last - first + 1, recent[last] - recent[first]
                assert many <= BURST + (span + many * TOLERANCE) * RATE + 1e-3

    def _come_to_rest(self):
        """Whatever state it was left in: what is out is answered, what waits is due."""
        for key in sorted(self.out):
            self._answered(key, GOOD)
        for key in self.asked_again - {delivery.id for delivery, _ in self.disk.all(self.disk.outbox.due(0.0))}:
            self.lane.drop(key)
        self.now = max([self.now, *(at for _, at in self.disk.all(self.disk.outbox.due(0.0)))])

    def _first_attempts_get_their_turns(self):
        """With an older retry arriving at every start, each second start is from the line of first attempts.

        In that line stand also the retries that an outage made, of which the endpoint was to blame.
        """
        due = self.disk.all(self.disk.outbox.due(0.0))
        fresh = {delivery.id for delivery, _ in due} - self.lane.tried
        if not self.takes_turns:
            return
        bound, older = 2 * len(fresh) + 2, []
        for _ in range(bound):
            self.serial += 1
            older.append(delivery_id(NOW - 86400.0, self.serial))
            self.lane.demote(older[-1])
            self.lane.plan(older[-1], self.now)
            self.now = max(self.now, self.lane.ready_at())
            key = self.lane.take(self.now)
            fresh.discard(key)
            self.lane.went_well(key)
            self.lane.done(key, None)
        assert not fresh, f"first attempts not started in {bound} starts"
        for key in older:
            self.lane.drop(key)
        for delivery, _ in due:
            self.lane.plan(delivery.id, self.now)

    def _nobody_starves(self):
        """With newcomers arriving at every start, all that waits gets its turn soon."""
        waiting = {delivery.id for delivery, _ in self.disk.all(self.disk.outbox.due(0.0))}
        bound = 2 * len(waiting) + 2
        for _ in range(bound):
            if not waiting:
                return
            self.now = max(self.now, self.lane.ready_at())
            assert self.now < inf, "an idle lane with work starts it some day"
            key = self.lane.take(self.now)
            waiting.discard(key)
            self.lane.went_well(key)
            self.lane.done(key, None)
            self.serial += 1
            self.lane.plan(delivery_id(self.now, self.serial), self.now)
        assert not waiting, f"not started in {bound} starts"

    # ---- as the courier does it

    def _new_lane(self) -> Lane:
        pace = Pace(rate=RATE, burst=BURST)
        pace.forget_burst(self.now)
        agenda = Turns() if self.takes_turns else Agenda()
        temper = Temper(failures=3, probe=5.0, probe_cap=40.0)
        return Lane(name="a", slots=SLOTS, pace=pace, breaker=Breaker(temper), agenda=agenda, ramp=Ramp())

    def _plan(self, delivery: Delivery, due: float) -> None:
        if delivery.tries:
            self.lane.demote(delivery.id)
        self.lane.plan(delivery.id, due)

    def _answered(self, key: str, answer: Accepted | Refused) -> None:
        delivery = self.out.pop(key)
        settlement = settle(delivery, answer, SCHEDULE, roll=0.5)
        settled = settled_by(delivery, answer, settlement, started_at=self.now, now_at=self.now)
        self.disk.run(self.disk.outbox.settle(settled))
        if answer is GOOD:
            self.lane.went_well(key)
        elif answer.blames_endpoint:
            self.lane.went_badly(key, self.now)
        if isinstance(settlement, Retry):
            self.lane.demote(key)
        record, _ = self.disk.run(self.disk.outbox.delivery(key))
        assert not isinstance(settlement, Delivered) or record.state is DELIVERED
        self.lane.done(key, record.due_at)
        if record.state is PENDING:
            self.lane.plan(key, record.due_at)

    def _owed(self) -> Owed:
        self.serial += 1
        event = Event(
            id=event_id(self.now, self.serial), type="endpoint.test", task_id=None, created_at=self.now, body=b"{}"
        )
        one = Delivery(id=delivery_id(self.now, self.serial), event_id=event.id, endpoint="a", url=None)
        owed = Owed(delivery=one, due_at=self.now)
        self.disk.run(self.disk.outbox.publish(event, [owed]))
        return owed

    def _due_on_disk(self, key: str) -> float:
        record, _ = self.disk.run(self.disk.outbox.delivery(key))
        return inf if record.due_at is None else record.due_at


TestLane = LaneMachine.TestCase
TestLane.settings = depth(20, 40)
