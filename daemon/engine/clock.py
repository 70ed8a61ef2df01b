"""Time and chance as they are handed in: only the composition root holds the real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.core.ids import ENTROPY_BITS, DeliveryId, EventId, TaskId, delivery_id, event_id, task_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """``now`` is monotonic seconds (the event loop's), for waiting; ``now_at`` is Unix seconds, for records."""

    now: Callable[[], float]
    now_at: Callable[[], float]

    @property
    def shift(self) -> float:
        """What turns a wall time into a monotonic one at this moment: monotonic = wall + shift."""
        return self.now() - self.now_at()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dice:
    """``roll`` answers a number in [0, 1) for jitter; ``bits`` answers that many unguessable random bits."""

    roll: Callable[[], float]
    bits: Callable[[int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """Makes new ids."""

    clock: Clock
    dice: Dice

    def task(self) -> TaskId:
        """Return a new task id."""
        return task_id(self.clock.now_at(), self.dice.bits(ENTROPY_BITS))

    def event(self) -> EventId:
        """Return a new event id."""
        return event_id(self.clock.now_at(), self.dice.bits(ENTROPY_BITS))

    def delivery(self) -> DeliveryId:
        """Return a new delivery id."""
        return delivery_id(self.clock.now_at(), self.dice.bits(ENTROPY_BITS))
