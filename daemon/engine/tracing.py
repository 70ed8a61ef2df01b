"""The port for traces: what is told of a task's life and of each attempt, where somebody wants to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from daemon.core.delivery import Delivery, Receipt
from daemon.core.event import Event
from daemon.core.ids import TaskId
from daemon.engine.ports import Sender


class Traces(Protocol):
    """Whoever follows single tasks. None of its methods waits or raises."""

    def polled(self, task_id: TaskId, result: str) -> None:
        """Hear of a poll: its result is a status word, or why there was no news."""
        ...

    def ended(self, event: Event) -> None:
        """Hear of an ending that was committed, by its event."""
        ...

    def forget(self, task_id: TaskId) -> None:
        """Let go of what was heard of a task."""
        ...

    def attempted(self, delivery: Delivery, event: Event, receipt: Receipt, began_at: float) -> None:
        """Hear of an attempt that began at wall-clock *began_at*."""
        ...


@dataclass(frozen=True, slots=True)
class TracedSender:
    """A Sender whose attempts are told to *traces*."""

    sender: Sender
    traces: Traces
    now_at: Callable[[], float]

    async def send(self, delivery: Delivery, event: Event) -> Receipt:
        """Make one attempt, and tell of it."""
        began_at = self.now_at()
        receipt = await self.sender.send(delivery, event)
        self.traces.attempted(delivery, event, receipt, began_at)
        return receipt
