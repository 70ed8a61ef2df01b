"""Waiting for a task: one line that keeps changing on a terminal, a plain line per change elsewhere."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from daemon.cli import say
from daemon.cli.client import PATIENCE, Api, Object, in_path
from daemon.core.task import Status

GLANCE = 1.0
HOLD = 30.0
FLOOR = 0.25


def follow(api: Api, task: Object, *, is_quiet: bool) -> Object:
    """Return *task* as it ended; shows where it stands meanwhile, on stderr, unless quiet."""
    if is_quiet:
        return _wait_quietly(api, task)
    return _wait_live(api, task) if sys.stderr.isatty() else _wait_plainly(api, task)


def line(task: Object, now: datetime) -> str:
    """Return where a task stands in one line: state, progress, place in the queue, polls, the next poll and why."""
    parts = [str(task["status"])]
    progress, place = task.get("progress"), task.get("queue_position")
    if isinstance(progress, int | float):
        parts.append(f"{progress:.0%}")
    if place is not None:
        parts.append(f"place {place} in the queue")
    parts.append(f"{task.get('polls', 0)} polls")
    if task.get("next_poll_at") is not None:
        reason = task.get("next_poll_reason")
        parts.append(f"next poll {_until(str(task['next_poll_at']), now)}" + (f": {reason}" if reason else ""))
    if task.get("last_miss"):
        parts.append(f"last trouble: {task['last_miss']}")
    return say.clean(", ".join(parts))


def is_over(task: Object) -> bool:
    """Whether the task has ended."""
    return Status(str(task["status"])).is_terminal


def _wait_quietly(api: Api, task: Object) -> Object:
    while not is_over(task):
        task = _look(api, task, HOLD)
    return task


def _wait_live(api: Api, task: Object) -> Object:
    with Console(stderr=True).status(Text(line(task, datetime.now(UTC)))) as status:
        while not is_over(task):
            task = _look(api, task, GLANCE)
            status.update(Text(line(task, datetime.now(UTC))))
    return task


def _wait_plainly(api: Api, task: Object) -> Object:
    shown = None
    while not is_over(task):
        changing = (task["status"], task.get("progress"), task.get("queue_position"), task.get("last_miss"))
        if changing != shown:
            shown = changing
            say.note(line(task, datetime.now(UTC)))
        task = _look(api, task, GLANCE)
    return task


def _look(api: Api, task: Object, seconds: float) -> Object:
    """Return the task when it ends or after *seconds*, but never at once: an answer may come early while draining."""
    began = time.monotonic()
    seen = api.get(f"/v1/tasks/{in_path(str(task['id']))}", wait=seconds, patience=seconds + PATIENCE)
    if not is_over(seen):
        time.sleep(max(0.0, began + FLOOR - time.monotonic()))
    return seen


def _until(at: str, now: datetime) -> str:
    seconds = (datetime.fromisoformat(at) - now).total_seconds()
    return f"in {seconds:.0f} s" if seconds >= 0.5 else "now"
