"""Parties: polls of one lane that start together and can be asked together ride in one request.

The lane lets them start at the same moment; whoever comes first asks for all. What the answer says of the account is
said once, by the one who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from daemon.core.ids import TaskId
from daemon.core.observation import Missed, Observation
from daemon.core.task import Miss, Task
from daemon.engine.ports import Provider

UNLISTED = Missed(miss=Miss.UNLISTED, detail="the answer for several tasks did not hold this one")


@dataclass(frozen=True, slots=True)
class Told:
    """One task's observation; ``speaks`` says that the account should hear it, too."""

    seen: Observation
    speaks: bool


@dataclass(slots=True)
class _Party:
    """Those who ride in one request."""

    tasks: list[Task]
    answer: asyncio.Future[Mapping[TaskId, Observation]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Parties:
    """Polls tasks of one lane, together where they can; a task once left out of an answer is asked for alone.

    *loners* is the lane's own set: a key in it takes a slot and its share of the rate, and never rides.
    """

    def __init__(self, loners: set[str]) -> None:
        self._open: _Party | None = None
        self._loners = loners

    def forget(self, task_id: TaskId) -> None:
        """Forget a task that has ended."""
        self._loners.discard(task_id)

    async def poll(self, provider: Provider, task: Task) -> Told:
        """Return how *task* stands."""
        if provider.party <= 1 or task.id in self._loners:
            return Told(await provider.poll(task), speaks=True)
        party = self._open
        if party is not None and len(party.tasks) < provider.party:
            party.tasks.append(task)
            answer = await asyncio.shield(party.answer)
            return Told(self._said(task, answer), speaks=False)
        party = self._open = _Party([task])
        return Told(self._said(task, await self._ask(provider, party)), speaks=True)

    async def _ask(self, provider: Provider, party: _Party) -> Mapping[TaskId, Observation]:
        try:
            await asyncio.sleep(0)
            self._close(party)
            if len(party.tasks) == 1:
                return {party.tasks[0].id: await provider.poll(party.tasks[0])}
            answer = await provider.poll_many(party.tasks)
            party.answer.set_result(answer)
            return answer
        finally:
            self._close(party)
            if len(party.tasks) > 1 and not party.answer.done():
                party.answer.set_exception(RuntimeError("the request for several tasks broke down"))

    def _close(self, party: _Party) -> None:
        if self._open is party:
            self._open = None

    def _said(self, task: Task, answer: Mapping[TaskId, Observation]) -> Observation:
        seen = answer.get(task.id)
        if seen is None:
            self._loners.add(task.id)
            return UNLISTED
        return seen
