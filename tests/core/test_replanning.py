"""What a live task shows of itself moves its next poll, within bounds, and the plan says what decided."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.cadence import BEND, Bounds, LearnedCadence
from daemon.core.durations import Durations
from daemon.core.judge import Patience, Wait, judge
from daemon.core.observation import Pending
from daemon.core.task import Outlook, Status
from tests.core.test_judge import task

FREE = Bounds(min_gap=0.2, max_gap=1e9, retention=1e9)


def poll(watched, seen, it, now):
    """Answer one poll as the watcher does; return the task as it stands then, planned."""
    watched = replace(watched, polls=watched.polls + 1)
    it.alive(watched, now)
    verdict = judge(watched, seen, it, patience=Patience(backoff=0.2), heard=now, now=now, roll=0.5)
    assert isinstance(verdict, Wait)
    verdict.task.seen = now
    verdict.task.plan(now + verdict.delay, verdict.reason)
    return verdict.task


def live(it, queue, run, *, starts=False):
    """Poll a task that waits and then runs to its end, and learn from it."""
    watched, end = task(model="m", seen=0.0), queue + run
    now = it.first(watched, 0.0).delay
    while now < end:
        status = Status.QUEUED if now < queue else Status.RUNNING
        started_at = queue if starts and status is Status.RUNNING else None
        if started_at is not None:
            watched = replace(watched, begun=started_at)
        watched = poll(watched, Pending(status=status, started_at=started_at), it, now)
        now = watched.next_at
    it.ended(watched, now, has_succeeded=True)


def lived(*, starts=False, price=1.0) -> LearnedCadence:
    dice = random.Random(11)
    it = LearnedCadence(typical=60.0, price=price, bounds=FREE)
    for _ in range(80):
        live(it, 60 * math.exp(dice.gauss(0, 1)), 20 * math.exp(0.1 * dice.gauss(0, 1)), starts=starts)
    return it


@pytest.mark.parametrize("starts", [True, False])
def test_once_a_task_runs_the_law_of_run_times_takes_over(starts):
    it = lived(starts=starts)
    waiting = poll(task(model="m", seen=90.0, polls=3), Pending(status=Status.QUEUED), it, 100.0)
    started_at = 101.0 if starts else None

    running = poll(
        replace(waiting, begun=101.0 if starts else -math.inf),
        Pending(status=Status.RUNNING, started_at=started_at),
        it,
        102.0,
    )

    assert running.begun == (101.0 if starts else 102.0)
    assert "run times of m" in running.next_reason
    assert 112.0 < running.next_at < 121.0 if starts else 103.0 < running.next_at < 125.0


def test_a_task_put_back_in_the_queue_no_longer_runs():
    it = lived(starts=True)
    running = task(model="m", status=Status.RUNNING, begun=50.0, seen=60.0)

    again = poll(running, Pending(status=Status.QUEUED), it, 70.0)

    assert again.begun == -math.inf


def test_a_waiting_task_is_not_polled_before_the_shortest_run_could_end():
    it = lived(starts=True, price=0.01)

    waiting = poll(task(model="m", seen=60.0, polls=3), Pending(status=Status.QUEUED), it, 62.0)

    assert waiting.next_at - 62.0 > 1.5 * it.whole.forecast("m").gap(62.0, 0.01)
    assert "queue" in waiting.next_reason


def test_a_lane_where_no_task_was_ever_seen_to_wait_learns_no_run_times():
    dice = random.Random(12)
    it = LearnedCadence(typical=60.0, price=1.0, bounds=FREE)
    for _ in range(40):
        live(it, 0.0, 90 * math.exp(0.5 * dice.gauss(0, 1)))

    assert it.run.lane.endings == 0


def test_what_was_learned_of_runs_comes_back_with_the_tables():
    it, again = lived(), LearnedCadence(typical=60.0, price=1.0, bounds=FREE)

    for model, table in it.tables().items():
        packed = Durations.unpack(table.pack())
        assert packed is not None
        again.remember(model, packed)

    for share in (0.1, 0.5, 0.9):
        before, after = (each.run.forecast("m").law.quantile(share) for each in (it, again))
        assert after == pytest.approx(before, rel=0.05)
    assert set(again.whole.models) == {"m"}


def advance(it, steps, start=0.0):
    """Show a run with the progress of *steps*, (age, progress) each; return the task after the last."""
    watched = task(model=None, status=Status.RUNNING, begun=start, seen=start, polls=2)
    for now, progress in steps:
        watched = poll(watched, Pending(status=Status.RUNNING, progress=progress), it, now)
    return watched


def test_steady_progress_far_from_the_end_loosens_the_plan_and_near_it_tightens():
    it = LearnedCadence(typical=60.0, price=1.0, bounds=FREE)
    blind = it.next(task(model=None, status=Status.RUNNING, seen=50.0), 60.0).delay

    slow = advance(it, [(20.0, 0.02), (40.0, 0.04), (60.0, 0.06)])
    near = advance(it, [(20.0, 0.325), (40.0, 0.65), (60.0, 0.99)])

    assert slow.next_at - 60.0 == pytest.approx(BEND * blind)
    assert near.next_at - 60.0 < 0.6 * blind
    assert "progress of 99 %" in near.next_reason


@pytest.mark.parametrize(
    "steps",
    [[(20.0, 0.05), (60.0, 0.99)], [(20.0, 0.9), (60.0, 0.1)], [(20.0, 0.5), (60.0, 0.5), (60.0, 1.0)]],
    ids=["jumps", "falls back", "full but not over"],
)
def test_progress_that_jumps_is_no_promise(steps):
    it = LearnedCadence(typical=60.0, price=1.0, bounds=FREE)
    blind = it.next(task(model=None, status=Status.RUNNING, seen=50.0), 60.0)

    assert advance(it, steps).next_at - 60.0 == pytest.approx(blind.delay)


def test_progress_that_is_stuck_stops_counting_once_its_promise_has_passed():
    it = LearnedCadence(typical=60.0, price=1.0, bounds=FREE)
    stuck = advance(it, [(20.0, 0.4), (30.0, 0.6), (60.0, 0.6), (90.0, 0.6)])
    blind = it.next(task(model=None, status=Status.RUNNING, seen=50.0), 90.0)

    assert stuck.next_at - 90.0 == pytest.approx(blind.delay)


def test_a_place_far_back_in_the_queue_is_no_reason_to_poll_often():
    it = LearnedCadence(typical=60.0, price=0.15, bounds=FREE)
    watched = task(model=None, seen=0.0)
    for now, place in ((60.0, 100), (70.0, 98), (80.0, 96)):
        watched = poll(watched, Pending(status=Status.QUEUED, queue_position=place), it, now)

    assert watched.next_at - 80.0 == pytest.approx(BEND * it.whole.forecast(None).gap(80.0, 0.15))
    assert "place 96 in the queue" in watched.next_reason


@given(st.floats(0, 1e5), st.floats(-1e6, 1e6), st.booleans(), st.sampled_from([Status.QUEUED, Status.RUNNING]))
def test_no_promise_bends_a_plan_more_than_threefold(age, promised, is_steady, status):
    it = LearnedCadence(typical=60.0, price=1.0, bounds=Bounds(min_gap=1.0, max_gap=1e9, retention=1e9))
    plain = task(model=None, status=status, seen=0.0)
    straight = it.next(plain, age).delay

    bent = it.next(replace(plain, outlook=Outlook(age + promised, is_steady), progress=0.5), age)

    assert straight / BEND - 1e-6 <= bent.delay <= BEND * straight + 1e-6 or bent.delay == 1.0
    assert bent.reason
