"""One HTTP exchange as a value: an answer read up to a bound, or the reason why there is none.

One deadline runs over name, connection, TLS, request, headers and body, because a limit per read does not stop a
peer that drips. Redirects are never followed. Weather is a Failure; only bugs and cancellation are raised.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp
from aiohttp.connector import Connection
from multidict import CIMultiDictProxy
from yarl import URL

from daemon.net.barred import Barred

_STEP = 64 * 1024
_BIG = 1024 * 1024
REST_WITHIN = 2.0


class FailureKind(StrEnum):
    """Why there is no answer; a closed list."""

    TIMEOUT = "timeout"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"
    TARGET_NOT_ALLOWED = "target_not_allowed"


@dataclass(slots=True, kw_only=True)  # not frozen: there is one to each poll
class Answer:
    """What came back: at most ``limit`` body bytes, decoded where the session decodes; ``address`` is the peer's.

    Where the exchange may *truncate*, the body is what came of it before it broke off or took too long.
    """

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    seconds: float
    address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why nothing usable came back.

    ``detail`` is safe to log: no query, key or body. ``unsent`` means that surely no byte of the request left.
    ``status`` and ``headers`` are those of an answer whose head was read and its body was not. ``is_stale`` marks a
    kept connection that died before any answer: as a rule the peer closed it while it lay idle.
    """

    kind: FailureKind
    detail: str
    seconds: float
    unsent: bool
    address: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_stale: bool = False


@dataclass(slots=True)
class Marks:
    """When the stages of one exchange ended, in monotonic seconds; None for one that was not gone through.

    ``resolved``: the name has addresses. ``dialled``: TCP is connected. ``connected``: TLS, too. ``answered``: the
    answer's head is here.
    """

    begun: float = 0.0
    resolved: float | None = None
    dialled: float | None = None
    connected: float | None = None
    answered: float | None = None


@dataclass(slots=True)
class Passage:
    """How far one exchange got, written by the socket factory and the request while it is under way."""

    once: bool
    is_plain: bool
    dialled: str | None = None
    address: str | None = None
    sent: bool = False
    is_reused: bool = False
    status: int | None = None
    headers: CIMultiDictProxy[str] | None = None
    parts: list[bytes] = field(default_factory=list)
    marks: Marks | None = None


passage: ContextVar[Passage | None] = ContextVar("passage", default=None)


class Request(aiohttp.ClientRequest):
    """A request that notes when it begins to leave, and through which peer."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Write the request; refuse to write it a second time where the exchange said *once*."""
        note = passage.get()
        if note is not None:
            if note.sent and note.once:
                raise aiohttp.ServerDisconnectedError
            note.sent, note.is_reused = True, note.dialled is None
            peer = conn.transport.get_extra_info("peername") if conn.transport is not None else None
            note.address = str(peer[0]) if isinstance(peer, tuple) else None
        return await super().send(conn)


async def exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    timeout: float,  # noqa: ASYNC109 (the one deadline is this function's own promise)
    limit: int,
    truncate: bool = False,
    once: bool = False,
) -> Answer | Failure:
    """Send one request through a session of ``open_session`` and read its answer within *timeout* seconds.

    A body of more than *limit* bytes is a TOO_LARGE failure; no more is read and the connection is closed. With
    *truncate* the head alone decides: a body that is longer, breaks off or is not there 2 s after the head is cut, and
    the connection closed. With *once* the request is written at most once: a GET on a kept connection
    that turns out dead is then a failure, where otherwise it is repeated on a new one.
    """
    note = Passage(once=once, is_plain=url.scheme == "http")
    token = passage.set(note)
    begun = time.monotonic()
    try:
        async with (
            asyncio.timeout(timeout),
            session.request(method, url, headers=headers, data=body, allow_redirects=False) as response,
        ):
            note.status, note.headers = response.status, response.headers
            async with asyncio.timeout(REST_WITHIN if truncate else None):
                await read_body(response.content, response.headers, limit, note.parts, truncate=truncate)
            return await _answer(note, begun)
    except (aiohttp.ClientError, OSError, Barred, TooLarge, RuntimeError) as error:
        if session.closed:
            raise
        if truncate and note.status is not None:
            return await _answer(note, begun)
        return failure_of(error, note, time.monotonic() - begun, timeout)
    finally:
        passage.reset(token)


class TooLarge(Exception):
    """The body is longer than its bound; says by how many bytes it is bound."""


async def read_body(
    content: aiohttp.StreamReader, headers: Mapping[str, str], limit: int, parts: list[bytes], *, truncate: bool = False
) -> None:
    """Read the body into *parts*, at most *limit* bytes; raise TooLarge for more, as soon as that is known."""
    announced = int(headers.get("Content-Length") or 0)
    if not truncate and announced > limit and "Content-Encoding" not in headers:
        raise TooLarge(f"the answer's body is longer than {limit} bytes")
    room = limit
    while not content.at_eof():
        part = await content.read(min(room, _STEP) or 1)
        if len(part) > room and truncate:
            return
        if len(part) > room:
            raise TooLarge(f"the answer's body is longer than {limit} bytes")
        parts.append(part)
        room -= len(part)
        if room // _BIG != (room + len(part)) // _BIG:
            await asyncio.sleep(
                0
            )  # what a bomb inflates to is there at once, and reading it would never let others run


async def _answer(note: Passage, begun: float) -> Answer:
    """Return the answer as far as it was read; many megabytes are joined in a thread, which lets the loop go on."""
    assert note.status is not None
    assert note.headers is not None
    is_big = sum(map(len, note.parts)) > _BIG
    body = await asyncio.to_thread(b"".join, note.parts) if is_big else b"".join(note.parts)
    note.parts.clear()
    seconds = time.monotonic() - begun
    return Answer(status=note.status, headers=note.headers, body=body, seconds=seconds, address=note.address)


def failure_of(error: Exception, note: Passage, seconds: float, timeout: float) -> Failure:
    """Return the failure that *error* is, as far as *note* says the exchange got."""
    kind, detail = reading_of(error, note, timeout)
    died = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
    return Failure(
        kind=kind,
        detail=detail,
        seconds=seconds,
        unsent=not note.sent,
        address=note.address or note.dialled,
        status=note.status,
        headers=note.headers or {},
        is_stale=died and note.is_reused and note.status is None,
    )


def reading_of(error: Exception, note: Passage, timeout: float) -> tuple[FailureKind, str]:
    """Return the kind of a failure and what may be shown of it: no query, key or body."""
    if isinstance(error, Barred):
        return FailureKind.TARGET_NOT_ALLOWED, str(error)
    if isinstance(error, TooLarge):
        return FailureKind.TOO_LARGE, str(error)
    if isinstance(error, aiohttp.InvalidURL):
        return FailureKind.TARGET_NOT_ALLOWED, "the URL names no canonical host"
    if isinstance(error, aiohttp.ClientConnectorError):
        return _unconnected(error)
    if isinstance(error, TimeoutError):
        return FailureKind.TIMEOUT, f"nothing complete within {timeout:g} s, {_stage(note)}"
    return _broken(error, note)


def _unconnected(error: aiohttp.ClientConnectorError) -> tuple[FailureKind, str]:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return FailureKind.DNS, f"the name could not be resolved: {_reason(error.os_error)}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return FailureKind.TLS, f"the certificate was refused: {_reason(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientSSLError):
        return FailureKind.TLS, f"the TLS handshake failed: {_reason(error.os_error)}"
    return FailureKind.CONNECT, f"no connection: {_reason(error.os_error)}"


def _broken(error: Exception, note: Passage) -> tuple[FailureKind, str]:
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLError):
        return FailureKind.TLS, f"TLS failed: {_reason(cause)}"
    if isinstance(error, aiohttp.ServerDisconnectedError | OSError):
        return FailureKind.CONNECT, f"the connection broke {_stage(note)}"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return FailureKind.CONNECT, f"the forward proxy answered {error.status} to CONNECT"
    if isinstance(error, aiohttp.ClientPayloadError):
        return FailureKind.PROTOCOL, f"the answer's body broke off or cannot be decoded {_stage(note)}"
    return FailureKind.PROTOCOL, f"not an HTTP answer that can be read ({type(error).__name__})"


def _stage(note: Passage) -> str:
    if note.status is not None:
        return f"after the head of a {note.status}"
    if note.sent:
        return "before an answer"
    return "before the request was sent" if note.dialled is None else "while connecting"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or "no reason given"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
