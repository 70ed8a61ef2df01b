"""Leisure: time for thought that may wait, a few milliseconds of it at a time.

Guarded here: however many endings come at once, and in however many lanes, what is learned from them never holds up
the polls and deliveries of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.core.lane import Pace

PER_SECOND = 40.0
AT_ONCE = 4.0


@dataclass(slots=True)
class Leisure:
    """Answers 40 times a second, 4 times in a row, that there is time; shared by all lanes of a daemon."""

    now: Callable[[], float]
    _pace: Pace = field(default_factory=lambda: Pace(rate=PER_SECOND, burst=AT_ONCE))

    def __call__(self) -> bool:
        """Whether there is time now; who is told so takes it."""
        now = self.now()
        has_time = self._pace.allows(now)
        if has_time:
            self._pace.spend(now)
        return has_time
