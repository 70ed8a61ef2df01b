"""Who may speak to the API: checked on every path, before anything else looks at the request.

A browser is the enemy on loopback: it reaches every local port, and DNS rebinding gives a hostile page our address.
So the Host must name this very listener, nothing a browser adds to a cross-site request may be there, and TCP needs a
bearer token. A unix socket cannot be reached by a browser and is guarded by its file mode.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain

from aiohttp import web
from multidict import istr

from daemon.api.connection import Connection
from daemon.api.peer import Peer, peer_of
from daemon.api.problems import WRONG_HOST, Problem

HEADERS_LIMIT = 16 * 1024
PEERS_REMEMBERED = 1024
FIRST_DELAY, LONGEST_DELAY = 0.05, 1.0
CALM_SECONDS = 60.0
_HOST, _AUTHORIZATION = istr("Host"), istr("Authorization")
_ORIGIN, _REFERER, _FETCH_SITE = istr("Origin"), istr("Referer"), istr("Sec-Fetch-Site")
_WEBHOOK_ID, _USER_AGENT = istr("webhook-id"), istr("User-Agent")
_SCHEME = "bearer "
_BROWSER = Problem(code="forbidden", detail="requests with Origin, Referer or a cross-site Sec-Fetch-Site are refused")
_LOOP = Problem(code="loop", detail="this is a webhook of Pollhook's own; point the endpoint at your application")
_NO_TOKEN = Problem(
    code="unauthorized", detail="send `Authorization: Bearer TOKEN`; `pollhook token` prints the daemon's token"
)
_FAT = Problem(code="headers_too_large", detail=f"all headers together must be at most {HEADERS_LIMIT} bytes")


def digest_of(token: str) -> bytes:
    """Return the SHA-256 of a token: all that the daemon keeps of it."""
    return hashlib.sha256(token.encode()).digest()


class Access:
    """The rules of entry. Without a *token_digest* no token is asked for (``auth = "none"``).

    *hosts* are further Host headers to accept, exact and with port: for a listener that callers know by another name.
    *on_denied* is told the code of every refusal; *pause* waits the given seconds.
    """

    def __init__(
        self,
        token_digest: bytes | None,
        *,
        hosts: Iterable[str] = (),
        on_denied: Callable[[str], None] = lambda _code: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._digest = token_digest
        self._hosts = frozenset(host.lower() for host in hosts)
        self._on_denied = on_denied
        self._pause = pause
        self._failures = _Failures(now)

    async def refusal(self, request: web.Request, *, is_open: bool) -> Problem | None:
        """Return why *request* may not go on, None where it may; an open path needs no token."""
        connection = request.protocol
        shown = (request.raw_headers, request.raw_path, self._digest)
        if isinstance(connection, Connection) and connection.let_in_with == shown:
            return None
        peer = self.peer(request)
        problem = self._judge(request, peer, is_open=is_open)
        if problem is None and not is_open and isinstance(connection, Connection):
            connection.is_let_in, connection.let_in_with = True, shown
        if problem is not None:
            self._on_denied(problem.code)
            if problem is _NO_TOKEN:
                await self._pause(self._failures.delay(peer.name))
        return problem

    def peer(self, request: web.Request) -> Peer:
        """Return who sent *request*."""
        protocol = request.protocol
        return protocol.peer if isinstance(protocol, Connection) else peer_of(request.transport)

    def replace_token(self, token_digest: bytes | None) -> None:
        """Ask for another token from now on."""
        self._digest = token_digest

    def _judge(self, request: web.Request, peer: Peer, *, is_open: bool) -> Problem | None:
        headers = request.headers
        if not peer.is_unix and not self._is_our_host(request, peer):
            return WRONG_HOST
        if _ORIGIN in headers or _REFERER in headers or headers.get(_FETCH_SITE, "none") != "none":
            return _BROWSER
        if _WEBHOOK_ID in headers or headers.get(_USER_AGENT, "").startswith("pollhook/"):
            return _LOOP
        if not (peer.is_unix or is_open or self._digest is None or self._is_token(headers.get(_AUTHORIZATION, ""))):
            return _NO_TOKEN
        if sum(map(len, chain.from_iterable(request.raw_headers))) > HEADERS_LIMIT:
            return _FAT
        return None

    def _is_our_host(self, request: web.Request, peer: Peer) -> bool:
        named = request.headers.getall(_HOST, [])
        if len(named) != 1:
            return False
        host, target = named[0].lower(), request.raw_path
        if not target.startswith("/") and not target.lower().startswith(f"http://{host}/"):
            return target == "*"
        return host in peer.hosts or host in self._hosts

    def _is_token(self, authorization: str) -> bool:
        scheme, token = authorization[: len(_SCHEME)], authorization[len(_SCHEME) :]
        given = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(given, self._digest or b"") and scheme.lower() == _SCHEME


class _Failures:
    """Failed authentications per peer, for a delay that doubles; remembers a bounded number of peers."""

    def __init__(self, now: Callable[[], float] | None) -> None:
        self._now = now
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def delay(self, peer: str) -> float:
        now = self._now() if self._now else asyncio.get_running_loop().time()
        count, last = self._seen.pop(peer, (0, now))
        count = 0 if now - last > CALM_SECONDS else count
        self._seen[peer] = (count + 1, now)
        if len(self._seen) > PEERS_REMEMBERED:
            self._seen.popitem(last=False)
        return min(FIRST_DELAY * 2.0 ** min(count, 16), LONGEST_DELAY)
