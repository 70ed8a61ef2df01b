"""The verdict: what one observation means for one task.

The rule guarded here is that a task ends only on an answer positively recognised as final, on three *not found* (or
*forbidden*) answers in a row that span a grace, or on our own deadline. Everything else is no news: wait and look
again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from daemon.core.cadence import Cadence
from daemon.core.observation import Ended, Missed, Observation, Pending, TaskError
from daemon.core.outlook import dated
from daemon.core.task import Miss, Outcome, Status, Streak, Task, Wish

HINT_CAP = 3600.0
_LOST = {Miss.NOT_FOUND: "not_found", Miss.FORBIDDEN: "forbidden"}
_NOT_THE_TASKS = frozenset({Miss.UNAUTHORIZED, Miss.THROTTLED, Miss.UNLISTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long no news is borne: seconds, and answers in a row.

    ``backoff`` is also the least gap after any poll, ``hint_cap`` the longest gap a provider's hint can make.
    """

    grace: float = 60.0
    answers: int = 3
    backoff: float = 2.0
    backoff_cap: float = 60.0
    result_grace: float = 600.0
    hint_cap: float = HINT_CAP


@dataclass(slots=True, kw_only=True)  # not frozen: there is one to each poll
class Wait:
    """Look again after ``delay`` seconds, and why then; ``tell`` names the interim events the registration wished for.

    ``task`` is the very task that was judged where the answer changed nothing that callers see.
    """

    task: Task
    delay: float
    reason: str
    tell: tuple[Wish, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The task is over; *ended* says how."""

    task: Task
    ended: Ended


Verdict: TypeAlias = Wait | Finish


def judge(
    task: Task, seen: Observation, cadence: Cadence, *, patience: Patience, heard: float, now: float, roll: float
) -> Verdict:
    """Return what *seen*, the answer to one poll of *task*, means at monotonic *now*; *task* stays as it is.

    *heard* is when any task of the lane was last answered well: a task that is forbidden is to blame for it only
    where others were answered meanwhile. *roll* in [0, 1) is jitter.
    """
    match seen:
        case Pending():
            return _alive(task, seen, cadence, patience, now=now)
        case Missed():
            return _missed(task, seen, patience, heard=heard, now=now, roll=roll)
        case Ended():
            return Finish(task=task, ended=seen)
        case _:
            assert_never(seen)


def overdue(task: Task, now: float) -> Finish | None:
    """End *task* by our deadline without a poll, where no poll can be made (a parked or unreachable lane)."""
    return Finish(task=task, ended=_timed_out(task)) if now >= task.deadline else None


def _alive(task: Task, seen: Pending, cadence: Cadence, patience: Patience, *, now: float) -> Verdict:
    current = _known(task, seen, now)
    if now >= task.deadline:
        return Finish(task=current, ended=_timed_out(current))
    plan = cadence.next(current, now)
    delay, reason = max(plan.delay, patience.backoff), plan.reason
    if seen.hint is not None and (hint := min(seen.hint, patience.hint_cap)) > plan.delay:
        delay, reason = max(hint, patience.backoff), f"the provider asks for {hint:g} s"
    return _wait(current, delay, reason, floor=patience.backoff, now=now, tell=_wished(task, current))


def _known(task: Task, seen: Pending, now: float) -> Task:
    """Return *task* with what *seen* tells of it; the same object where that is nothing new."""
    progress = task.progress if seen.progress is None else seen.progress
    started_at = seen.started_at or task.started_at
    if (
        task.streak is None
        and task.status is seen.status
        and task.progress == progress
        and task.queue_position == seen.queue_position
        and task.started_at == started_at
    ):
        return task
    return replace(
        dated(task, seen, now),
        status=seen.status,
        progress=progress,
        queue_position=seen.queue_position,
        started_at=started_at,
        misses=0,
        streak=None,
        last_miss=None,
    )


def _missed(task: Task, seen: Missed, patience: Patience, *, heard: float, now: float, roll: float) -> Verdict:
    streak = _streak(task, seen.miss, now)
    current = replace(task, misses=task.misses + 1, streak=streak, last_miss=f"{seen.miss}: {seen.detail}"[:300])
    ended = _verdict_of_silence(current, seen, streak, patience, heard=heard, now=now)
    if ended is not None:
        return Finish(task=current, ended=ended)
    delay = _patient_delay(current, seen, patience, roll=roll)
    return _wait(current, delay, f"again after no news ({seen.miss})", floor=patience.backoff, now=now)


def _verdict_of_silence(
    task: Task, seen: Missed, streak: Streak, patience: Patience, *, heard: float, now: float
) -> Ended | None:
    in_a_row = streak.count >= patience.answers
    if seen.known is not None and (now >= task.deadline or (in_a_row and now - streak.since >= patience.result_grace)):
        return replace(seen.known, response=replace(seen.known.response, omitted="result_unavailable"))
    is_unheard = seen.miss is Miss.FORBIDDEN and heard <= streak.since
    is_lost = seen.miss in _LOST and in_a_row and now - streak.since >= patience.grace
    if is_lost and not is_unheard and seen.known is None:
        return _lost(seen, _LOST[seen.miss])
    if now >= task.deadline:
        return _timed_out(task)
    return None


def _patient_delay(task: Task, seen: Missed, patience: Patience, *, roll: float) -> float:
    if seen.miss in _LOST:
        return max(patience.backoff, patience.grace / (patience.answers - 1))
    if seen.miss in _NOT_THE_TASKS:
        return max(patience.backoff, min(seen.retry_after or 0.0, patience.hint_cap))
    ceiling = min(patience.backoff_cap, patience.backoff * 2.0 ** min(task.misses, 16))
    wish = min(max(seen.retry_after or 0.0, 0.0), patience.hint_cap)
    return max(patience.backoff + (ceiling - patience.backoff) * roll, wish)


def _wait(task: Task, delay: float, reason: str, *, floor: float, now: float, tell: tuple[Wish, ...] = ()) -> Wait:
    left = max(task.deadline - now, floor)
    if left < delay:
        delay, reason = left, "last look at the deadline"
    return Wait(task=task, delay=delay, reason=reason, tell=tell)


def _streak(task: Task, miss: Miss, now: float) -> Streak:
    before = task.streak
    if before is not None and before.miss is miss:
        return replace(before, count=before.count + 1)
    return Streak(miss=miss, count=1, since=now)


def _wished(before: Task, after: Task) -> tuple[Wish, ...]:
    if after is before or not after.wishes:
        return ()
    tell = []
    if after.status is Status.RUNNING and before.status is Status.QUEUED and Wish.RUNNING in after.wishes:
        tell.append(Wish.RUNNING)
    if after.progress is not None and after.progress != before.progress and Wish.PROGRESS in after.wishes:
        tell.append(Wish.PROGRESS)
    return tuple(tell)


def _timed_out(task: Task) -> Ended:
    told = f"; the last poll brought {task.last_miss}" if task.last_miss else f"; last seen {task.status}"
    outcome: Outcome = Status.TIMED_OUT
    return Ended(
        outcome=outcome,
        started_at=task.started_at,
        error=TaskError(code="deadline", message=f"not ended by the deadline{told}", kind="timeout"),
    )


def _lost(seen: Missed, code: str) -> Ended:
    return Ended(outcome=Status.LOST, error=TaskError(code=code, message=seen.detail, kind="lost"))
