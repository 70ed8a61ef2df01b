"""The health of what a lane speaks to: closed while it answers, open after a run of failures, probed singly while open.

A breaker never drops anything: what waits behind an open one is due when it closes. On recovery the lane's window
opens step by step, so that a service that just came back is not flooded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """One lane's breaker; times are monotonic seconds, ``probe`` is the key of the try that is out to look."""

    temper: Temper
    trouble: Trouble | None = None
    failures: int = 0
    probes: int = 0
    probe_at: float = 0.0
    probe: str | None = None
    culprits: set[str] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        """Whether only single probes (or, when disabled, nothing) may start."""
        return self.trouble is not None

    def ready_at(self) -> float:
        """The moment at which a try may start; infinite while a probe is out or the lane is disabled."""
        if self.trouble is None:
            return 0.0
        return inf if self.probe is not None or self.trouble is Trouble.DISABLED else self.probe_at

    def started(self, key: str, now: float) -> None:
        """Note that a try starts; when open it is the probe, and the next one waits longer whatever this one brings."""
        if self.trouble is not None:
            self.probe = key
            self._back_off(now)

    def ended(self, key: str) -> None:
        """Note that a try is over, whatever it brought."""
        if self.probe == key:
            self.probe = None

    def succeeded(self, key: str) -> bool:
        """Note a good answer; return whether it closed an open breaker.

        A refused credential is cleared by its probe alone: good answers that were out before prove nothing.
        """
        if self.trouble is Trouble.DISABLED or (self.trouble is Trouble.CREDENTIALS and key != self.probe):
            return False
        was_open = self.is_open
        self.resume()
        return was_open

    def failed(self, key: str, now: float) -> bool:
        """Note an answer that blames the service; return whether it opened the breaker just now.

        It opens after enough failures in a row that came to more than one key: a single one backs off by itself.
        """
        if self.trouble is not None:
            return False
        self.failures += 1
        if len(self.culprits) < self.temper.failures:
            self.culprits.add(key)
        is_enough = self.failures >= self.temper.failures and len(self.culprits) > 1
        return is_enough and self.trip(Trouble.OUTAGE, now)

    def trip(self, trouble: Trouble, now: float) -> bool:
        """Open for *trouble*; return whether that is new. What is disabled stays so until it is resumed."""
        if self.trouble in (trouble, Trouble.DISABLED):
            return False
        self.trouble, self.probe, self.probes = trouble, None, 0
        self._back_off(now)
        return True

    def resume(self) -> None:
        """Close: a good answer, or somebody's word (a new key, ``/enable``)."""
        self.trouble = self.probe = None
        self.failures = self.probes = 0
        self.culprits.clear()

    def _back_off(self, now: float) -> None:
        first = self.temper.credentials_probe if self.trouble is Trouble.CREDENTIALS else self.temper.probe
        self.probe_at = now + min(first * 2.0 ** min(self.probes, 16), max(self.temper.probe_cap, first))
        self.probes += 1
