"""Due deliveries of one endpoint: first attempts and retries in two lines, each oldest first, taking turns.

Ids sort by age, so among what is due the oldest goes first, however often it was tried. Guarded here: of any two starts
at least one is a first attempt while one is due, so a backlog of retries at most halves the pace of what is new.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from math import inf

from daemon.core.agenda import Entry

TOLERANCE = 0.001


class Line:
    """Keys by due time until they are due, by age from then on; heaps with lazy removal."""

    __slots__ = ("_due", "_is_ready", "_ready", "_waiting")

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._waiting: list[tuple[float, str]] = []
        self._ready: list[str] = []
        self._is_ready: set[str] = set()

    def __len__(self) -> int:
        return len(self._due)

    def put(self, key: str, due: float) -> None:
        """Set when *key* is due."""
        self._due[key] = due
        self._is_ready.discard(key)
        heappush(self._waiting, (due, key))
        if len(self._waiting) > 64 and len(self._waiting) > 3 * len(self._due):
            self._waiting = [(due, key) for key, due in self._due.items() if key not in self._is_ready]
            heapify(self._waiting)

    def discard(self, key: str) -> None:
        """Forget *key*, if it is there."""
        self._due.pop(key, None)
        self._is_ready.discard(key)

    def due(self, key: str) -> float:
        """When *key* is due; infinite if it is not there."""
        return self._due.get(key, inf)

    def first_due(self) -> float:
        """When the first key is due; infinite if there is none."""
        if self._oldest_ready() is not None:
            return self._due[self._ready[0]]
        while self._waiting and self._due.get(self._waiting[0][1]) != self._waiting[0][0]:
            heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else inf

    def head(self, now: float) -> str | None:
        """Return the oldest key that is due at *now*."""
        while self._waiting and self._waiting[0][0] <= now + TOLERANCE:
            due, key = heappop(self._waiting)
            if self._due.get(key) == due and key not in self._is_ready:
                self._is_ready.add(key)
                heappush(self._ready, key)
        return self._oldest_ready()

    def leave(self) -> list[tuple[str, float]]:
        """Return every key with its due time, and keep none."""
        left = list(self._due.items())
        for key, _ in left:
            self.discard(key)
        return left

    def _oldest_ready(self) -> str | None:
        while self._ready and self._ready[0] not in self._is_ready:
            heappop(self._ready)
        return self._ready[0] if self._ready else None


class Turns:
    """The agenda of an endpoint's lane: *rank* 0 marks a first attempt, any other a retry."""

    __slots__ = ("_fresh", "_out", "_owes_fresh", "_retries")

    def __init__(self) -> None:
        self._fresh, self._retries = Line(), Line()
        self._out: set[str] = set()
        self._owes_fresh = False

    def __len__(self) -> int:
        return len(self._fresh) + len(self._retries)

    def __contains__(self, key: str) -> bool:
        return self.due(key) != inf

    def put(self, key: str, due: float, rank: float = 0.0) -> None:
        """Set when *key* is due, and in which line it stands."""
        line, other = (self._retries, self._fresh) if rank else (self._fresh, self._retries)
        other.discard(key)
        line.put(key, due)

    def fill(self, entries: Iterable[Entry]) -> None:
        """Set when many keys are due, each in its line."""
        for due, rank, key in entries:
            self.put(key, due, rank)

    def discard(self, key: str) -> None:
        """Forget *key*, if it is there."""
        self._fresh.discard(key)
        self._retries.discard(key)

    def due(self, key: str) -> float:
        """When *key* is due; infinite if it is not there."""
        return min(self._fresh.due(key), self._retries.due(key))

    def first_due(self, room: float = inf) -> float:
        """When the first key is due that may start while at most *room* retries may be in flight."""
        return min(self._fresh.first_due(), inf if len(self._out) >= room else self._retries.first_due())

    def first(self) -> str:
        """Return a key that is there; ``first_due`` has just answered a finite time."""
        line = self._fresh if self._fresh.first_due() <= self._retries.first_due() else self._retries
        key = line.head(line.first_due())
        assert key is not None
        return key

    def pop(self, now: float = inf, room: float = inf) -> str:
        """Remove and return the key whose turn it is; ``first_due(room)`` has just answered a time that is past."""
        fresh, retry = self._fresh.head(now), None if len(self._out) >= room else self._retries.head(now)
        is_retry = retry is not None and (fresh is None or (retry < fresh and not self._owes_fresh))
        self._owes_fresh = is_retry and fresh is not None
        key = retry if is_retry else fresh
        assert key is not None
        self.discard(key)
        if is_retry:
            self._out.add(key)
        return key

    def ended(self, key: str) -> None:
        """Note that a try is over."""
        self._out.discard(key)

    def join_lines(self) -> None:
        """Let all that waits stand in one line, by age alone: whatever failed, the endpoint was to blame."""
        for key, due in self._retries.leave():
            self._fresh.put(key, due)
