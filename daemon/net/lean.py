"""The lean exchange: a GET whose bytes are ready, on a kept connection, read by aiohttp's own parser.

Same promises as ``exchange``: one deadline over all of it, a bound on the body, no redirects, weather as a value. What
is left out is what ``ClientSession.request`` builds around a request: four fifths of the processor time of a small
one. It goes on below the session, on what the session itself stands on: ``Connector.connect`` and the protocol it
gives, whose answers are read as ``ClientResponse.start`` does.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from yarl import URL

from daemon.net.barred import Barred
from daemon.net.exchange import (
    REST_WITHIN,
    Answer,
    Failure,
    Marks,
    Passage,
    TooLarge,
    failure_of,
    passage,
    read_body,
)
from daemon.net.session import HEADER_BYTES, HEADERS

LOOK_EVERY = 0.1
TRIES = 3  # one kept here, one left by another exchange of the session, one new
LIFE = 60.0  # a name that moved is asked for again, however busy its connections are
_BAD = frozenset(map(chr, (*range(32), 127))) - {"\t"}
_UNTIMED = aiohttp.ClientTimeout(total=None)


@dataclass(frozen=True, slots=True)
class Road:
    """The way to one origin with one set of headers; ``tail`` is all of the request behind its target."""

    origin: str
    first: aiohttp.ClientRequest = field(repr=False)
    tail: bytes = field(repr=False)


@dataclass(slots=True, eq=False)
class Line:
    """One connection, given to us by the connector until it is closed: in use till ``deadline``, or idle ``since``."""

    connection: Connection
    protocol: ResponseHandler
    address: str | None
    since: float = 0.0
    deadline: float = 0.0
    born: float = 0.0
    is_overdue: bool = False


class Lean:
    """Exchanges through *session*, keeping connections for at most *keep_alive* idle seconds, and *life* in all.

    A deadline is held to the next tenth of a second: one look at all that is under way costs less than a timer each.
    """

    def __init__(self, session: aiohttp.ClientSession, *, keep_alive: float, life: float = LIFE) -> None:
        self._session = session
        self._keep_alive = keep_alive
        self._life = life
        self._idle: dict[str, deque[Line]] = {}
        self._busy: dict[Line, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = 0.0

    def road(self, url: URL, headers: Mapping[str, str]) -> Road:
        """Prepare the way to the origin of *url*; raises ValueError where a header cannot be sent."""
        first = aiohttp.ClientRequest("GET", url, headers={**self._session.headers, **headers}, session=self._session)
        lines = [f"{name}: {value}" for name, value in first.headers.items()]
        if any(set(line) & _BAD for line in lines):
            raise ValueError("a header holds a control character")
        tail = "".join([" HTTP/1.1\r\n", *(f"{line}\r\n" for line in lines), "\r\n"]).encode()
        return Road(str(url.origin()), first, tail)

    async def get(self, road: Road, target: str, *, timeout: float, limit: int) -> Answer | Failure:  # noqa: ASYNC109 (the one deadline is this function's own promise)
        """Ask for *target*, a path and query already encoded, and read at most *limit* bytes of body."""
        request = b"GET " + target.encode("ascii") + road.tail
        return await self.ask(road, request, timeout=timeout, limit=limit)

    async def ask(
        self,
        road: Road,
        request: bytes,
        *,
        timeout: float,  # noqa: ASYNC109 (as above)
        limit: int,
        marks: Marks | None = None,
    ) -> Answer | Failure:
        """Write *request*, whole HTTP/1.1 bytes, and read the answer; once more on a new connection where a kept one
        died unanswered.

        With *marks*, in which the moments of it are noted, the head alone decides: a body that is longer, breaks off
        or is not there 2 s after the head is cut, and the connection closed.
        """
        begun = time.monotonic()
        if marks is not None:
            marks.begun = begun
        note, line = _note(road, marks), self._kept(road, begun)
        note.is_reused, tries = line is not None, 0
        try:
            while True:
                tries += 1
                line = line or await self._dialled(road, note, begun + timeout)
                line.deadline = begun + timeout
                try:
                    return await self._asked(line, road, request, note, limit, begun=begun)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                    if not note.is_reused or note.status is not None or line.is_overdue or tries == TRIES:
                        raise
                note, line = _note(road, marks, sent=note.sent), None
        except (aiohttp.ClientError, HttpProcessingError, OSError, Barred, TooLarge) as error:
            if self._session.closed:
                raise
            if marks is not None and note.status is not None and note.headers is not None:
                return _cut(note, begun)
            seen = TimeoutError() if line is not None and line.is_overdue else error
            return failure_of(seen, note, time.monotonic() - begun, timeout)

    def close(self) -> None:
        """Close the connections that lie idle; what is under way ends with its session."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for lines in self._idle.values():
            for line in lines:
                line.connection.close()
        self._idle.clear()

    async def _asked(
        self, line: Line, road: Road, request: bytes, note: Passage, limit: int, *, begun: float
    ) -> Answer:
        is_whole, protocol, marks = False, line.protocol, note.marks
        note.address = line.address
        self._busy[line] = None
        self._look_by(time.monotonic() + LOOK_EVERY)
        try:
            self._write(line, request, note)
            message, payload = await protocol.read()
            while 100 <= message.code <= 199 and message.code != 101:
                message, payload = await protocol.read()
            note.status, note.headers = message.code, message.headers
            if marks is not None:
                marks.answered = time.monotonic()
                line.deadline = min(line.deadline, marks.answered + REST_WITHIN)
            await read_body(payload, message.headers, limit, note.parts, truncate=marks is not None)
            if line.is_overdue:
                raise TimeoutError  # a body that ends with its connection looks whole when we end that
            is_whole = payload.at_eof()
        finally:
            del self._busy[line]
            self._keep(line, road, is_whole=is_whole)
        body = note.parts[0] if len(note.parts) == 1 else b"".join(note.parts)
        seconds = time.monotonic() - begun
        return Answer(status=message.code, headers=message.headers, body=body, seconds=seconds, address=line.address)

    def _write(self, line: Line, request: bytes, note: Passage) -> None:
        """Make the protocol read one answer, and write the request."""
        line.protocol.set_response_params(
            read_until_eof=True, max_line_size=HEADER_BYTES, max_field_size=HEADER_BYTES, max_headers=HEADERS
        )
        transport = line.protocol.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ServerDisconnectedError
        note.sent = True
        transport.write(request)

    def _kept(self, road: Road, now: float) -> Line | None:
        """Take a connection that lies idle and may still be used, the one used last."""
        lines = self._idle.get(road.origin)
        while lines:
            line = lines.pop()
            if now - line.since <= self._keep_alive and line.protocol.is_connected() and not line.protocol.should_close:
                return line
            line.connection.close()
        return None

    def _keep(self, line: Line, road: Road, *, is_whole: bool) -> None:
        line.since = time.monotonic()
        may_stay = line.since - line.born < self._life and not line.protocol.should_close
        if is_whole and may_stay and self._keep_alive > 0:
            self._idle.setdefault(road.origin, deque()).append(line)
        else:
            line.connection.close()

    async def _dialled(self, road: Road, note: Passage, deadline: float) -> Line:
        connector = self._session.connector
        if connector is None or connector.closed:
            raise RuntimeError("the session is closed")
        token = passage.set(note)
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                connection = await connector.connect(road.first, traces=[], timeout=_UNTIMED)
        finally:
            passage.reset(token)
        if note.marks is not None:
            note.marks.connected = time.monotonic()
        assert connection.protocol is not None
        peer = None if connection.transport is None else connection.transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else None
        note.is_reused = note.dialled is None  # an exchange of the same session may have left it
        return Line(connection, connection.protocol, address, born=time.monotonic())

    def _look_by(self, moment: float) -> None:
        """See to it that ``_look`` runs at *moment* or before."""
        if self._timer is not None:
            if self._looks_at <= moment:
                return
            self._timer.cancel()
        self._looks_at = moment
        self._timer = asyncio.get_running_loop().call_later(moment - time.monotonic(), self._look)

    def _look(self) -> None:
        """End what is past its deadline, and close what has lain idle for long."""
        self._timer = None
        now = time.monotonic()
        for line in self._busy:
            if line.deadline <= now and not line.is_overdue:
                line.is_overdue = True
                if line.protocol.transport is not None:
                    line.protocol.transport.abort()  # unlike the protocol's own abort, this is told to whoever reads
        for origin, lines in list(self._idle.items()):
            while lines and now - lines[0].since > self._keep_alive:
                lines.popleft().connection.close()
            if not lines:
                del self._idle[origin]
        if self._busy:
            self._look_by(now + LOOK_EVERY)
        elif self._idle:
            self._look_by(min(lines[0].since for lines in self._idle.values()) + self._keep_alive + LOOK_EVERY)


def _note(road: Road, marks: Marks | None, *, sent: bool = False) -> Passage:
    return Passage(once=False, is_plain=road.first.url.scheme == "http", sent=sent, marks=marks)


def _cut(note: Passage, begun: float) -> Answer:
    """Return the answer whose head came and whose body did not, or not whole."""
    assert note.status is not None
    assert note.headers is not None
    body, seconds = b"".join(note.parts), time.monotonic() - begun
    return Answer(status=note.status, headers=note.headers, body=body, seconds=seconds, address=note.address)
