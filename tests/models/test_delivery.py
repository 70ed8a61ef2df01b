"""A delivery's life on a real disk beside a plain model: nothing owed is lost, whatever is decided or crashes between.

Attempts begin and end in any order with parking, redelivery, replay and pruning; a crash forgets those in flight.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemon.core.delivery import (
    Accepted,
    Delivered,
    Delivery,
    DeliveryState,
    GivenUp,
    Refusal,
    Refused,
    Retry,
    Stead,
    settle,
)
from daemon.core.event import Event
from daemon.core.ids import DeliveryId, EventId, delivery_id, event_id
from daemon.core.record import AttemptRecord, DeliveryQuery, EndpointState, Owed, WindowQuery
from daemon.engine.attempts import settled_by
from tests.models.depth import PATIENCE, depth
from tests.models.disk import MOMENTS, Disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE)]

NOW = 1_764_000_000.0
SCHEDULE = (5.0, 30.0)
PENDING, DELIVERED, PARKED, DEAD = DeliveryState
ENDPOINTS = ("a", "b")
CRASHES = st.none() | st.none() | st.sampled_from(MOMENTS)
ANSWERS = st.sampled_from(
    (
        Accepted(http_status=204, seconds=0.5),
        Refused(refusal=Refusal.HTTP, detail="answered 500", seconds=0.5, http_status=500),
        Refused(refusal=Refusal.HTTP, detail="answered 400", seconds=0.5, http_status=400),
        Refused(refusal=Refusal.HTTP, detail="answered 429", seconds=0.5, http_status=429, retry_after=60.0),
        Refused(refusal=Refusal.TIMEOUT, detail="no answer", seconds=0.5),
        Refused(refusal=Refusal.GONE, detail="answered 410 Gone", seconds=0.5, http_status=410),
    )
)


@dataclass
class Owing:
    """What the model knows of one delivery."""

    event: Event
    endpoint: str
    state: DeliveryState
    due_at: float | None
    made_at: float
    attempts: int = 0
    tries: int = 0
    log: list[float] = field(default_factory=list)
    is_accepted: bool = False


class DeliveryMachine(RuleBasedStateMachine):
    """The outbox and the model do the same things, and say the same after each."""

    def __init__(self):
        super().__init__()
        self.disk = Disk()
        self.now = NOW
        self.serial = 0
        self.model: dict[DeliveryId, Owing] = {}
        self.feed: list[Event] = []
        self.out: dict[DeliveryId, tuple[Delivery, float]] = {}
        self.disabled: set[str] = set()

    def teardown(self):
        self.disk.destroy()

    # ---- what is done

    @rule(seconds=st.sampled_from((0.5, 10.0, 3600.0)))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(endpoints=st.sampled_from((("a",), ("b",), ENDPOINTS, ())), lost=CRASHES)
    def publish(self, endpoints, lost):
        event, owed = self._made(endpoints)
        if lost is None:
            self.disk.run(self.disk.outbox.publish(event, owed))
        elif not self._crash_within(self.disk.outbox.publish(event, owed), lost, lambda: self._is_there(event.id)):
            return
        self.feed.append(event)
        for one in owed:
            due_at = one.due_at if one.state is PENDING else None
            self.model[one.delivery.id] = Owing(event, one.delivery.endpoint, one.state, due_at, self.now)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def begin_an_attempt(self, data):
        id_ = data.draw(st.sampled_from(sorted(self.model)))
        message = self.disk.run(self.disk.outbox.message(id_))

        known = self.model[id_]
        assert (message is not None) == (known.state is PENDING)
        if message is not None:
            delivery, event = message
            assert (delivery.attempts, delivery.tries, event) == (known.attempts, known.tries, known.event)
            self.out.setdefault(id_, (delivery, self.now))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), answer=ANSWERS, stead=st.sampled_from(Stead), lost=CRASHES)
    def end_an_attempt(self, data, answer, stead, lost):
        id_ = data.draw(st.sampled_from(sorted(self.out)))
        delivery, started_at = self.out.pop(id_)
        settlement = settle(delivery, answer, SCHEDULE, roll=0.5, stead=stead)
        settled = settled_by(delivery, answer, settlement, started_at=started_at, now_at=self.now)
        known = self.model.get(id_)
        before = 0 if known is None else len(known.log)
        if lost is None:
            self.disk.run(self.disk.outbox.settle(settled))
        elif not self._crash_within(
            self.disk.outbox.settle(settled), lost, lambda: len(self._attempts(id_)) > before, changes=known is not None
        ):
            return
        if known is not None:
            self._follow(known, settlement, delivery, started_at, settled.due_at)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), answer=ANSWERS, stead=st.sampled_from(Stead))
    def attempt(self, data, answer, stead):
        self.begin_an_attempt(data)
        if self.out:
            self.end_an_attempt(data, answer, stead, None)

    @rule(endpoint=st.sampled_from(ENDPOINTS), limit=st.integers(1, 3))
    def park(self, endpoint, limit):
        ids = self.disk.run(self.disk.outbox.park(endpoint, "it rests", self.now, limit))

        assert ids == self._of(endpoint, PENDING)[:limit], "the oldest first"
        for id_ in ids:
            self.model[id_].state, self.model[id_].due_at = PARKED, None

    @rule(endpoint=st.sampled_from(ENDPOINTS), limit=st.integers(1, 3))
    def unpark(self, endpoint, limit):
        moved = self.disk.run(self.disk.outbox.unpark(endpoint, self.now, limit))

        assert [delivery.id for delivery, _ in moved] == self._of(endpoint, PARKED)[:limit], "the oldest first"
        for delivery, _ in moved:
            self.model[delivery.id].state, self.model[delivery.id].due_at = PENDING, self.now

    @rule(endpoint=st.sampled_from(ENDPOINTS), is_on=st.booleans())
    def disable_or_enable(self, endpoint, is_on):
        """The endpoint's state first, then its deliveries: a crash between loses neither."""
        at, why = (None, None) if is_on else (self.now, "somebody's word")
        self.disk.run(self.disk.ledger.save_disabled(endpoint, at, why))
        (self.disabled.discard if is_on else self.disabled.add)(endpoint)
        (self.unpark if is_on else self.park)(endpoint, 100)

    @precondition(lambda self: self.feed)
    @rule(data=st.data())
    def redeliver(self, data):
        event = data.draw(st.sampled_from(self.feed))
        mine = [id_ for id_, known in sorted(self.model.items()) if known.event is event]
        one = self._owed(event, "a")
        records = self.disk.run(self.disk.outbox.redeliver(event.id, [one], self.now))

        if not mine:
            due_at = self.now if one.state is PENDING else None
            self.model[one.delivery.id] = Owing(event, "a", one.state, due_at, self.now)
        for id_ in mine:
            self._owe_again(id_)
        assert [record.id for record in records] == (mine or [one.delivery.id])

    @rule(
        endpoint=st.sampled_from(ENDPOINTS),
        back=st.sampled_from((5.0, 1e6)),
        states=st.sets(st.sampled_from(DeliveryState)),
    )
    def replay(self, endpoint, back, states):
        query = WindowQuery(endpoint=endpoint, since=self.now - back, until=self.now + 1, states=frozenset(states))
        records = self.disk.run(self.disk.outbox.windowed(query))
        wanted = [
            id_
            for id_, known in sorted(self.model.items())
            if known.endpoint == endpoint and known.state in states and known.made_at >= self.now - back
        ]
        assert [record.id for record in records] == wanted
        again = self.disk.run(self.disk.outbox.owe_again([*wanted, DeliveryId("dlv_gone")], self.now))
        assert [(one.id, one.tries) for one in again] == [(id_, 0) for id_ in wanted]
        for id_ in wanted:
            self._owe_again(id_)

    @rule(events=st.sampled_from((5.0, 1e9)), attempts=st.sampled_from((5.0, 1e9)), limit=st.integers(1, 4))
    def prune(self, events, attempts, limit):
        before, attempts_before = self.now - events, self.now - attempts
        old = sorted(
            (at, id_, n)
            for id_, known in self.model.items()
            for n, at in enumerate(known.log)
            if 0 <= at < attempts_before
        )
        went = self.disk.run(self.disk.outbox.prune(before, attempts_before, limit))

        assert went >= min(limit, len(old)), "old attempts go"
        for event in [event for event in self.feed if not self._is_there(event.id)]:
            mine = [id_ for id_, known in self.model.items() if known.event is event]
            assert event.created_at < before, "only old events go"
            assert all(self.model[id_].state in (DELIVERED, DEAD) for id_ in mine), "nothing that is owed goes"
            self.feed.remove(event)
            for id_ in mine:
                del self.model[id_]
        if len(old) <= limit:
            for _, id_, n in [one for one in old if one[1] in self.model]:
                self.model[id_].log[n] = -1.0
        else:
            self._take_the_stores_word_for_attempts(attempts_before, len(old) - limit)

    @rule()
    def crash(self):
        self.disk.crash()
        self.out.clear()

    # ---- what must hold

    @invariant()
    def every_delivery_stands_where_it_should(self):
        records = self.disk.run(self.disk.outbox.page(DeliveryQuery(limit=500)))

        shown = {
            one.id: (one.event_id, one.endpoint, one.state, one.attempts, one.tries, one.due_at) for one in records
        }
        assert shown == {
            id_: (known.event.id, known.endpoint, known.state, known.attempts, known.tries, known.due_at)
            for id_, known in self.model.items()
        }

    @invariant()
    def what_is_pending_is_due_and_nothing_else(self):
        due = [(delivery.id, at) for delivery, at in self.disk.all(self.disk.outbox.due(0.0))]

        pending = [(known.due_at, id_) for id_, known in self.model.items() if known.state is PENDING]
        assert due == [(id_, at) for at, id_ in sorted(pending)]

    @invariant()
    def the_counts_and_the_feed_agree(self):
        counts = self.disk.run(self.disk.outbox.counts())
        feed = self.disk.run(self.disk.outbox.feed(0, 500))

        assert sum(counts.values()) == sum(known.state is not DELIVERED for known in self.model.values())
        assert [(item.id, item.body) for item in feed] == [(event.id, event.body) for event in self.feed]
        assert [item.seq for item in feed] == sorted({item.seq for item in feed})

    @invariant()
    def every_attempt_is_logged_once_and_counted(self):
        for id_, known in self.model.items():
            numbers = [attempt.number for attempt in self._attempts(id_)]
            assert numbers == [n + 1 for n, at in enumerate(known.log) if at >= 0]
            assert known.attempts == len(known.log)
            assert known.is_accepted or known.state is not DELIVERED, "delivered means that the endpoint said so"

    @invariant()
    def what_was_decided_of_an_endpoint_is_remembered(self):
        stored = self.disk.run(self.disk.ledger.endpoints())

        assert {name for name, state in stored.items() if state.disabled_at is not None} == self.disabled
        assert all(isinstance(state, EndpointState) for state in stored.values())

    # ---- the plain rules of the model

    def _follow(self, known, settlement, delivery, started_at, due_at):
        counts = not isinstance(settlement, Retry) or settlement.counts
        known.attempts, known.tries = known.attempts + 1, known.tries + counts
        known.log.append(started_at)
        match settlement:
            case Delivered():
                known.state, known.due_at, known.is_accepted = DELIVERED, None, True
            case Retry() if known.state is PENDING:
                known.due_at = due_at
            case GivenUp() if known.state is PENDING and known.tries == delivery.tries + 1:
                known.state, known.due_at = DEAD, None

    def _owe_again(self, id_):
        self.model[id_].state, self.model[id_].due_at, self.model[id_].tries = PENDING, self.now, 0

    def _of(self, endpoint, state):
        return sorted(id_ for id_, known in self.model.items() if (known.endpoint, known.state) == (endpoint, state))

    def _made(self, endpoints) -> tuple[Event, list[Owed]]:
        self.serial += 1
        body = b'{"serial": %d}' % self.serial
        id_ = event_id(self.now, self.serial)
        event = Event(id=id_, type="endpoint.test", task_id=None, created_at=self.now, body=body)
        return event, [self._owed(event, endpoint) for endpoint in endpoints]

    def _owed(self, event: Event, endpoint: str) -> Owed:
        self.serial += 1
        one = Delivery(id=delivery_id(self.now, self.serial), event_id=event.id, endpoint=endpoint, url=None)
        state = PARKED if endpoint in self.disabled else PENDING
        return Owed(delivery=one, due_at=self.now, state=state, reason="it rests" if state is PARKED else None)

    def _crash_within(self, coroutine, moment, is_written, *, changes=True) -> bool:
        """Crash in the midst of a change: what was committed is there whole, and of what was not there is nothing."""
        is_committed = self.disk.crash_within(coroutine, moment)
        self.out.clear()
        assert is_written() == (is_committed and changes)
        return is_committed

    def _is_there(self, id_: EventId) -> bool:
        return self.disk.run(self.disk.outbox.event(id_)) is not None

    def _attempts(self, id_: DeliveryId) -> list[AttemptRecord]:
        found = self.disk.run(self.disk.outbox.delivery(id_))
        return [] if found is None else found[1]

    def _take_the_stores_word_for_attempts(self, before, left):
        """Which of equally old attempts went is the store's choice; how many, and that they were old, is not."""
        for id_, known in self.model.items():
            there = {attempt.number for attempt in self._attempts(id_)}
            for n, at in enumerate(known.log):
                if n + 1 not in there and at >= 0:
                    assert at < before, "only old attempts go"
                    known.log[n] = -1.0
        kept = sum(0 <= at < before for known in self.model.values() for at in known.log)
        assert kept <= left


TestDelivery = DeliveryMachine.TestCase
TestDelivery.settings = depth(25, 40)
