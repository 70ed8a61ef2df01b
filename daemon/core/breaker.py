"""The health of what a lane speaks to: closed while it answers, open after a run of failures, probed singly while open.

A breaker never drops anything: what waits behind an open one is due when it closes. On recovery the lane's window
opens step by step, so that a service that just came back is not flooded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf


class Trouble(StrEnum):
    """Why a breaker is open."""

    OUTAGE = "outage"
    CREDENTIALS = "credentials"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Temper:
    """When a breaker opens and how it probes: failures in a row, then seconds between probes, doubling to a cap."""

    failures: int = 5
    probe: float = 5.0
    probe_cap: float = 300.0
    credentials_probe: float = 60.0


@dataclass(slots=True)
class Breaker:
    """One lane's breaker; times are monotonic seconds."""

    temper: Temper
    trouble: Trouble | None = None
    failures: int = 0
    probes: int = 0
    probe_at: float = 0.0
    probing: bool = False
    opened: int = 0

    @property
    def is_open(self) -> bool:
        """Whether only single probes (or, when disabled, nothing) may start."""
        return self.trouble is not None

    def may_start(self, now: float) -> bool:
        """Whether a try may start: always when closed, one probe at a time when open."""
        if self.trouble is None:
            return True
        return self.trouble is not Trouble.DISABLED and not self.probing and now >= self.probe_at

    def started(self) -> None:
        """Note that a try starts; when open it is the probe."""
        self.probing = self.trouble is not None

    def ready_at(self) -> float:
        """The moment at which a try may start; infinite while a probe is out or the lane is disabled."""
        if self.trouble is None:
            return 0.0
        return inf if self.probing or self.trouble is Trouble.DISABLED else self.probe_at

    def succeeded(self) -> bool:
        """Note a good answer; return whether it closed an open breaker."""
        was_open = self.trouble not in (None, Trouble.DISABLED)
        if was_open:
            self.trouble = None
        self.failures = self.probes = 0
        self.probing = False
        return was_open

    def failed(self, now: float) -> bool:
        """Note an answer that blames the service; return whether it opened the breaker just now."""
        self.failures += 1
        self.probing = False
        if self.trouble is not None:
            self._back_off(now)
            return False
        if self.failures < self.temper.failures:
            return False
        self.trip(Trouble.OUTAGE, now)
        return True

    def neutral(self) -> None:
        """Note an answer that says nothing of the service's health."""
        self.probing = False

    def trip(self, trouble: Trouble, now: float) -> bool:
        """Open for *trouble*; return whether that is new."""
        new = self.trouble is not trouble
        if new:
            self.trouble, self.probes = trouble, 0
            self.opened += 1
        self.probing = False
        self._back_off(now)
        return new

    def resume(self) -> None:
        """Close at somebody's word (a new key, ``/enable``)."""
        self.trouble = None
        self.failures = self.probes = 0
        self.probing = False

    def _back_off(self, now: float) -> None:
        first = self.temper.credentials_probe if self.trouble is Trouble.CREDENTIALS else self.temper.probe
        self.probe_at = now + min(first * 2.0 ** min(self.probes, 16), max(self.temper.probe_cap, first))
        self.probes += 1
