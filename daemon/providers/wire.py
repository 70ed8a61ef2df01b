"""The wire: a prepared request out, with its credential, and what the answer says back.

The rule guarded here is that whatever the network or the source of a token does is a value.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Final

import aiohttp
import structlog
from yarl import URL

from daemon.core.observation import Missed, Observation
from daemon.core.task import Miss, Task
from daemon.net.exchange import Answer, Failure, FailureKind, exchange
from daemon.net.lean import Lean, Road
from daemon.providers.account import Account
from daemon.providers.credential import Credential, Proof
from daemon.providers.marks import Marks
from daemon.providers.masking import Mask
from daemon.providers.reading import Reader, Reading, Reply
from daemon.providers.request import Prepared, Target
from daemon.providers.tokens import NoToken
from daemon.providers.troubles import Troubles
from daemon.providers.weather import missed_by_failure

SMALL: Final = 256 * 1024
AT_ONCE: Final = 32 * 1024
MODEST: Final = 4 * 1024 * 1024
BIG_AT_ONCE: Final = 2
WORDS_KEPT: Final = 20
ROADS_KEPT: Final = 64
WORDS_LOGGED: Final = 1000

log = structlog.get_logger(__name__)


class Wire:
    """Sends the requests of one account through *session*; *now_at* answers wall-clock seconds.

    Bodies over 256 KiB are asked for a second time under a bound of two at once; those over 32 KiB are read off the
    event loop. A token that is refused (401) is fetched afresh, once.
    """

    def __init__(
        self,
        account: Account,
        session: aiohttp.ClientSession,
        now_at: Callable[[], float],
        *,
        lean: Lean | None = None,
    ) -> None:
        self.credential = Credential(account, now_at)
        self.words: deque[str] = deque(maxlen=WORDS_KEPT)
        self.troubles = Troubles(account.name)
        self._account = account
        self._session = session
        self._lean = lean
        self._roads: tuple[Proof | None, dict[tuple[str, str], Road]] = (None, {})
        self._marks = Marks(account.definition)
        self._now_at = now_at
        self._reader = Reader(definition=account.definition, mask=Mask(self.credential.secrets))
        self._big = asyncio.Semaphore(BIG_AT_ONCE)
        self._logged: set[str] = set()

    @property
    def reader(self) -> Reader:
        """The reader, its mask over every secret sent so far."""
        if self._reader.mask.secrets != self.credential.secrets:
            self._reader = replace(self._reader, mask=Mask(self.credential.secrets))
        return self._reader

    async def direct(self, task: Task, target: Target, headers: Mapping[str, str]) -> Observation:
        """Send a GET for *target*, the lean way where there is one, and read its answer.

        An answer of the same bytes as the task's last one is not read again.
        """
        limits = self._account.definition.limits
        if self._lean is None:
            return await self.status(_long(target, headers))
        try:
            proof = await self.credential.proof()
        except NoToken as refusal:
            return Missed(miss=Miss.UNCONFIGURED, detail=str(refusal), unsent=True)
        road = self._road(self._lean, target.home, proof, headers)
        limit = min(limits.max_bytes, SMALL)
        answer = await self._lean.get(road, proof.on_target(target.text), timeout=limits.timeout, limit=limit)
        if isinstance(answer, Failure):
            return await self._read_or_ask_big(_long(target, headers), answer, self._read_status)
        if (same := self._marks.same(task, answer)) is not None:
            return same
        if answer.status == 401 and self.credential.distrust():
            return await self.status(_long(target, headers))
        return self._marks.marked(answer, await self._heard(answer, f"{road.origin}{target.text}", self._read_status))

    def _road(self, lean: Lean, home: URL, proof: Proof, headers: Mapping[str, str]) -> Road:
        if self._roads[0] is not proof or len(self._roads[1]) >= ROADS_KEPT:
            self._roads = (proof, {})
        roads, key = self._roads[1], (home.scheme, home.raw_authority)
        if key not in roads:
            roads[key] = lean.road(home, {**headers, **proof.headers})
        return roads[key]

    async def status(self, request: Prepared) -> Observation:
        """Send a status request and read its answer."""
        return await self._asked(request, self._read_status)

    async def result(self, request: Prepared) -> Observation:
        """Send a result request that may be repeated, and read its answer."""
        return await self._asked(request, self._read_result)

    async def result_once(self, request: Prepared) -> Observation:
        """Send a result request, at most once whatever happens, and read its answer."""
        limit = self._account.definition.limits.max_bytes
        async with self._big if limit > MODEST else nullcontext():
            answer = await self._sent(request, limit, is_once=True)
            return await self._read(request, answer, self._read_result)

    async def reply(self, request: Prepared) -> Reply | Missed:
        """Send a request and return its answer unread."""
        limit = self._account.definition.limits.max_bytes
        async with self._big if limit > MODEST else nullcontext():
            return self._replied(request, await self._sent(request, limit))

    def note(self, word: str) -> None:
        """Remember a status word that the definition does not know; log it once."""
        if word not in self.words:
            self.words.append(word)
        if word not in self._logged and len(self._logged) < WORDS_LOGGED:
            self._logged.add(word)
            log.warning("provider.unknown_word", lane=self._account.name, word=word)

    async def _asked(self, request: Prepared, read: Callable[[Reply], Reading]) -> Observation:
        limit = self._account.definition.limits.max_bytes
        return await self._read_or_ask_big(request, await self._sent(request, min(limit, SMALL)), read)

    async def _read_or_ask_big(
        self, request: Prepared, answer: Answer | Failure | Missed, read: Callable[[Reply], Reading]
    ) -> Observation:
        limit = self._account.definition.limits.max_bytes
        if isinstance(answer, Failure) and limit > SMALL and _is_big_answer(answer):
            async with self._big:
                return await self._read(request, await self._sent(request, limit), read)
        return await self._read(request, answer, read)

    async def _sent(self, request: Prepared, limit: int, *, is_once: bool = False) -> Answer | Failure | Missed:
        answer = await self._exchanged(request, limit, is_once=is_once)
        if isinstance(answer, Answer) and answer.status == 401 and not is_once and self.credential.distrust():
            return await self._exchanged(request, limit)
        return answer

    async def _exchanged(self, request: Prepared, limit: int, *, is_once: bool = False) -> Answer | Failure | Missed:
        try:
            proof = await self.credential.proof()
        except NoToken as refusal:
            return Missed(miss=Miss.UNCONFIGURED, detail=str(refusal), unsent=True)
        return await exchange(
            self._session,
            request.method,
            proof.on(request.url),
            headers={**request.headers, **proof.headers},
            body=request.body,
            timeout=self._account.definition.limits.timeout,
            limit=limit,
            once=is_once,
        )

    def _replied(self, request: Prepared, answer: Answer | Failure | Missed) -> Reply | Missed:
        if isinstance(answer, Missed):
            return answer
        if isinstance(answer, Failure):
            return missed_by_failure(answer, self._now_at())
        return self._reply(answer, request.url)

    def _reply(self, answer: Answer, asked: URL | str) -> Reply:
        return Reply(status=answer.status, headers=answer.headers, body=answer.body, asked=asked, now_at=self._now_at())

    def _read_status(self, reply: Reply) -> Reading:
        return self.reader.status(reply)

    def _read_result(self, reply: Reply) -> Reading:
        return self.reader.result(reply)

    async def _read(
        self, request: Prepared, answer: Answer | Failure | Missed, read: Callable[[Reply], Reading]
    ) -> Observation:
        if isinstance(answer, Answer):
            return await self._heard(answer, request.url, read)
        return missed_by_failure(answer, self._now_at()) if isinstance(answer, Failure) else answer

    async def _heard(self, answer: Answer, asked: URL | str, read: Callable[[Reply], Reading]) -> Observation:
        reply = self._reply(answer, asked)
        reading = read(reply) if len(reply.body) <= AT_ONCE else await asyncio.to_thread(read, reply)
        if reading.word is not None:
            self.note(reading.word)
        if reading.trouble is not None:
            self.troubles.note(reading.trouble)
        return reading.seen


def _long(target: Target, headers: Mapping[str, str]) -> Prepared:
    return Prepared("GET", URL(f"{target.home.origin()}{target.text}", encoded=True), headers)


def _is_big_answer(failure: Failure) -> bool:
    return failure.kind is FailureKind.TOO_LARGE and failure.status is not None and failure.status < 300
