"""One connection of the API: bounded in headers and in time, and answered with problem documents even where aiohttp
itself refuses the request.

A connection that has begun a request must finish its head within ``HEAD_SECONDS``; one that has begun none is idle. It
may stay so for ``KEEP_ALIVE_SECONDS`` once its caller was let in, and for ``STRANGER_SECONDS`` before: idle strangers
must not fill the house.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from daemon.api.peer import Peer, peer_of
from daemon.api.problems import WRONG_HOST, Problem
from daemon.api.replies import SECURITY, problem_reply
from daemon.core.event import encode

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

HEAD_SECONDS = 10.0
STRANGER_SECONDS = 5.0
NEWCOMER_SECONDS = 0.5  # whose request is on its way is no idler
KEEP_ALIVE_SECONDS = 75.0
HEAD_LIMIT = 32 * 1024


class Connection(RequestHandler):
    """aiohttp's own protocol with a deadline for request heads, and with its peer known.

    ``let_in_with`` is what its last request that was let in past the open paths showed, headers and token digest: one
    that shows the very same need not be judged again.
    """

    __slots__ = ("_has_asked", "_head_bytes", "_head_timer", "_made_at", "is_let_in", "let_in_with", "on_lost", "peer")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the first head is due within the deadline."""
        self.peer: Peer = peer_of(transport)
        self._made_at, self._has_asked = asyncio.get_running_loop().time(), False
        self.is_let_in = self.peer.is_unix
        self.let_in_with: tuple[object, ...] | None = None
        self._keepalive_timeout = STRANGER_SECONDS
        self.on_lost: set[Callable[[], object]] = set()
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; start the clock on a head begun, stop it on one complete."""
        super().data_received(data)
        if self._current_request is not None or self._messages or self._waiter is None or self._waiter.done():
            self._head_complete()
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_LIMIT:
            self._refuse(Problem(code="headers_too_large", detail=f"a request head is at most {HEAD_LIMIT} bytes"))
        elif self._head_timer is None:
            self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End: whoever waits for the caller's sake need not."""
        self._head_complete()
        for tell in tuple(self.on_lost):
            tell()
        super().connection_lost(exc)

    @property
    def is_idle_stranger(self) -> bool:
        """Whether it is open, has been at rest for a moment, and its caller was never let in past the open paths."""
        is_new = not self._has_asked and asyncio.get_running_loop().time() - self._made_at < NEWCOMER_SECONDS
        is_at_rest = self._waiter is not None and not self._waiter.done() and not is_new
        return not self.is_let_in and self.transport is not None and is_at_rest

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what never became a request of ours, and close."""
        if status == 500:
            super().handle_error(request, status, exc, message)
            answer = problem_reply(Problem(code="internal", detail="the daemon's log says more"))
        else:
            answer = problem_reply(_unreadable(message or "not a valid HTTP request"))
        answer.force_close()
        return answer

    def _process_keepalive(self) -> None:
        """Leave a head begun to its own timer, and let a caller who was let in stay longer than a stranger."""
        longer = KEEP_ALIVE_SECONDS - STRANGER_SECONDS if self.is_let_in else 0.0
        until = self._next_keepalive_close_time + longer
        if self._head_timer is not None:
            until = max(until, self._head_timer.when())
        if self._force_close or not self._keepalive or self._loop.time() >= until:
            super()._process_keepalive()
        else:
            self._keepalive_handle = self._loop.call_at(until, self._process_keepalive)

    def _expect_head(self) -> None:
        self._head_timer = self._loop.call_later(HEAD_SECONDS, self._head_late)

    def _head_complete(self) -> None:
        self._has_asked = True
        self._head_bytes = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        self._refuse(Problem(code="timeout", detail=f"a request head must arrive within {HEAD_SECONDS:g} s"))

    def _refuse(self, problem: Problem) -> None:
        self._head_complete()
        if self.transport is not None:
            self.transport.write(canned(problem))
        self.force_close()


class Crowded(asyncio.Protocol):
    """A connection past the bound: told so at once, and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say 503 and close."""
        stream = cast("asyncio.WriteTransport", transport)
        stream.write(canned(Problem(code="too_many_connections", detail="try again shortly", retry_after=1)))
        stream.close()


def canned(problem: Problem) -> bytes:
    """Return a whole HTTP answer that carries *problem* and closes."""
    body = encode(problem.document())
    headers = SECURITY | {
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    lines = [f"HTTP/1.1 {problem.status} Refused", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _unreadable(message: str) -> Problem:
    first = message.strip().splitlines()[0][:200] if message.strip() else "not a valid HTTP request"
    if "'Host' header" in first:
        return WRONG_HOST
    code = "headers_too_large" if "more than" in message and "bytes" in message else "bad_request"
    return Problem(code=code, detail=first)
