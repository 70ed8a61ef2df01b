"""Between an application, its record in the store and the compact task in memory."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from sys import intern

from daemon.core.cadence import Plan
from daemon.core.ids import TaskId
from daemon.core.observation import Missed, Observation, Pending
from daemon.core.record import Admission, Application, TaskRecord
from daemon.core.task import LaneName, Status, Task
from daemon.engine.account import Account
from daemon.engine.clock import Clock


def applied(
    application: Application, admission: Admission, account: Account, *, task_id: TaskId, clock: Clock
) -> TaskRecord:
    """Return the record of a new task, its deadline and first poll planned."""
    now_at = clock.now_at()
    deadline = account.deadline_of(admission.model) if application.deadline is None else application.deadline
    created_at = min(application.created_at or now_at, now_at)
    plan = _first(application, account, admission.model, now_at - created_at)
    return TaskRecord(
        id=task_id,
        provider=LaneName(account.name),
        remote_id=admission.remote_id,
        model=admission.model,
        params=admission.params,
        status_url=admission.status_url,
        fetch_result=application.fetch_result,
        wishes=application.wishes,
        metadata=application.metadata,
        target=application.target,
        status=Status.QUEUED,
        progress=None,
        queue_position=None,
        outputs=(),
        error=None,
        created_at=created_at,
        registered_at=now_at,
        updated_at=now_at,
        started_at=None,
        finished_at=None,
        ended_at=None,
        deadline_at=now_at + deadline,
        polls=0,
        next_poll_at=now_at + min(plan.delay, deadline),
        next_poll_reason=plan.reason,
        last_miss=None,
        event_id=None,
        save_outputs=application.save_outputs,
        recheck=application.recheck,
    )


def as_task(record: TaskRecord, shift: float, *, seen: float = -inf) -> Task:
    """Return what polling *record* needs in memory; *shift* turns wall seconds into monotonic ones.

    Equal models are one string in memory. *seen* is when the job was last known to be alive.
    """
    return Task(
        id=record.id,
        provider=record.provider,
        remote_id=record.remote_id,
        model=None if record.model is None else intern(record.model),
        params=record.params,
        status_url=record.status_url,
        fetch_result=record.fetch_result,
        wishes=record.wishes,
        saving=record.save_outputs,
        status=Status.RUNNING if record.status is Status.RUNNING else Status.QUEUED,
        progress=record.progress,
        queue_position=record.queue_position,
        started_at=record.started_at,
        begun=-inf if record.started_at is None else record.started_at + shift,
        updated_at=record.updated_at,
        born=record.created_at + shift,
        deadline=record.deadline_at + shift,
        next_at=(record.next_poll_at or record.created_at) + shift,
        next_reason=record.next_poll_reason or "",
        polls=record.polls,
        seen=seen,
    )


def overlaid(record: TaskRecord, task: Task, shift: float) -> TaskRecord:
    """Return *record* with what polls have changed in memory since it was written."""
    return replace(
        record,
        status=task.status,
        progress=task.progress,
        queue_position=task.queue_position,
        created_at=record.created_at if task.created_at is None else task.created_at,
        started_at=task.started_at,
        updated_at=task.updated_at,
        polls=task.polls,
        next_poll_at=task.next_at - shift,
        next_poll_reason=task.next_reason,
        last_miss=task.last_miss,
    )


def with_provider_times(task: Task, seen: Observation, clock: Clock) -> Task:
    """Return *task* with the times of its job that *seen* tells; one that is still to come is not believed."""
    if isinstance(seen, Missed) or (seen.created_at is None and seen.started_at is None):
        return task
    now_at, shift = clock.now_at(), clock.shift
    if seen.created_at is not None and seen.created_at != task.created_at and seen.created_at <= now_at:
        task = replace(task, created_at=seen.created_at, born=seen.created_at + shift)
    is_new = seen.started_at != task.started_at or task.begun == -inf
    if isinstance(seen, Pending) and seen.started_at is not None and is_new and seen.started_at <= now_at:
        task = replace(task, begun=seen.started_at + shift)
    return task


def _first(application: Application, account: Account, model: str | None, age: float) -> Plan:
    if application.first_poll_after is not None:
        return Plan(delay=application.first_poll_after, reason="first poll when the registration asked")
    return account.cadence.opening(model, age)
