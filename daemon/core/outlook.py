"""What a live task's own answers promise: when its run ends by its progress, when it starts by its place in the queue.

Such a promise is a hint. It is believed only where two in a row agree, so a bar that jumps or is stuck promises
nothing.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

from daemon.core.observation import Pending
from daemon.core.task import Outlook, Status, Task

LEAST_PROGRESS = 0.02
AGREEMENT = 0.5
SLACK = 0.1


def dated(task: Task, seen: Pending, now: float) -> Task:
    """Return *task* with what it promises now, and with when it was first seen to run, where *seen* is that answer."""
    at, before = _promised(task, seen, now), task.outlook
    is_steady = at is not None and before is not None and _agree(at, before.at, now - max(task.begun, task.born), now)
    outlook = None if at is None else Outlook(at, is_steady)
    if seen.status is Status.QUEUED:
        return replace(task, outlook=outlook, begun=-inf)
    if task.begun > -inf or task.status is Status.RUNNING:
        return replace(task, outlook=outlook)
    return replace(task, outlook=None, begun=now)


def _agree(one: float, other: float, elapsed: float, now: float) -> bool:
    return abs(one - other) <= AGREEMENT * (max(one, other) - now) + SLACK * elapsed


def _promised(task: Task, seen: Pending, now: float) -> float | None:
    """Return when what runs will end, or what waits will start, if things go on as they went."""
    if seen.status is Status.RUNNING:
        if seen.progress is None or not LEAST_PROGRESS <= seen.progress < 1:
            return None
        return now + (now - max(task.begun, task.born)) * (1 - seen.progress) / seen.progress
    ahead, were = seen.queue_position, task.queue_position
    if ahead is None or were is None or not 0 < ahead < were or task.seen == -inf:
        return None
    return now + ahead * (now - task.seen) / (were - ahead)
