"""Room on the disk for outputs: what all of them may take together, and what must stay free for the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from math import inf

from daemon.core.saving import SaveBounds

RESERVE = 256 * 1024 * 1024
FRESH = 10.0


@dataclass(slots=True, kw_only=True)
class Room:
    """Counts what is saved and what gathers; ``free`` answers the bytes the disk has left."""

    bounds: SaveBounds
    free: Callable[[], int]
    now: Callable[[], float]
    _saved: int = 0
    _counted: float = -inf
    _gathering: dict[str, int] = field(default_factory=dict)

    async def look(self, used: Callable[[], Awaitable[int]]) -> None:
        """Count anew what is saved, by *used*, unless that was done a moment ago."""
        if self.now() - self._counted >= FRESH:
            self._counted = self.now()
            self._saved = await used()

    def of(self, key: str) -> Callable[[int], str | None]:
        """Return what answers why the draft *key* may not grow to so many bytes, None where it may."""
        return partial(self._grows, key)

    def settle(self, key: str) -> None:
        """Count the draft *key* as saved."""
        self._saved += self._gathering.pop(key, 0)

    def keep(self, key: str, size: int) -> None:
        """Count the draft *key*, whose try is over, as the bytes it holds, whatever had been announced for it."""
        self._gathering[key] = size

    def leave(self, key: str) -> None:
        """Forget the draft *key*, which is deleted."""
        self._gathering.pop(key, None)

    def _grows(self, key: str, size: int) -> str | None:
        before = self._gathering.get(key, 0)
        more = max(0, size - before)
        if self._saved + sum(self._gathering.values()) + more > self.bounds.max_total:
            return f"outputs would take more than [outputs] max_total, {self.bounds.max_total} bytes"
        if self.free() - more < RESERVE:
            return f"the disk would be left with less than {RESERVE} free bytes"
        self._gathering[key] = max(before, size)
        return None
