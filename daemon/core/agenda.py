"""What is due when: a heap with lazy removal, and the shape of any such order."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Protocol, TypeAlias

Entry: TypeAlias = tuple[float, float, str]
"""When a key is due, its rank among equals, and the key."""


class DueWork(Protocol):
    """What is due when, and in which order: an Agenda, or an endpoint's Turns.

    *room* is how many retries may be in flight, for an order that tells them from first tries.
    """

    def __len__(self) -> int: ...
    def __contains__(self, key: str) -> bool: ...
    def put(self, key: str, due: float, rank: float = 0.0) -> None: ...  # noqa: D102
    def fill(self, entries: Iterable[Entry]) -> None: ...  # noqa: D102
    def discard(self, key: str) -> None: ...  # noqa: D102
    def due(self, key: str) -> float: ...  # noqa: D102
    def first_due(self, room: float = inf, /) -> float: ...  # noqa: D102
    def first(self) -> str: ...  # noqa: D102
    def pop(self, now: float = inf, room: float = inf, /) -> str: ...  # noqa: D102
    def ended(self, key: str) -> None: ...  # noqa: D102
    def join_lines(self) -> None: ...  # noqa: D102


class Agenda:
    """What is due when: a heap with lazy removal and an index of its very entries, smallest due time first."""

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._due: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: str) -> bool:
        return key in self._due

    def put(self, key: str, due: float, rank: float = 0.0) -> None:
        """Set when *key* is due; among equals the smaller *rank* goes first."""
        entry = (due, rank, key)
        self._due[key] = entry
        heappush(self._heap, entry)
        if len(self._heap) > 64 and len(self._heap) > 3 * len(self._due):
            self._compact()

    def fill(self, entries: Iterable[Entry]) -> None:
        """Set when many keys are due, ordered once."""
        self._due.update((entry[2], entry) for entry in entries)
        self._compact()

    def discard(self, key: str) -> None:
        """Forget *key*, if it is there."""
        self._due.pop(key, None)

    def due(self, key: str) -> float:
        """When *key* is due; infinite if it is not there."""
        return self._due[key][0] if key in self._due else inf

    def first_due(self, _room: float = inf) -> float:
        """When the first key is due; infinite if there is none."""
        while self._heap:
            entry = self._heap[0]
            if self._due.get(entry[2]) is entry:
                return entry[0]
            heappop(self._heap)
        return inf

    def first(self) -> str:
        """Return the first key; ``first_due`` has just answered a finite time."""
        return self._heap[0][2]

    def pop(self, _now: float = inf, _room: float = inf) -> str:
        """Remove and return the first key; ``first_due`` has just answered a finite time."""
        key = heappop(self._heap)[2]
        del self._due[key]
        return key

    def ended(self, key: str) -> None:
        """Note that a try is over; here all tries are alike."""

    def join_lines(self) -> None:
        """Let all that waits stand in one line; here it does."""

    def _compact(self) -> None:
        self._heap = list(self._due.values())
        heapify(self._heap)
