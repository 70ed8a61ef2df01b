"""Marks: an answer whose bytes equal the task's last one says the same, and need not be read again.

The rule guarded here is that this holds for plain 200 answers about a living task only, whose headers hold no wish of
when to ask next. A mark is 61 bits of a hash keyed anew in every process, so that nobody outside can make two answers
meet; should two meet by chance, the second is read at the next change.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from daemon.core.observation import Observation, Pending
from daemon.core.task import Task
from daemon.net.exchange import Answer
from daemon.providers.definition import Definition

_USUAL = ("retry-after", "retry-after-ms", "openai-poll-after-ms")


class Marks:
    """The marks that one reading of a *definition* gives; those of another reading are never taken for its own."""

    def __init__(self, definition: Definition) -> None:
        told = (hint.header.lower() for hint in definition.status.hints if hint.header is not None)
        self._wishes = (*_USUAL, *told)
        self._salt = uuid4().int  # an id would come back with the next reading, after a reload

    def same(self, task: Task, answer: Answer) -> Pending | None:
        """Return what the task's last answer said, where *answer* has the same bytes."""
        if not task.mark or task.mark != self._mark(answer):
            return None
        return Pending(
            status=task.status,
            progress=task.progress,
            queue_position=task.queue_position,
            created_at=task.created_at,
            started_at=task.started_at,
            mark=task.mark,
        )

    def marked(self, answer: Answer, seen: Observation) -> Observation:
        """Return *seen* with the mark of its answer, where the next one like it need not be read."""
        if not isinstance(seen, Pending) or seen.hint is not None:
            return seen
        mark = self._mark(answer)
        return replace(seen, mark=mark) if mark else seen

    def _mark(self, answer: Answer) -> int:
        if answer.status != 200 or any(name in answer.headers for name in self._wishes):
            return 0
        return hash((self._salt, answer.body))
