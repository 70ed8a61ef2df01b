"""What knowing the state is worth: tasks that wait in a queue and then run, planned with and without what they show.

The law is that of a long queue before a short run. The judge's own reading of a task and the real cadence are used; a
task that shows nothing is the same task whose answers never tell that it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp
from random import Random
from statistics import fmean

from daemon.core.cadence import LearnedCadence
from daemon.core.observation import Pending
from daemon.core.outlook import dated
from daemon.core.task import Status, Task

from benchmarks.laws import Outcome

QUEUE, RUN = (60.0, 1.0), (20.0, 0.2)


@dataclass(frozen=True, slots=True)
class Shown:
    """What answers show: whether a task runs, since when, and how far it is."""

    state: bool = False
    start: bool = False
    progress: bool = False


SHOWN = {
    "nothing": Shown(),
    "whether it runs": Shown(state=True),
    "when it began": Shown(state=True, start=True),
    "its progress": Shown(state=True, progress=True),
}


@dataclass(frozen=True, slots=True)
class Job:
    """One task as it will go: seconds in the queue, seconds of its run."""

    queue: float
    run: float


def draw(dice: Random) -> Job:
    """Return one job."""
    return Job(QUEUE[0] * exp(QUEUE[1] * dice.gauss(0, 1)), RUN[0] * exp(RUN[1] * dice.gauss(0, 1)))


def live(cadence: LearnedCadence, job: Job, start: Task, shown: Shown, *, learns: bool) -> tuple[int, float]:
    """Poll one job to its end as the daemon does; return polls and the delay."""
    task, polls, end = replace(start, seen=0.0), 0, job.queue + job.run
    now = cadence.first(task, 0.0).delay
    while now < end:
        polls += 1
        task.polls = polls
        seen = answer(job, now, shown)
        if seen.started_at is not None:
            task = replace(task, begun=seen.started_at, started_at=seen.started_at)
        if learns:
            cadence.alive(task, now)
        if task.status is not seen.status or task.progress != seen.progress:
            task = replace(dated(task, seen, now), status=seen.status, progress=seen.progress)
        task.seen = now
        now += cadence.next(task, now).delay
    if learns:
        cadence.ended(task, now, has_succeeded=True)
    return polls + 1, now - end


def answer(job: Job, now: float, shown: Shown) -> Pending:
    """Return what the provider says of *job* at age *now*."""
    if now < job.queue or not shown.state:
        return Pending(status=Status.QUEUED)
    progress = (now - job.queue) / job.run if shown.progress else None
    return Pending(status=Status.RUNNING, started_at=job.queue if shown.start else None, progress=progress)


def outcome(cadence: LearnedCadence, start: Task, shown: Shown, *, endings: int, judged: int) -> Outcome:
    """Return what the cadence gives for fresh jobs after so many endings, learning nothing more."""
    dice = Random(f"phases/{endings}")  # noqa: S311 (a simulation)
    for _ in range(endings):
        live(cadence, draw(dice), start, shown, learns=True)
    dice = Random("judged")  # noqa: S311 (a simulation)
    found = [live(cadence, draw(dice), start, shown, learns=False) for _ in range(judged)]
    delays = sorted(delay for _, delay in found)
    return Outcome(fmean(polls for polls, _ in found), fmean(delays), delays[int(0.95 * len(delays))])
