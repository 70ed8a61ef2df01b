"""The ramp after an outage: starts begin at two a second and double, so that what came back is not run over.

They double every five seconds after an outage of five minutes or more, the sooner the shorter it was, so that a hiccup
costs a few seconds. At the slowest 10,000 waiting deliveries take under a minute, the first hundred of them fifteen
seconds. A failure on the way halves the pace; at a thousand a second the ramp is over, and the lane's own limits alone
hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

FIRST_RATE = 2.0
LAST_RATE = 1000.0
DOUBLING = (0.5, 5.0)
SHARE = 1 / 60
"""The doubling time as a share of the outage, within the bounds of DOUBLING."""
CATCH_UP = 0.05
"""How many seconds of missed pace may be made up for, so that a loop that ticks late keeps the rate it aims at."""


@dataclass(slots=True)
class Ramp:
    """One lane's ramp; times are monotonic seconds. It begins with the first start after ``begin``."""

    is_on: bool = False
    next_at: float = 0.0
    doubling: float = DOUBLING[1]
    _down_at: float | None = None
    _since: float | None = None

    def fell(self, now: float) -> None:
        """Note that the outage began, unless one is under way; its probes are not the ramp's to count."""
        self.is_on, self.next_at = False, 0.0
        if self._down_at is None:
            self._down_at = now

    def begin(self) -> None:
        """Start over at the slowest pace, if there was an outage."""
        if self._down_at is not None:
            self.is_on, self.next_at, self._since = True, 0.0, None

    def spend(self, now: float) -> None:
        """Account for a start at *now*."""
        if not self.is_on:
            return
        if self._since is None:
            self._set_out(now)
        rate = self._rate(now)
        self.is_on = rate < LAST_RATE
        self.next_at = max(self.next_at, now - CATCH_UP) + 1 / rate if self.is_on else 0.0

    def falter(self, now: float) -> None:
        """Halve the pace after a failure."""
        if self.is_on and self._since is not None:
            rate = max(FIRST_RATE, self._rate(now) / 2)
            self._since = now - self.doubling * log2(rate / FIRST_RATE)

    def _set_out(self, now: float) -> None:
        low, high = DOUBLING
        outage = 0.0 if self._down_at is None else now - self._down_at
        self.doubling = min(max(outage * SHARE, low), high)
        self._since, self._down_at = now, None

    def _rate(self, now: float) -> float:
        since = now if self._since is None else self._since
        return float(FIRST_RATE * 2.0 ** min((now - since) / self.doubling, 32.0))
