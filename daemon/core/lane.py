"""A lane: one provider account's, or one endpoint's, due work and the limits it starts under.

The lane is asked, never runs: ``take(now)`` answers the next key that may start, ``ready_at()`` when asking again
makes sense. Its limits hold together: due time, slots, window, rate (GCRA), hold, breaker. Times are monotonic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from daemon.core.agenda import Agenda, DueWork, Entry
from daemon.core.breaker import Breaker, Temper, Trouble
from daemon.core.ramp import Ramp

TOLERANCE = 0.001
HOPEFULS = 16


@dataclass(slots=True)
class Pace:
    """A rate by the generic cell rate algorithm: one stored time, a burst, 1 ms of tolerance against float dust.

    ``rate`` is starts per second, infinite for no limit. Allowed where now >= tat - (burst - 1) / rate.
    """

    rate: float
    burst: float = 1.0
    tat: float = 0.0

    def ready_at(self) -> float:
        """The moment from which a start is allowed."""
        return 0.0 if self.rate == inf else self.tat - (self.burst - 1) / self.rate

    def allows(self, now: float) -> bool:
        """Whether a start is allowed at *now*."""
        return now + TOLERANCE >= self.ready_at()

    def change(self, rate: float, burst: float, now: float) -> None:
        """Go on at another rate with as many starts owed as before; after no limit at all, with no burst in hand."""
        owed = burst - 1 if self.rate == inf else max(0.0, self.tat - now) * self.rate
        self.rate, self.burst = rate, burst
        if rate != inf:
            self.tat = now + min(owed, burst) / rate

    def spend(self, now: float) -> None:
        """Account for a start at *now*."""
        if self.rate != inf:
            self.tat = max(self.tat, now) + 1 / self.rate

    def forget_burst(self, now: float) -> None:
        """Start with no burst in hand, so that a restart cannot add one to the account's limit."""
        if self.rate != inf:
            self.tat = max(self.tat, now + (self.burst - 1) / self.rate)


@dataclass(slots=True)
class Lane:
    """Due work and limits under one name.

    ``slots`` bounds the tries in flight; up to ``party`` keys that are due together ride in one of them, where the
    service can be asked for several at once. ``window`` is the part of the slots in use: it starts small, doubles with
    good answers and falls back on failures, so what hangs can never hold many slots.
    """

    name: str
    slots: int
    pace: Pace
    breaker: Breaker = field(default_factory=lambda: Breaker(Temper()))
    agenda: DueWork = field(default_factory=Agenda)
    running: set[str] = field(default_factory=set)
    held_until: float = 0.0
    hold_reason: str | None = None
    window: float = 2.0
    is_trusted: bool = False
    party: int = 1
    riding: set[str] = field(default_factory=set)
    loners: set[str] = field(default_factory=set)
    last_taken: str = ""
    starts: int = 0
    ramp: Ramp | None = None
    tried: set[str] = field(default_factory=set)
    hopefuls: deque[str] = field(default_factory=lambda: deque(maxlen=HOPEFULS))
    _again: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.agenda) + len(self.running) + len(self.riding)

    def plan(self, key: str, due: float, rank: float = 0.0) -> None:
        """Put *key* on the agenda for *due*; a key in flight is planned again when it comes back."""
        if key in self.running or key in self.riding:
            self._again[key] = min(due, self._again.get(key, inf))
        else:
            self.agenda.put(key, due, rank or float(key in self.tried))

    def fill(self, entries: Sequence[Entry]) -> None:
        """Plan many keys at once, as at a start, when nothing is in flight and nothing was tried."""
        if self.running or self.riding or self.tried:
            for due, rank, key in entries:
                self.plan(key, due, rank)
        else:
            self.agenda.fill(entries)

    def demote(self, key: str) -> None:
        """Note that *key* was tried and failed by itself, so that its further tries count as retries."""
        self.tried.add(key)

    def drop(self, key: str) -> None:
        """Take *key* off the agenda; a try in flight ends by itself."""
        self.agenda.discard(key)
        self.tried.discard(key)
        self._again.pop(key, None)

    def take(self, now: float) -> str | None:
        """Start the first due key and return it, or None where a limit forbids it or nothing is due."""
        if self.ready_at() > now + TOLERANCE:
            return None
        key = self._hopeful(now) or self.agenda.pop(now, self._retry_room())
        self.running.add(key)
        self.last_taken = key
        self.starts += 1
        self.pace.spend(now)
        if self.ramp is not None:
            self.ramp.spend(now)
        self.breaker.started(key, now)
        return key

    def take_along(self, now: float) -> list[str]:
        """Return the keys that ride with the one just taken: due now, and costing no slot and no rate of their own.

        A key that has to be asked alone never rides, nor does anything with it.
        """
        riders: list[str] = []
        if self.party <= 1 or self.breaker.is_open or self.last_taken in self.loners:
            return riders
        while (
            len(riders) < self.party - 1 and self.agenda.first_due() <= now and self.agenda.first() not in self.loners
        ):
            riders.append(self.agenda.pop())
        self.riding.update(riders)
        return riders

    def hope(self, key: str) -> None:
        """Note that *key* may well succeed, so that every other probe tries such a one before the longest due."""
        self.hopefuls.append(key)

    def _hopeful(self, now: float) -> str | None:
        if not self.breaker.is_open or self.breaker.probes % 2 == 0:
            return None
        for key in reversed(self.hopefuls):
            if self.agenda.due(key) <= now:
                self.agenda.discard(key)
                return key
        return None

    def ready_at(self) -> float:
        """The moment at which ``take`` will answer a key; infinite while only an end of a try can free the lane."""
        if len(self.running) >= self._limit():
            return inf
        due = self.agenda.first_due(self._retry_room())
        if due == inf:
            return inf
        ramp = 0.0 if self.ramp is None else self.ramp.next_at
        return max(due, self.pace.ready_at(), self.held_until, self.breaker.ready_at(), ramp)

    def _limit(self) -> int:
        return min(self.slots, int(self.window))

    def _retry_room(self) -> int:
        """How many retries may be in flight: a quarter of the slots, one at least, is kept for first tries."""
        limit = self._limit()
        return limit - max(1, limit // 4) if limit > 1 else limit

    def done(self, key: str, due: float | None) -> None:
        """Free the slot of *key*, and plan it for *due* unless that is None."""
        self.running.discard(key)
        self.riding.discard(key)
        self.breaker.ended(key)
        self.agenda.ended(key)
        again = self._again.pop(key, None)
        if due is not None or again is not None:
            rank = 1.0 if key in self.tried else 0.0  # two objects for all, where float() makes one for each
            self.agenda.put(key, min(inf if due is None else due, inf if again is None else again), rank)
        else:
            self.tried.discard(key)

    def hold(self, until: float, reason: str) -> None:
        """Start nothing before *until* (a provider's Retry-After); a later hold already set stands."""
        if until > self.held_until:
            self.held_until, self.hold_reason = until, reason

    def went_well(self, key: str) -> bool:
        """Note a good answer: widen the window, close the breaker; return whether it was open."""
        has_closed = self.breaker.succeeded(key)
        if has_closed and self.ramp is not None:
            self.ramp.begin()
        if not self.breaker.is_open:
            self.is_trusted = True
            self.window = max(self.window, min(self.window * 2, float(self.slots)))
        return has_closed

    def went_badly(self, key: str, now: float) -> bool:
        """Note an answer that blames the service: narrow the window; return whether the breaker opened."""
        self.is_trusted = False
        self.window = max(1.0, self.window / 2)
        if self.ramp is not None:
            self.ramp.falter(now)
        has_opened = self.breaker.failed(key, now)
        if has_opened:
            if self.ramp is not None:
                self.ramp.fell(now)
            self.tried.clear()
            self.agenda.join_lines()
        return has_opened

    def trip(self, trouble: Trouble, now: float) -> bool:
        """Open the breaker for *trouble* at once; return whether that is new."""
        self.is_trusted = False
        self.window = 1.0
        if self.ramp is not None:
            self.ramp.fell(now)
        return self.breaker.trip(trouble, now)

    def resume(self) -> None:
        """Close the breaker and forget a hold, at somebody's word."""
        self.breaker.resume()
        self.held_until, self.hold_reason = 0.0, None
        if self.ramp is not None:
            self.ramp.begin()
