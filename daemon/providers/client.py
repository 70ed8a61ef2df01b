"""The client: one configured provider account as the engine's Provider port.

The rule guarded here is that whatever the network does is a value, and that a result request which bills is sent only
by ``result``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Final

import aiohttp
import structlog

from daemon.core.errors import NoResult
from daemon.core.ids import TaskId
from daemon.core.observation import Ended, Missed, Observation, Output, Pending
from daemon.core.record import Admission, Application
from daemon.core.task import Miss, Status, Task
from daemon.net.exchange import Answer, Failure, FailureKind, exchange
from daemon.providers.account import Account
from daemon.providers.admission import admit
from daemon.providers.masking import Mask
from daemon.providers.reading import Reader, Reading, Reply
from daemon.providers.request import Prepared, Requests
from daemon.providers.template import Unbuildable
from daemon.providers.weather import missed_by_failure

SMALL: Final = 256 * 1024
AT_ONCE: Final = 32 * 1024
MODEST: Final = 4 * 1024 * 1024
BIG_AT_ONCE: Final = 2
WORDS_KEPT: Final = 20
WORDS_LOGGED: Final = 1000

log = structlog.get_logger(__name__)


class HttpProvider:
    """Polls one provider account through *session*; *now_at* answers wall-clock seconds.

    Bodies over 256 KiB are asked for a second time under a bound of two at once; those over 32 KiB are read off the
    event loop.
    """

    def __init__(self, account: Account, session: aiohttp.ClientSession, now_at: Callable[[], float]) -> None:
        self.account = account
        self._session = session
        self._now_at = now_at
        self._requests = Requests(account)
        self._reader = Reader(definition=account.definition, mask=Mask(account.secrets))
        self._big = asyncio.Semaphore(BIG_AT_ONCE)
        self._words: deque[str] = deque(maxlen=WORDS_KEPT)
        self._logged: set[str] = set()

    @property
    def unknown_words(self) -> tuple[str, ...]:
        """The last status words that the definition does not know, each once."""
        return tuple(self._words)

    @property
    def bills(self) -> bool:
        """Whether ``result`` costs money: a request whose fate is unknown must then not be repeated unasked."""
        spec = self.account.definition.result
        return spec is not None and spec.bills

    @property
    def party(self) -> int:
        """How many tasks one status request can tell."""
        return 1

    async def poll_many(self, tasks: Sequence[Task]) -> dict[TaskId, Observation]:
        """Ask how each of *tasks* stands."""
        return {task.id: await self.poll(task) for task in tasks}

    def admit(self, application: Application) -> Admission:
        """Hold *application* against the definition; raise InvalidRegistration or HostNotAllowed."""
        return admit(self._requests, application)

    async def poll(self, task: Task) -> Observation:
        """Ask once how *task* stands; an end is told with its outputs, by a second request where the definition
        says so. Never raises for weather.
        """
        try:
            request = self._requests.status(task)
        except Unbuildable as refusal:
            return Missed(miss=Miss.UNCONFIGURED, detail=str(refusal), unsent=True)
        seen = await self._ask(request, self._reader.status)
        if isinstance(seen, Ended) and seen.outcome is Status.SUCCEEDED:
            return await self._completed(task, seen)
        return seen

    async def result(self, task: Task) -> Observation:
        """Send the result request once, whatever it costs: Ended with outputs, Pending for *not yet*, Missed
        otherwise. Raises NoResult where the definition has none.
        """
        if self.account.definition.result is None:
            raise NoResult(f"{self.account.preset} has no result request")
        try:
            request = self._requests.result(task)
        except Unbuildable as refusal:
            return Missed(miss=Miss.UNCONFIGURED, detail=str(refusal), unsent=True)
        is_big = self.account.definition.limits.max_bytes > MODEST
        async with self._big if is_big else nullcontext():
            return await self._ask(request, self._reader.result, is_once=True)

    async def _completed(self, task: Task, ended: Ended) -> Observation:
        spec = self.account.definition.result
        if spec is None or (spec.unless_outputs and ended.outputs):
            return self._with_fallback(task, ended)
        if spec.when == "asked":
            return replace(self._with_fallback(task, ended), result_due=task.fetch_result is True)
        if task.fetch_result is False:
            return self._with_fallback(task, ended)
        return await self._with_result(task, ended)

    async def _with_result(self, task: Task, ended: Ended) -> Observation:
        try:
            request = self._requests.result(task)
        except Unbuildable as refusal:
            return Missed(miss=Miss.RESULT_MISSING, detail=str(refusal), known=ended, unsent=True)
        told = await self._ask(request, self._reader.result)
        if isinstance(told, Ended):
            return self._with_fallback(task, _merged(ended, told))
        known = self._with_fallback(task, ended)
        if isinstance(told, Pending):
            detail = "the result is not there yet"
            return Missed(miss=Miss.RESULT_MISSING, detail=detail, retry_after=told.hint, known=known)
        detail = f"the result request brought {told.miss}: {told.detail}"
        return replace(told, miss=Miss.RESULT_MISSING, detail=detail, known=known)

    def _with_fallback(self, task: Task, ended: Ended) -> Ended:
        spec = self.account.definition.fallback
        url = None if ended.outputs or ended.outcome is not Status.SUCCEEDED else self._requests.fallback(task)
        if spec is None or url is None:
            return ended
        output = Output(url=str(url), kind=spec.kind, needs_auth=spec.needs_auth)
        return replace(ended, outputs=(output,))

    async def _ask(self, request: Prepared, read: Callable[[Reply], Reading], *, is_once: bool = False) -> Observation:
        limit = self.account.definition.limits.max_bytes
        answer = await self._send(request, limit if is_once else min(limit, SMALL), is_once=is_once)
        if isinstance(answer, Failure) and limit > SMALL and not is_once and _is_big_answer(answer):
            async with self._big:
                return await self._read(request, await self._send(request, limit), read)
        return await self._read(request, answer, read)

    async def _send(self, request: Prepared, limit: int, *, is_once: bool = False) -> Answer | Failure:
        return await exchange(
            self._session,
            request.method,
            request.url,
            headers=request.headers,
            timeout=self.account.definition.limits.timeout,
            limit=limit,
            once=is_once,
        )

    async def _read(self, request: Prepared, answer: Answer | Failure, read: Callable[[Reply], Reading]) -> Observation:
        if isinstance(answer, Failure):
            return missed_by_failure(answer, self._now_at())
        reply = Reply(
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            asked=request.url,
            now_at=self._now_at(),
        )
        reading = read(reply) if len(reply.body) <= AT_ONCE else await asyncio.to_thread(read, reply)
        if reading.word is not None:
            self._note(reading.word)
        return reading.seen

    def _note(self, word: str) -> None:
        if word not in self._words:
            self._words.append(word)
        if word not in self._logged and len(self._logged) < WORDS_LOGGED:
            self._logged.add(word)
            log.warning("provider.unknown_word", lane=self.account.name, word=word)


def _is_big_answer(failure: Failure) -> bool:
    return failure.kind is FailureKind.TOO_LARGE and failure.status is not None and failure.status < 300


def _merged(ended: Ended, told: Ended) -> Ended:
    """Return what the result request told, with the status answer's facts where it told nothing."""
    return replace(
        told,
        outputs=told.outputs or ended.outputs,
        created_at=told.created_at or ended.created_at,
        started_at=told.started_at or ended.started_at,
        finished_at=told.finished_at or ended.finished_at,
    )
