"""A task ends only on a final answer, on three not-found answers that span the grace, or on our deadline."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.cadence import Plan
from daemon.core.ids import TaskId
from daemon.core.judge import Finish, Patience, Wait, judge, overdue
from daemon.core.observation import Ended, Missed, Pending, TaskError
from daemon.core.task import LIVE, TRANSITIONS, LaneName, Miss, Status, Task, Wish


class Steady:
    """A cadence of one gap, so that what the judge adds is plain to see."""

    gap = 4.0

    def first(self, task, now):
        return Plan(delay=self.gap, reason="steady")

    next = first


CADENCE = Steady()
PATIENCE = Patience(grace=60.0, answers=3, backoff=2.0)
FOR_EVER = 1e9


def task(**changes) -> Task:
    start = Task(
        id=TaskId("tsk_1"),
        provider=LaneName("amux"),
        remote_id="r1",
        model=None,
        updated_at=0.0,
        born=0.0,
        deadline=FOR_EVER,
        next_at=0.0,
    )
    return replace(start, **changes)


def verdict(of: Task, seen, now: float = 100.0, roll: float = 0.5, heard: float = FOR_EVER):
    return judge(of, seen, CADENCE, patience=PATIENCE, heard=heard, now=now, roll=roll)


def missed(miss: Miss, **more) -> Missed:
    return Missed(miss=miss, detail="told so", **more)


outcomes = st.sampled_from([s for s in Status if s.is_terminal and s is not Status.STOPPED])
pendings = st.builds(
    Pending,
    status=st.sampled_from(sorted(LIVE)),
    progress=st.none() | st.floats(0, 1),
    queue_position=st.none() | st.integers(0, 1000),
    hint=st.none() | st.floats(-10, 1e9),
)
misses = st.builds(
    Missed,
    miss=st.sampled_from(Miss),
    detail=st.text(max_size=20),
    retry_after=st.none() | st.floats(-10, 1e12),
    http_status=st.none() | st.integers(100, 599),
)
fatal = {Miss.NOT_FOUND, Miss.FORBIDDEN}


@given(outcomes, st.floats(0, 1e6))
def test_a_final_answer_ends_the_task_as_it_says_whenever_it_comes(outcome, deadline):
    ended = Ended(outcome=outcome)

    answer = verdict(task(deadline=deadline), ended, now=500.0)

    assert isinstance(answer, Finish)
    assert answer.ended is ended


def test_an_end_past_the_deadline_is_still_an_end():
    answer = verdict(task(deadline=10.0), Ended(outcome=Status.SUCCEEDED), now=11.0)

    assert isinstance(answer, Finish)
    assert answer.ended.outcome is Status.SUCCEEDED


@given(st.lists(pendings | misses.filter(lambda m: m.miss not in fatal), max_size=60), st.floats(0, 0.999))
def test_no_news_of_any_kind_never_ends_a_task_before_its_deadline(seen, roll):
    current, now = task(), 0.0

    for each in seen:
        answer = verdict(current, each, now=now, roll=roll)
        assert isinstance(answer, Wait)
        current, now = answer.task, now + answer.delay


@given(st.lists(pendings | misses, max_size=60), st.floats(0, 0.999), st.floats(1, 10_000))
def test_every_task_ends_at_most_one_wait_after_its_deadline(seen, roll, deadline):
    current, now = task(deadline=deadline), 0.0

    for each in seen:
        answer = verdict(current, each, now=now, roll=roll)
        if isinstance(answer, Finish):
            assert answer.ended.outcome in (Status.TIMED_OUT, Status.LOST)
            assert now >= deadline or answer.ended.outcome is Status.LOST
            return
        assert now < deadline
        assert PATIENCE.backoff <= answer.delay or now + answer.delay >= deadline
        assert now + answer.delay <= max(deadline, now + PATIENCE.backoff)
        current, now = answer.task, now + answer.delay


@given(misses, st.floats(0, 0.999), st.integers(0, 40))
def test_a_wait_after_no_news_is_never_shorter_than_the_backoff_nor_longer_than_an_hour(seen, roll, before):
    answer = verdict(task(misses=before), seen, roll=roll)

    assert isinstance(answer, Wait)
    assert PATIENCE.backoff <= answer.delay <= 3600.0


@pytest.mark.parametrize(("miss", "code"), [(Miss.NOT_FOUND, "not_found"), (Miss.FORBIDDEN, "forbidden")])
def test_three_such_answers_in_a_row_that_span_the_grace_lose_the_task(miss, code):
    current, now, seen = task(), 0.0, missed(miss, http_status=404)

    for _ in range(2):
        answer = verdict(current, seen, now=now)
        assert isinstance(answer, Wait)
        current, now = answer.task, now + answer.delay
    answer = verdict(current, seen, now=now)

    assert isinstance(answer, Finish)
    assert answer.ended.outcome is Status.LOST
    assert answer.ended.error == TaskError(code=code, message="told so", kind="lost")


def test_a_task_is_not_lost_to_403_while_no_other_task_of_its_lane_was_answered():
    current, now, seen = task(), 0.0, missed(Miss.FORBIDDEN, http_status=403)

    for _ in range(20):
        answer = verdict(current, seen, now=now, heard=-1.0)
        assert isinstance(answer, Wait)
        current, now = answer.task, now + answer.delay

    assert isinstance(verdict(current, seen, now=now, heard=now - 1), Finish)


def test_no_hint_may_outlast_what_the_lane_allows():
    patience = replace(PATIENCE, hint_cap=5.0)
    hinted = Pending(status=Status.RUNNING, hint=3600.0)
    told = missed(Miss.SERVER_ERROR, retry_after=3600.0)

    for seen in (hinted, told):
        answer = judge(task(), seen, CADENCE, patience=patience, heard=0.0, now=100.0, roll=0.0)
        assert isinstance(answer, Wait)
        assert answer.delay <= 5.0


def test_three_not_founds_within_the_grace_are_not_enough():
    current, seen = task(), missed(Miss.NOT_FOUND)

    for now in (0.0, 20.0, 59.0):
        answer = verdict(current, seen, now=now)
        assert isinstance(answer, Wait)
        current = answer.task

    assert isinstance(verdict(current, seen, now=60.0), Finish)


def test_two_not_founds_are_not_enough_however_far_apart():
    first = verdict(task(), missed(Miss.NOT_FOUND), now=0.0)

    assert isinstance(verdict(first.task, missed(Miss.NOT_FOUND), now=5000.0), Wait)


@given(pendings | misses.filter(lambda m: m.miss is not Miss.NOT_FOUND))
def test_any_other_answer_between_starts_the_row_of_not_founds_anew(other):
    current = task()
    for now, seen in ((0.0, missed(Miss.NOT_FOUND)), (60.0, missed(Miss.NOT_FOUND)), (90.0, other)):
        current = verdict(current, seen, now=now).task

    assert isinstance(verdict(current, missed(Miss.NOT_FOUND), now=120.0), Wait)


def test_our_deadline_ends_a_task_that_still_runs_and_says_what_was_last_seen():
    answer = verdict(task(deadline=50.0), Pending(status=Status.RUNNING), now=50.0)

    assert isinstance(answer, Finish)
    assert answer.ended.outcome is Status.TIMED_OUT
    assert answer.ended.error is not None
    assert "running" in answer.ended.error.message


def test_the_last_look_falls_on_the_deadline():
    answer = verdict(task(deadline=103.0), Pending(status=Status.RUNNING), now=100.0)

    assert isinstance(answer, Wait)
    assert answer.delay == 3.0


def test_a_known_end_whose_result_stays_missing_is_told_as_that_end():
    known = Ended(outcome=Status.SUCCEEDED)
    seen = missed(Miss.RESULT_MISSING, known=known)
    current = task()
    for now in (0.0, 300.0):
        current = verdict(current, seen, now=now).task

    answer = verdict(current, seen, now=600.0)

    assert isinstance(answer, Finish)
    assert answer.ended.outcome is Status.SUCCEEDED
    assert answer.ended.response.omitted == "result_unavailable"


def test_a_known_end_outlives_the_deadline_instead_of_timing_out():
    seen = missed(Miss.RESULT_MISSING, known=Ended(outcome=Status.SUCCEEDED))

    answer = verdict(task(deadline=10.0), seen, now=20.0)

    assert isinstance(answer, Finish)
    assert answer.ended.outcome is Status.SUCCEEDED


def test_a_good_answer_forgets_the_misses_before_it():
    current = verdict(task(), missed(Miss.TIMEOUT)).task
    assert (current.misses, current.last_miss) == (1, "timeout: told so")

    current = verdict(current, Pending(status=Status.RUNNING)).task

    assert (current.misses, current.last_miss, current.streak) == (0, None, None)


def test_the_providers_hint_lengthens_the_wait_and_never_shortens_it():
    hinted = verdict(task(), Pending(status=Status.RUNNING, hint=25.0))
    plain = verdict(task(), Pending(status=Status.RUNNING, hint=0.1))

    assert hinted.delay == 25.0
    assert plain.delay == pytest.approx(CADENCE.gap)


def test_an_absurd_hint_is_clamped_to_an_hour():
    assert verdict(task(), Pending(status=Status.RUNNING, hint=1e9)).delay == 3600.0


def test_the_judge_adds_nothing_to_the_gap_between_good_answers():
    current, now, delays = task(born=-60.0), 0.0, []
    for _ in range(50):
        answer = verdict(current, Pending(status=Status.RUNNING), now=now)
        delays.append(answer.delay)
        current, now = answer.task, now + answer.delay

    assert len(set(delays)) == 1


def test_interim_events_are_told_once_per_change_and_only_to_those_who_wished():
    silent = verdict(task(), Pending(status=Status.RUNNING, progress=0.5))
    wishing = task(wishes=frozenset(Wish))
    first = verdict(wishing, Pending(status=Status.RUNNING, progress=0.5))
    second = verdict(first.task, Pending(status=Status.RUNNING, progress=0.5))

    assert silent.tell == ()
    assert first.tell == (Wish.RUNNING, Wish.PROGRESS)
    assert second.tell == ()


def test_a_task_that_cannot_be_polled_ends_at_its_deadline_and_not_before():
    assert overdue(task(deadline=10.0), 9.9) is None
    late = overdue(task(deadline=10.0), 10.0)
    assert late is not None
    assert late.ended.outcome is Status.TIMED_OUT


def test_terminal_statuses_lead_nowhere_and_live_ones_anywhere():
    for status, following in TRANSITIONS.items():
        assert following == (frozenset() if status.is_terminal else frozenset(Status))


def test_what_a_task_tells_is_news_in_each_of_its_parts_and_kept_where_an_answer_is_silent():
    known = verdict(task(), Pending(status=Status.RUNNING, progress=0.5, queue_position=2, started_at=9.0)).task
    same = Pending(status=Status.RUNNING, progress=0.5, queue_position=2, started_at=9.0)

    assert verdict(known, same).task is known
    assert verdict(known, replace(same, progress=0.6)).task.progress == 0.6
    assert verdict(known, replace(same, queue_position=1)).task.queue_position == 1
    assert verdict(known, replace(same, started_at=8.0)).task.started_at == 8.0
    silent = verdict(known, Pending(status=Status.RUNNING, queue_position=3)).task
    assert (silent.progress, silent.started_at, silent.queue_position) == (0.5, 9.0, 3)


@pytest.mark.parametrize(
    ("seen", "before", "roll", "delay"),
    [
        (missed(Miss.NOT_FOUND), 0, 0.9, 30.0),
        (missed(Miss.UNAUTHORIZED), 9, 0.9, 2.0),
        (missed(Miss.UNLISTED), 9, 0.9, 2.0),
        (missed(Miss.THROTTLED, retry_after=30.0), 9, 0.9, 30.0),
        (missed(Miss.THROTTLED), 9, 0.9, 2.0),
        (missed(Miss.SERVER_ERROR), 0, 0.5, 3.0),
        (missed(Miss.SERVER_ERROR), 1, 0.5, 5.0),
        (missed(Miss.SERVER_ERROR), 3, 0.5, 17.0),
        (missed(Miss.SERVER_ERROR), 40, 0.5, 31.0),
        (missed(Miss.SERVER_ERROR, retry_after=20.0), 0, 0.5, 20.0),
        (missed(Miss.SERVER_ERROR, retry_after=0.0), 0, 0.0, 2.0),
    ],
)
def test_how_long_each_kind_of_no_news_waits(seen, before, roll, delay):
    assert verdict(task(misses=before), seen, roll=roll).delay == delay


def test_the_least_backoff_is_not_stretched_by_a_hint_that_was_not_given():
    patience = Patience(backoff=0.1)

    for seen in (missed(Miss.THROTTLED), missed(Miss.SERVER_ERROR), missed(Miss.SERVER_ERROR, retry_after=-3.0)):
        answer = judge(task(), seen, CADENCE, patience=patience, heard=0.0, now=100.0, roll=0.0)
        assert answer.delay == 0.1


@pytest.mark.parametrize(("now", "is_over"), [(649.0, False), (650.0, True)])
def test_a_known_end_waits_for_its_result_the_whole_grace_however_late_the_clock_began(now, is_over):
    seen = missed(Miss.RESULT_MISSING, known=Ended(outcome=Status.SUCCEEDED))
    current = task()
    for moment in (50.0, 60.0):
        current = verdict(current, seen, now=moment).task

    assert isinstance(verdict(current, seen, now=now), Finish) is is_over


def test_two_answers_without_the_result_are_not_enough_however_far_apart():
    seen = missed(Miss.RESULT_MISSING, known=Ended(outcome=Status.SUCCEEDED))
    first = verdict(task(), seen, now=0.0).task

    assert isinstance(verdict(first, seen, now=5000.0), Wait)


def test_a_known_end_is_told_at_the_very_deadline():
    seen = missed(Miss.RESULT_MISSING, known=Ended(outcome=Status.SUCCEEDED))

    assert verdict(task(deadline=20.0), seen, now=20.0).ended.outcome is Status.SUCCEEDED


@pytest.mark.parametrize(("now", "is_over"), [(109.0, False), (110.0, True)])
def test_the_grace_counts_from_the_first_not_found(now, is_over):
    current = task()
    for moment in (50.0, 60.0):
        current = verdict(current, missed(Miss.NOT_FOUND), now=moment).task

    assert isinstance(verdict(current, missed(Miss.NOT_FOUND), now=now), Finish) is is_over


def test_an_answer_to_another_at_the_moment_the_row_of_403s_began_blames_nobody():
    current = task()
    for now in (0.0, 60.0):
        current = verdict(current, missed(Miss.FORBIDDEN), now=now).task

    assert isinstance(verdict(current, missed(Miss.FORBIDDEN), now=90.0, heard=0.0), Wait)
    assert isinstance(verdict(current, missed(Miss.FORBIDDEN), now=90.0, heard=0.1), Finish)


def test_what_was_missed_is_kept_to_300_characters():
    assert len(verdict(task(), Missed(miss=Miss.TIMEOUT, detail="x" * 999)).task.last_miss) == 300


def test_who_wished_for_one_kind_of_news_hears_of_no_other():
    started = Pending(status=Status.RUNNING, progress=0.5)
    still = task(status=Status.RUNNING, wishes=frozenset(Wish))

    assert verdict(task(wishes=frozenset({Wish.RUNNING})), started).tell == (Wish.RUNNING,)
    assert verdict(task(wishes=frozenset({Wish.PROGRESS})), started).tell == (Wish.PROGRESS,)
    assert verdict(task(wishes=frozenset(Wish)), Pending(status=Status.QUEUED, queue_position=1)).tell == ()
    assert verdict(still, Pending(status=Status.RUNNING, queue_position=1)).tell == ()


def test_the_patience_that_nobody_set_is_the_documented_one():
    assert Patience() == Patience(
        grace=60.0, answers=3, backoff=2.0, backoff_cap=60.0, result_grace=600.0, hint_cap=3600.0
    )
