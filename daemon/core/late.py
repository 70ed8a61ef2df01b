"""Late ends: what a provider says of a task after our deadline has ended it.

The task stays ``timed_out``, since a task ends once; the record shows the late end beside it, and one corrective event,
``task.late``, tells it. Re-checks are slow: the longer ago the deadline, the rarer.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.core.ids import EventId
from daemon.core.observation import Output, TaskError
from daemon.core.task import Status

SOONEST = 60.0
RAREST = 3600.0
SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class LateEnd:
    """How the provider ended a task that had timed out; times are wall-clock seconds."""

    status: Status
    outputs: tuple[Output, ...]
    error: TaskError | None
    finished_at: float | None
    detected_at: float
    event_id: EventId


def recheck_gap(since: float, retention: float) -> float:
    """Return the seconds between re-checks of a task that timed out *since* seconds ago: a quarter of that, at least a
    minute, at most an hour and half of what the provider remembers an ended task for.
    """
    return max(SOONEST, min(SHARE * since, RAREST, retention / 2))
