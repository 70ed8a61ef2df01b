"""The client: one configured provider account as the engine's Provider port.

The rule guarded here is that whatever the network does is a value, and that a result request which bills is sent only
by ``result``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import aiohttp
import structlog

from daemon.core.errors import NoResult
from daemon.core.ids import TaskId
from daemon.core.observation import Ended, Missed, Observation
from daemon.core.record import Admission, Application
from daemon.core.saving import Access
from daemon.core.task import Miss, Status, Task
from daemon.net.lean import Lean
from daemon.providers.account import Account
from daemon.providers.admission import Admissions
from daemon.providers.batch import Ride, boarded
from daemon.providers.completion import Completion
from daemon.providers.credential import Credential
from daemon.providers.definition_request import BatchSpec
from daemon.providers.origin import parsed
from daemon.providers.party_reading import told_of_each
from daemon.providers.reading import Reply
from daemon.providers.request import Requests
from daemon.providers.template import Unbuildable
from daemon.providers.tokens import NoToken
from daemon.providers.weather import missed_as_party
from daemon.providers.wire import AT_ONCE, Wire

AFTERS_AT_ONCE: Final = 4
LISTLESS: Final = 3
_LATER: Final = Missed(miss=Miss.UNLISTED, detail="rides with the next request", unsent=True)

log = structlog.get_logger(__name__)


class HttpProvider:
    """Polls one provider account through *session*, the lean way where there is one; *now_at* answers wall-clock
    seconds.
    """

    def __init__(
        self,
        account: Account,
        session: aiohttp.ClientSession,
        now_at: Callable[[], float],
        *,
        lean: Lean | None = None,
    ) -> None:
        self.account = account
        self._requests = Requests(account, now_at)
        self._admissions = Admissions(self._requests)
        self._wire = Wire(account, session, now_at, lean=lean)
        self._completion = Completion(account, self._requests, self._wire.result)
        self._listless = 0

    @property
    def credential(self) -> Credential:
        """What proves who asks, for whoever fetches outputs that need it."""
        return self._wire.credential

    @property
    def unknown_words(self) -> tuple[str, ...]:
        """The last status words that the definition does not know, each once."""
        return tuple(self._wire.words)

    @property
    def reading_troubles(self) -> tuple[str, ...]:
        """The last answers that were JSON and yet could not be read: why, and their shape; each cause once."""
        return self._wire.troubles.told

    @property
    def bills(self) -> bool:
        """Whether ``result`` costs money: a request whose fate is unknown must then not be repeated unasked."""
        spec = self.account.definition.result
        return spec is not None and spec.bills

    @property
    def party(self) -> int:
        """How many tasks one status request can tell."""
        spec = self.account.definition.batch
        return 1 if spec is None else spec.max

    def admit(self, application: Application) -> Admission:
        """Hold *application* against the definition; raise InvalidRegistration or HostNotAllowed."""
        return self._admissions.admit(application)

    async def poll(self, task: Task) -> Observation:
        """Ask once how *task* stands; an end is told with its outputs, by a second request where the definition
        says so. Never raises for weather.
        """
        seen = await self._status(task)
        if isinstance(seen, Ended) and seen.outcome is Status.SUCCEEDED:
            return await self._completion.completed(task, seen)
        return seen

    async def poll_many(self, tasks: Sequence[Task]) -> Mapping[TaskId, Observation]:
        """Ask once how *tasks* stand; one that has to be asked for alone is left out."""
        spec = self.account.definition.batch
        if spec is None or len(tasks) == 1:
            return {task.id: await self.poll(task) for task in tasks}
        ride = boarded(spec, tasks, lambda task: self._requests.values(task.remote_id, task.model, task.params))
        if not ride.aboard:
            return {tasks[0].id: await self.poll(tasks[0])}
        seen: dict[TaskId, Observation] = {task.id: _LATER for task in ride.later}
        return seen | await self._ridden(spec, ride)

    async def result(self, task: Task) -> Observation:
        """Send the result request once, whatever it costs: Ended with outputs, Pending for *not yet*, Missed
        otherwise. Raises NoResult where the definition has none.
        """
        spec = self.account.definition.result
        if spec is None:
            raise NoResult(f"{self.account.preset} has no result request")
        ended = None
        if spec.needs_status:
            seen = await self._status(task)
            if isinstance(seen, Missed):
                return replace(seen, unsent=True)
            if not isinstance(seen, Ended) or seen.outcome is not Status.SUCCEEDED:
                return seen
            ended = seen
        return await self._completion.asked(task, spec, ended, self._wire.result_once)

    async def access(self, url: str) -> Access | None:
        """Return how to GET an output at *url* with the key; None off the allowed origins, or where there is no key."""
        target = parsed(url)
        if target is None or not self.account.definition.allowed.covers(target):
            return None
        try:
            proof = await self.credential.proof()
        except NoToken:
            return None
        return Access(url=str(proof.on(target)), headers={**self.account.headers, **proof.headers})

    async def _status(self, task: Task) -> Observation:
        headers = self._requests.direct_headers
        if headers is not None and (target := self._requests.direct(task)) is not None:
            return await self._wire.direct(task, target, headers)
        try:
            request = self._requests.status(task)
        except Unbuildable as refusal:
            return Missed(miss=Miss.UNCONFIGURED, detail=str(refusal), unsent=True)
        return await self._wire.status(request)

    async def _ridden(self, spec: BatchSpec, ride: Ride) -> dict[TaskId, Observation]:
        aboard = [task for tasks in ride.aboard.values() for task in tasks]
        ids = list(ride.aboard)
        try:
            request = self._requests.built(spec, {**ride.values, "ids": spec.separator.join(ids)}, ids)
        except Unbuildable:
            return {aboard[0].id: await self.poll(aboard[0])}
        reply = await self._wire.reply(request)
        if isinstance(reply, Reply) and reply.status in range(200, 300):
            return await self._told(spec, ride, reply)
        missed = reply if isinstance(reply, Missed) else missed_as_party(reply.status, reply.headers, reply.now_at)
        return {} if missed is None else {task.id: missed for task in aboard}

    async def _told(self, spec: BatchSpec, ride: Ride, reply: Reply) -> dict[TaskId, Observation]:
        """Read what the answer holds of each; without any list in it, that is no news, and at last a reason to ask
        for each alone.
        """
        reader = self._wire.reader
        is_small = len(reply.body) <= AT_ONCE
        told = told_of_each(reader, spec, list(ride.aboard), reply) if is_small else None
        told = told if is_small else await asyncio.to_thread(told_of_each, reader, spec, list(ride.aboard), reply)
        self._listless = self._listless + 1 if told is None else 0
        if told is None:
            detail = "the answer for several tasks holds no list of them"
            missed = Missed(miss=Miss.UNREADABLE, detail=detail, http_status=reply.status)
            is_hopeless = self._listless >= LISTLESS
            return {} if is_hopeless else {task.id: missed for tasks in ride.aboard.values() for task in tasks}
        for reading in told.values():
            if reading.word is not None:
                self._wire.note(reading.word)
            if reading.trouble is not None:
                self._wire.troubles.note(reading.trouble)
        turns = asyncio.Semaphore(AFTERS_AT_ONCE)
        pairs = [(task, told[known].seen) for known, tasks in ride.aboard.items() if known in told for task in tasks]
        ends = await asyncio.gather(*(self._finished(spec, task, seen, turns) for task, seen in pairs))
        return {task.id: end for (task, _), end in zip(pairs, ends, strict=True)}

    async def _finished(self, spec: BatchSpec, task: Task, seen: Observation, turns: asyncio.Semaphore) -> Observation:
        if not isinstance(seen, Ended):
            return seen
        if spec.confirm_ends:
            async with turns:
                return await self.poll(task)
        if seen.outcome is not Status.SUCCEEDED:
            return seen
        async with turns:
            return await self._completion.completed(task, seen)
