"""A task: one remote job on the watchlist, and the table of the statuses it can pass through."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Literal, NamedTuple, NewType

from daemon.core.ids import TaskId

LaneName = NewType("LaneName", str)
Params = tuple[tuple[str, str], ...]


class Status(StrEnum):
    """Where a task stands; two live statuses and seven ends."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    LOST = "lost"
    TIMED_OUT = "timed_out"
    STOPPED = "stopped"

    @property
    def is_terminal(self) -> bool:
        """Whether the task has ended; a terminal status never changes again."""
        return self not in LIVE

    @property
    def is_providers_word(self) -> bool:
        """Whether the provider itself said this end, so that watching the same job again tells nothing new."""
        return self in PROVIDERS_WORDS


Live = Literal[Status.QUEUED, Status.RUNNING]
Outcome = Literal[Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED, Status.LOST, Status.TIMED_OUT]

LIVE = frozenset({Status.QUEUED, Status.RUNNING})
PROVIDERS_WORDS = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED})
TRANSITIONS: dict[Status, frozenset[Status]] = {
    status: frozenset() if status.is_terminal else frozenset(Status) for status in Status
}
"""From a live status anything may follow (providers do requeue); from a terminal one nothing."""


class Wish(StrEnum):
    """An event a registration may ask for besides the terminal one, which is always told."""

    RUNNING = "running"
    PROGRESS = "progress"


class Saving(StrEnum):
    """Whether the outputs of a task are fetched: never, apart from its end, or before its end is told."""

    NEVER = "never"
    AFTERWARDS = "afterwards"
    BEFORE_EVENT = "before_event"


class Miss(StrEnum):
    """Why a poll brought no news; a closed list, shown as ``last_miss`` and counted in metrics."""

    NETWORK = "network"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    CONFLICT = "conflict"
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    UNAUTHORIZED = "unauthorized"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    UNKNOWN_WORD = "unknown_word"
    TOO_LARGE = "too_large"
    RESULT_MISSING = "result_missing"
    UNLISTED = "unlisted"
    UNCONFIGURED = "unconfigured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Streak:
    """Misses of one kind in a row: how many, and since when (monotonic seconds)."""

    miss: Miss
    count: int
    since: float


class Outlook(NamedTuple):
    """What a live task promises: when it will end, or start where it still waits (monotonic seconds).

    ``is_steady`` says that the answer before promised about the same.
    """

    at: float
    is_steady: bool


@dataclass(slots=True, kw_only=True)
class Task:
    """What watching one task needs in memory; all that only records need stays in the store.

    ``born``, ``deadline`` and ``next_at`` are monotonic seconds, so *now* in a decision is monotonic too.
    ``created_at`` is the provider's own creation time, once an answer told it; ``polled`` is when it was
    last asked, ``seen`` when it was last known to be alive (monotonic).
    ``begun`` is when its run began by the provider's word, or was first seen; minus infinity where neither is known.
    ``outlook`` is what its progress or its place in the queue promises.
    ``saving`` is None where the registration left it to the lane. ``mark`` is that of the last answer.

    A value but for what ``asked``, ``heard`` and ``plan`` write, which no verdict rests on: a poll that changes
    nothing makes no new object (copying this one costs as much as a tenth of the request).
    """

    id: TaskId
    provider: LaneName
    remote_id: str
    model: str | None
    params: Params = ()
    status_url: str | None = None
    fetch_result: bool | None = None
    wishes: frozenset[Wish] = frozenset()
    saving: Saving | None = None
    status: Live = Status.QUEUED
    progress: float | None = None
    queue_position: int | None = None
    created_at: float | None = None
    started_at: float | None = None
    begun: float = -inf
    outlook: Outlook | None = None
    updated_at: float
    born: float
    deadline: float
    next_at: float
    next_reason: str = ""
    polls: int = 0
    polled: float = -inf
    seen: float = -inf
    misses: int = 0
    streak: Streak | None = None
    last_miss: str | None = None
    mark: int = 0

    def asked(self, now: float) -> None:
        """Count a poll that was answered at *now*, however it was."""
        self.polls += 1
        self.polled = now

    def heard(self, now: float, mark: int) -> None:
        """Note that an answer of this *mark* said at *now* that the task lives."""
        self.seen = now
        self.mark = mark

    def plan(self, next_at: float, reason: str) -> None:
        """Set when the next poll is due, and why then."""
        self.next_at = next_at
        self.next_reason = reason

    def age(self, now: float) -> float:
        """Seconds since the provider accepted the job, never negative."""
        return max(0.0, now - self.born)
