"""An account: one configured provider account at run time, and what its answers say of the account itself.

Guarded here: 401, and 403 that comes to several tasks in a row with no good answer between, blame the credential and
park the lane; throttling and Retry-After bind the whole lane; a run of faults leaves only single probes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import inf

import structlog

from daemon.core.breaker import Trouble
from daemon.core.cadence import LearnedCadence
from daemon.core.ids import TaskId
from daemon.core.judge import Patience
from daemon.core.lane import Lane
from daemon.core.observation import Ended, Missed, Observation, Pending
from daemon.core.record import TaskRecord
from daemon.core.task import Miss, Saving, Status, Task
from daemon.engine.parties import Parties
from daemon.engine.ports import Provider

HOLD_CAP = 3600.0
HOLD_FLOOR = 1.0
THROTTLED_HOLD = 10.0
FORBIDDEN_TASKS = 3
DEADLINE_FROM = 30.0
DEADLINE_CAP = 30 * 86400.0
_FAULTS = frozenset({Miss.NETWORK, Miss.TIMEOUT, Miss.SERVER_ERROR, Miss.UNREADABLE})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """What the configuration says of an account, for show; spans are seconds."""

    preset: str
    base_url: str
    key_mark: str
    concurrency: int
    rate: float
    burst: float
    min_gap: float
    max_gap: float
    deadline: float
    typical: float
    price: float
    evidence: str = "unverified"
    recheck_for: float = 0.0
    learns_deadline: bool = False


@dataclass(slots=True, kw_only=True)
class Account:
    """A lane with its provider, cadence and patience, and the counts it shows.

    ``absurd_wish`` is a wait past the cap that the provider has just asked for and nobody was told of; it is set once
    for as long as the cap lasts, however many answers ask for it.
    """

    lane: Lane
    provider: Provider
    cadence: LearnedCadence
    patience: Patience
    facts: AccountFacts
    saving: Saving = Saving.NEVER
    is_configured: bool = True
    polls: int = 0
    misses: Counter[str] = field(default_factory=Counter)
    last_miss: str | None = None
    last_miss_at: float | None = None
    trouble_at: float | None = None
    trouble_why: str | None = None
    parties: Parties = field(init=False)
    forbidden: set[TaskId] = field(default_factory=set)
    heard: float = -inf
    open_since: float = -inf
    absurd_wish: float | None = None
    absurd_until: float = -inf

    def __post_init__(self) -> None:
        """Let the parties and the lane know the same loners."""
        self.parties = Parties(self.lane.loners)

    @property
    def name(self) -> str:
        """The lane's name."""
        return self.lane.name

    def deadline_of(self, model: str | None) -> float:
        """Return the seconds that a new task of *model* is watched for where its registration does not say: the lane's
        own deadline where its table sets one, else the preset's or three times the age by which 99 of 100 have ended.
        """
        law = self.cadence.law_of(model) if self.facts.learns_deadline else None
        if law is None or law.endings < DEADLINE_FROM:
            return self.facts.deadline
        return max(self.facts.deadline, min(3 * law.quantile(0.99), DEADLINE_CAP))

    def recheck_until(self, record: TaskRecord, outcome: Status, now_at: float) -> float | None:
        """Return until when a task that ends so is asked about; None where that end is not only ours."""
        span = self.facts.recheck_for if self.is_configured and record.recheck is not False else 0.0
        return now_at + span if outcome is Status.TIMED_OUT and span > 0 else None

    @property
    def is_parked(self) -> bool:
        """Whether the credential was refused."""
        return self.lane.breaker.trouble is Trouble.CREDENTIALS

    def heed(self, task: Task, seen: Observation, *, now: float, now_at: float) -> Trouble | None:
        """Let the lane learn from *seen*; return the trouble that began just now, if one did."""
        self.polls += 1
        if not isinstance(seen, Missed):
            self.forbidden.clear()
            self.heard = now
            self.lane.hope(task.id)
            self._recovered(self.lane.went_well(task.id))
            return None
        self.misses[seen.miss] += 1
        self.last_miss, self.last_miss_at = f"{seen.miss}: {seen.detail}"[:300], now_at
        self._hold(seen, now)
        trouble = self._trouble(task, seen, now)
        if trouble is not None:
            self.trouble_at, self.trouble_why = now_at, self.last_miss
        return trouble

    def learn(self, task: Task, seen: Observation, *, now: float, shift: float) -> None:
        """Let the cadence learn from *seen* how long tasks take; *shift* turns wall seconds into monotonic ones."""
        if isinstance(seen, Pending):
            self.cadence.alive(task, now)
        elif isinstance(seen, Ended):
            told = now if seen.finished_at is None else seen.finished_at + shift
            end = told if task.seen < told < now else now
            self.cadence.ended(task, end, has_succeeded=seen.outcome is Status.SUCCEEDED)

    def started(self, task: Task, now: float) -> None:
        """Let the price follow how late polls start for want of rate.

        What was due before the lane could start at all (a restart, an outage, a hold) says nothing of its rate.
        """
        if self.lane.breaker.is_open or self.lane.held_until > now or self.open_since == -inf:
            self.open_since = inf
        elif self.open_since == inf:
            self.open_since = now
        elif task.next_at > max(self.open_since, self.lane.held_until):
            self.cadence.paced(now - task.next_at, now)

    def blames_key(self, seen: Observation) -> Observation:
        """Return *seen* as the task should hear it: a 403 while the key is in doubt is the key's fault, not its own."""
        if isinstance(seen, Missed) and seen.miss is Miss.FORBIDDEN and self.is_parked:
            return replace(seen, miss=Miss.UNAUTHORIZED)
        return seen

    def resume(self, why: str) -> None:
        """End a park or outage at somebody's word."""
        if self.lane.breaker.is_open:
            self.lane.resume()
            self._recovered(True, why=why)

    def _hold(self, seen: Missed, now: float) -> None:
        if _status(seen, Miss.THROTTLED, 429):
            self.cadence.throttled(now)
        if _status(seen, Miss.THROTTLED, 429) or seen.retry_after is not None:
            wish = THROTTLED_HOLD if seen.retry_after is None else seen.retry_after
            if wish > HOLD_CAP and now >= self.absurd_until:
                self.absurd_wish, self.absurd_until = wish, now + HOLD_CAP
            self.lane.hold(now + min(max(wish, HOLD_FLOOR), HOLD_CAP), f"the provider asked for {wish:g} s")

    def _trouble(self, task: Task, seen: Missed, now: float) -> Trouble | None:
        if seen.miss is Miss.FORBIDDEN:
            self.forbidden.add(task.id)
        if _status(seen, Miss.UNAUTHORIZED, 401) or self._is_forbidden_to_all():
            return Trouble.CREDENTIALS if self.lane.trip(Trouble.CREDENTIALS, now) else None
        if seen.miss in _FAULTS:
            return Trouble.OUTAGE if self.lane.went_badly(task.id, now) else None
        if seen.http_status is not None and self.lane.breaker.trouble is Trouble.OUTAGE:
            self._recovered(self.lane.went_well(task.id))
        return None

    def _is_forbidden_to_all(self) -> bool:
        """Whether 403 came to several tasks: to three, or to all there are where that is two."""
        count = len(self.forbidden)
        return count >= FORBIDDEN_TASKS or (count > 1 and count >= len(self.lane))

    def _recovered(self, has: bool, *, why: str = "a good answer") -> None:  # noqa: FBT001 (a verdict, passed on)
        if has:
            log.info("lane.recovered", lane=self.name, why=why, was=self.trouble_why)
            self.forbidden.clear()
            self.trouble_at = self.trouble_why = None


def _status(seen: Missed, miss: Miss, http_status: int) -> bool:
    """Whether *seen* is this miss, or a result request that was answered so."""
    return seen.miss is miss or (seen.miss is Miss.RESULT_MISSING and seen.http_status == http_status)
