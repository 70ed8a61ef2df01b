"""A task's life on a real disk beside a plain model: watched once, ended once, told once, whatever races or crashes.

The answers are judged by the judge itself; what it decides is committed as the watcher commits it, now and then by two
at once or from a memory that is out of date.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemon.core.cadence import Plan
from daemon.core.delivery import Delivery
from daemon.core.errors import KeyReused
from daemon.core.event import Event
from daemon.core.ids import EventId, TaskId, delivery_id, event_id, task_id
from daemon.core.judge import Finish, Patience, Wait, judge, overdue
from daemon.core.late import LateEnd
from daemon.core.observation import Ended, Missed, Pending
from daemon.core.record import Claim, Owed, TaskQuery, TaskRecord, ToEndpoint
from daemon.core.task import LaneName, Miss, Status, Task, Wish
from daemon.engine.ports import Ending, LateEnding
from tests.models.depth import PATIENCE, depth
from tests.models.disk import MOMENTS, Disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(PATIENCE)]

NOW = 1_764_000_000.0
DEADLINE = 600.0
JOBS = st.sampled_from(("one", "two", "three"))
WORDS = (Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED)
"""The ends that a provider tells itself, named here once more: a model that asked the code would be wrong with it."""
ANSWERS = st.one_of(
    st.builds(Ended, outcome=st.sampled_from(WORDS)),
    st.builds(Pending, status=st.sampled_from((Status.QUEUED, Status.RUNNING)), progress=st.sampled_from((None, 0.1, 0.9))),
    st.builds(Missed, miss=st.sampled_from((Miss.NOT_FOUND, Miss.NOT_FOUND, Miss.TIMEOUT)), detail=st.just("told so")),
)  # fmt: skip
CRASHES = st.none() | st.none() | st.sampled_from(MOMENTS)


class Steady:
    """A cadence of one gap."""

    def first(self, task: Task, now: float) -> Plan:
        return Plan(delay=30.0, reason="steady")

    next = first


@dataclass
class Job:
    """What the model knows of one task; ``told`` are the types of its events."""

    id: TaskId
    remote_id: str
    status: Status = Status.QUEUED
    ended_at: float | None = None
    polls: int = 0
    told: tuple[str, ...] = ()
    is_rechecked: bool = False
    late: Status | None = None

    @property
    def answers(self) -> bool:
        """Whether a registration of the same pair is answered with this one."""
        return not self.status.is_terminal or self.status in WORDS


class TaskMachine(RuleBasedStateMachine):
    """The watchlist and the model do the same things, and say the same after each."""

    def __init__(self):
        super().__init__()
        self.disk = Disk()
        self.now = NOW
        self.serial = 0
        self.model: dict[TaskId, Job] = {}
        self.pruned: list[Job] = []
        self.claims: dict[str, tuple[str, list[TaskId]]] = {}
        self.memory: dict[TaskId, Task] = {}
        self.stale: dict[TaskId, Task] = {}
        self.events: dict[EventId, bytes] = {}

    def teardown(self):
        try:
            self._all_that_lives_times_out_and_ends_late()
        finally:
            self.disk.destroy()

    # ---- what is done

    @rule(seconds=st.sampled_from((1.0, 45.0, 400.0)))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(
        jobs=st.lists(JOBS, min_size=1, max_size=3),
        key=st.sampled_from((None, None, "k1", "k2")),
        print_=st.sampled_from("fg"),
        lost=CRASHES,
    )
    def register(self, jobs, key, print_, lost):
        newcomers = [self._newcomer(remote_id) for remote_id in jobs]
        claim = None if key is None else Claim(key=key, fingerprint=print_)
        if claim and key in self.claims:
            self._claim_again(newcomers, claim)
            return
        call = self.disk.watchlist.add(newcomers, claim)
        expected = self._expected(newcomers)
        if lost is None:
            added = self.disk.run(call)
            assert [(one.record.id, one.is_new) for one in added] == expected
        else:
            made = {id_ for id_, is_new in expected if is_new}
            is_committed = self.disk.crash_within(call, lost)
            self._recall()
            there = {one.id for one in self.disk.run(self.disk.watchlist.page(TaskQuery(limit=500)))} - set(self.model)
            assert there == (made if is_committed else set()), "all of a request or nothing of it"
            if not is_committed:
                return
        for id_, is_new in expected:
            if is_new and id_ not in self.model:
                self.model[id_] = Job(id_, next(one.remote_id for one in newcomers if one.id == id_))
        if claim:
            self.claims[key] = (print_, [id_ for id_, _ in expected])
        self._recall()

    @precondition(lambda self: self.memory)
    @rule(data=st.data(), answer=ANSWERS, is_stale=st.booleans(), lost=CRASHES)
    def poll(self, data, answer, is_stale, lost):
        """One poll, judged and committed; a stale memory is that of somebody who was overtaken meanwhile."""
        held = self.stale if is_stale and self.stale else self.memory
        task = replace(held[data.draw(st.sampled_from(sorted(held)))])
        task.asked(self.now)
        verdict = judge(task, answer, Steady(), patience=Patience(), heard=self.now, now=self.now, roll=0.5)
        self.stale.setdefault(task.id, task)
        if isinstance(verdict, Finish):
            self._finish(verdict, lost)
        else:
            self._wait(task, verdict, lost)

    @precondition(lambda self: self.memory)
    @rule(data=st.data())
    def our_deadline_ends_it_without_a_poll(self, data):
        task = self.memory[data.draw(st.sampled_from(sorted(self.memory)))]
        verdict = overdue(task, self.now)
        if verdict is not None:
            self._finish(verdict, None)

    @precondition(lambda self: self.memory)
    @rule(data=st.data(), outcome=st.sampled_from((Status.LOST, Status.TIMED_OUT, *WORDS)))
    def it_ends(self, data, outcome):
        task = self.memory[data.draw(st.sampled_from(sorted(self.memory)))]
        self._finish(Finish(task=task, ended=Ended(outcome=outcome)), None)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), lost=CRASHES)
    def stop(self, data, lost):
        job = self.model[data.draw(st.sampled_from(sorted(self.model)))]
        was_live = not job.status.is_terminal
        call = self.disk.watchlist.stop(job.id, self.now)
        if lost is None:
            record = self.disk.run(call)
            assert (record is not None) == was_live
        elif not self._is_written(
            call, lost, lambda: was_live and self._status(job.id) is Status.STOPPED, may=was_live
        ):
            return
        if was_live:
            self._end(job, Status.STOPPED)

    @precondition(lambda self: self.memory)
    @rule(data=st.data(), outcomes=st.lists(st.sampled_from((*WORDS, Status.STOPPED)), min_size=2, max_size=4))
    def several_end_it_at_once(self, data, outcomes):
        """Compare-and-set: of all that race, one wins, and only what that one says is written."""
        task = self.memory[data.draw(st.sampled_from(sorted(self.memory)))]
        endings = [
            None if outcome is Status.STOPPED else self._ending(task, Ended(outcome=outcome)) for outcome in outcomes
        ]

        async def race():
            stop, finish = self.disk.watchlist.stop, self.disk.watchlist.finish
            tries = [stop(task.id, self.now) if ending is None else finish(ending) for ending in endings]
            return await asyncio.gather(*tries)

        won = [place for place, result in enumerate(self.disk.run(race())) if result]
        assert len(won) == 1
        ending = endings[won[0]]
        self._end(self.model[task.id], outcomes[won[0]], ending)

    @precondition(lambda self: any(job.status is Status.TIMED_OUT for job in self.model.values()))
    @rule(data=st.data(), is_dropped=st.booleans(), lost=CRASHES)
    def a_late_end_is_seen(self, data, is_dropped, lost):
        job = self.model[
            data.draw(st.sampled_from(sorted(id_ for id_, job in self.model.items() if job.status is Status.TIMED_OUT)))
        ]
        self._seen_late(job, is_dropped, lost)

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def redeliver(self, data):
        id_ = data.draw(st.sampled_from(sorted(self.events)))
        records = self.disk.run(self.disk.outbox.redeliver(id_, (), self.now))

        assert [(one.event_id, one.tries, one.due_at) for one in records] == [(id_, 0, self.now)]

    @rule(age=st.sampled_from((0.0, 400.0)), limit=st.integers(1, 3))
    def prune(self, age, limit):
        old = sorted(
            (job.ended_at, id_)
            for id_, job in self.model.items()
            if job.ended_at is not None and job.ended_at < self.now - age
        )
        gone = self.disk.run(self.disk.watchlist.prune(self.now - age, limit))

        assert len(gone) == len(set(gone)) == min(limit, len(old))
        assert {at for at, id_ in old if id_ in gone} <= {at for at, _ in old[:limit]}, "the longest ended first"
        for id_ in gone:
            self.pruned.append(self.model.pop(id_))
            self.claims = {key: made for key, made in self.claims.items() if id_ not in made[1]}

    @rule()
    def crash(self):
        self.disk.crash()
        self._recall()

    # ---- what must hold

    @invariant()
    def every_task_stands_where_it_should(self):
        records = self.disk.run(self.disk.watchlist.page(TaskQuery(limit=500)))

        shown = {
            one.id: (one.remote_id, one.status, one.ended_at, one.late.status if one.late else None) for one in records
        }
        assert shown == {id_: (job.remote_id, job.status, job.ended_at, job.late) for id_, job in self.model.items()}
        assert {one.id: one.polls for one in records if not one.status.is_terminal} == {
            id_: job.polls for id_, job in self.model.items() if not job.status.is_terminal
        }

    @invariant()
    def one_task_of_a_pair_lives_and_answers_for_it(self):
        for remote_id in ("one", "two", "three"):
            found = self.disk.run(self.disk.watchlist.find("amux", remote_id))
            assert (None if found is None else found.id) == self._known(remote_id)
        live = [job.remote_id for job in self.model.values() if not job.status.is_terminal]
        assert len(live) == len(set(live))

    @invariant()
    def each_end_is_told_once_and_owed_once(self):
        feed = self.disk.run(self.disk.outbox.feed(0, 500))
        for job in (*self.model.values(), *self.pruned):
            assert sorted(item.type for item in feed if item.task_id == job.id) == sorted(job.told)
            ends = [kind for kind in job.told if kind not in ("task.running", "task.late")]
            assert ends == (
                [f"task.{job.status}"] if job.status.is_terminal and job.status is not Status.STOPPED else []
            )
        assert {item.id: item.body for item in feed} == self.events
        assert [item.seq for item in feed] == list(range(1, len(feed) + 1))
        due = self.disk.all(self.disk.outbox.due(0.0))
        assert sorted(delivery.event_id for delivery, _ in due) == sorted(self.events)

    @invariant()
    def what_lives_is_what_memory_holds(self):
        live = {task.id for task in self.disk.all(self.disk.watchlist.live(0.0, self.now))}

        assert live == set(self.memory) == {id_ for id_, job in self.model.items() if not job.status.is_terminal}

    # ---- the plain rules of the model

    def _expected(self, newcomers: list[TaskRecord]) -> list[tuple[TaskId, bool]]:
        fresh: dict[str, TaskId] = {}
        expected = []
        for one in newcomers:
            there = fresh.get(one.remote_id) or self._known(one.remote_id)
            expected.append((there or one.id, there is None))
            if there is None:
                fresh[one.remote_id] = one.id
        return expected

    def _known(self, remote_id: str) -> TaskId | None:
        """The live one of a pair, else the last registered that ended by the provider's own word."""
        candidates = [job for job in self.model.values() if job.remote_id == remote_id and job.answers]
        live = [job.id for job in candidates if not job.status.is_terminal]
        return (live or [job.id for job in candidates][-1:] or [None])[0]

    def _claim_again(self, newcomers: list[TaskRecord], claim: Claim) -> None:
        print_, ids = self.claims[claim.key]
        if print_ != claim.fingerprint:
            with pytest.raises(KeyReused):
                self.disk.run(self.disk.watchlist.add(newcomers, claim))
            return
        added = self.disk.run(self.disk.watchlist.add(newcomers, claim))
        assert [(one.record.id, one.is_new) for one in added] == [(id_, False) for id_ in ids]

    def _wait(self, task: Task, verdict: Wait, lost: int | None) -> None:
        judged = verdict.task
        judged.plan(self.now + verdict.delay, verdict.reason)
        job = self.model.get(task.id)
        is_live = job is not None and not job.status.is_terminal
        if verdict.tell and Wish.RUNNING in verdict.tell:
            event = self._event("task.running", task.id)
            call = self.disk.watchlist.tell(judged, 0.0, [event], [self._owed(event)])
            if lost is None:
                assert self.disk.run(call) == is_live
            elif not self._is_written(call, lost, lambda: self._is_told(event.id), may=is_live):
                return
            if is_live:
                job.told += ("task.running",)
                self.events[event.id] = event.body
        else:
            self.disk.run(self.disk.watchlist.note([judged], 0.0))
        if is_live:
            job.status, job.polls = judged.status, judged.polls
            self.memory[task.id] = judged

    def _finish(self, verdict: Finish, lost: int | None) -> None:
        job = self.model.get(verdict.task.id)
        is_live = job is not None and not job.status.is_terminal
        ending = self._ending(verdict.task, verdict.ended)
        call = self.disk.watchlist.finish(ending)
        if lost is None:
            assert self.disk.run(call) == is_live, "once"
        elif not self._is_written(call, lost, lambda: self._is_told(ending.event.id), may=is_live):
            return
        if is_live:
            self._end(job, verdict.ended.outcome, ending)

    def _all_that_lives_times_out_and_ends_late(self):
        for task in list(self.memory.values()):
            self._finish(Finish(task=task, ended=Ended(outcome=Status.TIMED_OUT)), None)
            self._seen_late(self.model[task.id], False, None)
        self.every_task_stands_where_it_should()
        self.each_end_is_told_once_and_owed_once()

    def _seen_late(self, job: Job, is_dropped: bool, lost: int | None) -> None:
        if is_dropped:
            self.disk.run(self.disk.rechecks.drop(job.id))
            job.is_rechecked = False
            return
        ending = self._late(job, Status.SUCCEEDED)
        event, call = ending.event, self.disk.rechecks.settle(ending)
        if lost is None:
            assert self.disk.run(call) == job.is_rechecked, "once, and only where it is owed"
        elif not self._is_written(call, lost, lambda: self._is_told(event.id), may=job.is_rechecked):
            return
        if job.is_rechecked:
            job.is_rechecked, job.late = False, Status.SUCCEEDED
            job.told += ("task.late",)
            self.events[event.id] = event.body
        assert not self.disk.run(self.disk.rechecks.settle(self._late(job, Status.FAILED))), "seen again, told no more"

    def _end(self, job: Job, status: Status, ending: Ending | None = None) -> None:
        job.status, job.ended_at = status, self.now
        if ending is not None:
            job.told += (ending.event.type,)
            job.is_rechecked = ending.recheck_until is not None
            self.events[ending.event.id] = ending.event.body
        self.memory.pop(job.id, None)

    def _ending(self, task: Task, ended: Ended) -> Ending:
        event = self._event(f"task.{ended.outcome}", task.id)
        until = self.now + 86400 if ended.outcome is Status.TIMED_OUT else None
        return Ending(
            task=task, ended=ended, event=event, owed=(self._owed(event),), ended_at=self.now, recheck_until=until
        )

    def _late(self, job: Job, status: Status) -> LateEnding:
        event = self._event("task.late", job.id)
        late = LateEnd(status=status, outputs=(), error=None, finished_at=None, detected_at=self.now, event_id=event.id)
        return LateEnding(task_id=job.id, late=late, event=event, owed=(self._owed(event),))

    def _event(self, kind: str, of: TaskId) -> Event:
        self.serial += 1
        body = b'{"serial": %d}' % self.serial
        return Event(id=event_id(self.now, self.serial), type=kind, task_id=of, created_at=self.now, body=body)

    def _owed(self, event: Event) -> Owed:
        self.serial += 1
        one = Delivery(id=delivery_id(self.now, self.serial), event_id=event.id, endpoint="default", url=None)
        return Owed(delivery=one, due_at=self.now)

    def _newcomer(self, remote_id: str) -> TaskRecord:
        self.serial += 1
        return TaskRecord(
            id=task_id(self.now, self.serial), provider=LaneName("amux"), remote_id=remote_id, model=None, params=(),
            status_url=None, fetch_result=None, wishes=frozenset({Wish.RUNNING}), metadata={},
            target=ToEndpoint(name="default"), status=Status.QUEUED, progress=None, queue_position=None, outputs=(),
            error=None, created_at=self.now, registered_at=self.now, updated_at=self.now, started_at=None,
            finished_at=None, ended_at=None, deadline_at=self.now + DEADLINE, polls=0, next_poll_at=None,
            next_poll_reason=None, last_miss=None, event_id=None,
        )  # fmt: skip

    def _is_written(self, call, moment: int, is_there, *, may: bool) -> bool:
        """Crash in the midst of a change: what was committed is there, what was not is not, nor what may not be."""
        is_committed = self.disk.crash_within(call, moment)
        assert is_there() == (is_committed and may)
        self._recall()
        return is_committed

    def _recall(self) -> None:
        """Hold in memory what the disk says is alive, as after a start; monotonic time is wall time here."""
        self.memory = {task.id: task for task in self.disk.all(self.disk.watchlist.live(0.0, self.now))}

    def _status(self, id_: TaskId) -> Status | None:
        found = self.disk.run(self.disk.watchlist.record(id_))
        return None if found is None else found.status

    def _is_told(self, id_: EventId) -> bool:
        return self.disk.run(self.disk.outbox.event(id_)) is not None


TestTask = TaskMachine.TestCase
TestTask.settings = depth(25, 40)
