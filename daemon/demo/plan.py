"""What the simulated providers will do: a script per task and faults per answer, all thrown from one seed.

The dice of a task depend on its place in the order of submissions, those of an answer on how many came before it, so
the same seed tells the same story however the polls interleave.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from daemon.core.task import Status


class Fault(StrEnum):
    """A way in which an answer can go wrong without saying anything about the task."""

    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    HANG = "hang"
    HTML = "html"
    UNKNOWN_WORD = "unknown_word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The chance of each fault per answer, 0 to 1; ``unknown_word`` is per task, which then meets it once.

    ``retry_after`` (seconds) goes with a throttled answer; ``hang_seconds`` is how long a hanging one takes.
    """

    throttled: float = 0.0
    server_error: float = 0.0
    hang: float = 0.0
    html: float = 0.0
    unknown_word: float = 0.0
    retry_after: int = 1
    hang_seconds: float = 5.0

    def throw(self, dice: Random) -> Fault | None:
        """Return the fault of one answer, or None for a good one."""
        roll = dice.random()
        for fault, chance in (
            (Fault.THROTTLED, self.throttled),
            (Fault.SERVER_ERROR, self.server_error),
            (Fault.HANG, self.hang),
            (Fault.HTML, self.html),
        ):
            roll -= chance
            if roll < 0:
                return fault
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long tasks queue and run, as (shortest, longest) seconds, and how often they fail or are canceled."""

    queued: tuple[float, float] = (0.2, 2.0)
    running: tuple[float, float] = (2.8, 16.0)
    failing: float = 0.12
    canceled: float = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The fate of one task: seconds in the queue, seconds at work, its end, and the dice for details.

    ``flavour`` in [0, 1) picks between variants of an answer (with or without a url, one output or two).
    """

    queued: float
    running: float
    outcome: Status
    flavour: float
    is_odd: bool = False


def script(dice: Random, pace: Pace, faults: Faults, *, speed: float, may_cancel: bool) -> Script:
    """Throw the fate of one task; *speed* divides its times, only some providers know a cancellation."""
    return Script(
        queued=dice.uniform(*pace.queued) / speed,
        running=dice.uniform(*pace.running) / speed,
        outcome=_outcome(dice.random(), pace, may_cancel=may_cancel),
        flavour=dice.random(),
        is_odd=dice.random() < faults.unknown_word,
    )


def _outcome(roll: float, pace: Pace, *, may_cancel: bool) -> Status:
    if roll < pace.failing:
        return Status.FAILED
    if may_cancel and roll < pace.failing + pace.canceled:
        return Status.CANCELED
    return Status.SUCCEEDED
