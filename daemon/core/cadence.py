"""When to look next: the rule that turns a task's age into seconds to wait.

Backing off between successful polls is a mistake (it looks least often when tasks end most often), so a cadence is a
late first poll and then a density. Theory: Keller 1974, Management Science 21(3), 256-260.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Protocol

from daemon.core.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Seconds until the next poll, and why in words a user can read."""

    delay: float
    reason: str


class Cadence(Protocol):
    """The rule of one lane; *now* is monotonic."""

    def first(self, task: Task, now: float) -> Plan:
        """Plan the first poll of a task just registered."""
        ...

    def next(self, task: Task, now: float) -> Plan:
        """Plan the poll after one that told a live task's state."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyCadence:
    """A late first poll, then one steady gap: what is best without having learned anything.

    ``typical`` is the median duration in seconds, ``price`` the seconds of mean delay one poll is worth. The gap is
    Keller's ``sqrt(2 * price / h)`` with the hazard h = 1.6 / typical, that of LN(typical, 0.5) at its median. The
    first poll stands at 0.4 of the typical duration: the 3 % quantile of that law, so biased low.
    """

    typical: float
    price: float
    min_gap: float
    max_gap: float

    FIRST_FRACTION = 0.4
    HAZARD = 1.6

    @property
    def gap(self) -> float:
        """The steady gap in seconds, between ``min_gap`` and ``max_gap``."""
        wanted = sqrt(2 * self.price * self.typical / self.HAZARD)
        return min(max(wanted, self.min_gap), max(self.max_gap, self.min_gap))

    def first(self, task: Task, now: float) -> Plan:
        """Plan the first poll at 0.4 of the typical duration, counted from the job's creation."""
        wait = self.FIRST_FRACTION * self.typical - task.age(now)
        if wait <= self.min_gap:
            return Plan(delay=self.min_gap, reason=f"first poll after the smallest gap of {self.min_gap:g} s")
        return Plan(delay=wait, reason=f"first poll at 40 % of the typical {self.typical:g} s")

    def next(self, task: Task, now: float) -> Plan:
        """Plan the next poll one steady gap away, or at the first poll's age where that is still to come."""
        early = self.FIRST_FRACTION * self.typical - task.age(now)
        if early > self.gap and task.progress is None:
            return Plan(delay=early, reason=f"not expected before 40 % of the typical {self.typical:g} s")
        return Plan(delay=self.gap, reason=f"steady gap of {self.gap:.3g} s")
