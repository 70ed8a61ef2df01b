"""The sender: one signed POST per attempt, and what its answer means.

The head of the answer decides; its body is read only to keep the connection usable, up to 16 KiB and for at most 2 s,
and is kept only where the endpoint asks: a stored body lets whoever registers URLs read through this daemon.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import aiohttp
import structlog
from yarl import URL

from daemon.core.delivery import NO_STAGES, Delivery, Receipt, Refusal, Refused
from daemon.core.endpoint import Endpoint
from daemon.core.event import Event
from daemon.core.headers import header_complaint
from daemon.core.signing import signature
from daemon.net.exchange import Answer, Failure, Marks, exchange
from daemon.net.guard import Guard
from daemon.net.lean import Lean, Road
from daemon.net.session import USER_AGENT, open_session, tls_context
from daemon.webhooks.receipt import receipt, response_text

NOT_ALLOWED = "the target is not allowed"
ANSWER_LIMIT = 16 * 1024
KEEP_ALIVE = 4.0
HEADS_KEPT = 4096
Headers: TypeAlias = tuple[tuple[str, str], ...]
Head: TypeAlias = tuple[Road, bytes]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Way:
    """A guard and the session that obeys it; endpoints under different guards share no connection.

    Where there is a forward proxy, ``proxied`` goes through it and dials nothing else. The proxy resolves names then,
    so it judges their addresses; literal ones are judged here before anything is sent.
    """

    guard: Guard
    session: aiohttp.ClientSession
    lean: Lean
    proxied: aiohttp.ClientSession | None = None
    _heads: dict[tuple[str, Headers], Head] = field(default_factory=dict)

    def proxy_for(self, url: str) -> aiohttp.ClientSession | None:
        """Return the session by which *url* is reached through the proxy; None where it is dialled."""
        return None if self.proxied is None or self.guard.is_near(url) else self.proxied

    def may_keep(self, endpoint: Endpoint) -> bool:
        """Whether answers are kept: where the endpoint asks for it, and nobody could read this network through them."""
        if not endpoint.store_response:
            return False
        return endpoint.is_trusted or (endpoint.url.startswith("https:") and not self.guard.is_near(endpoint.url))

    def head(self, url: str, headers: Headers) -> Head:
        """Return what every request to *url* with these *headers* begins with, made once."""
        found = self._heads.get((url, headers))
        if found is None:
            if len(self._heads) >= HEADS_KEPT:
                self._heads.clear()
            target = URL(url)
            road = self.lean.road(target, same_headers(headers))
            found = road, b"POST " + target.raw_path_qs.encode("ascii") + road.tail.removesuffix(b"\r\n")
            self._heads[url, headers] = found
        return found

    async def close(self) -> None:
        """Close every connection."""
        self.lean.close()
        await self.session.close()
        if self.proxied is not None:
            await self.proxied.close()


def open_way(guard: Guard, tls: ssl.SSLContext | None = None, proxy: str | None = None) -> Way:
    """Open the way to the endpoints that *guard* judges, by *tls* and through *proxy* where there is one.

    The caller closes it. Connections are kept for 4 s, less than the 5 s after which common servers close them.
    """
    tls = tls or tls_context()
    direct = open_session(guard=guard, keep_alive=KEEP_ALIVE, decompress=False, tls=tls)
    lean = Lean(direct, keep_alive=KEEP_ALIVE)
    if proxy is None:
        return Way(guard, direct, lean)
    return Way(
        guard, direct, lean, open_session(guard=None, keep_alive=KEEP_ALIVE, decompress=False, tls=tls, proxy=proxy)
    )


class HttpSender:
    """The engine's Sender over HTTP."""

    def __init__(
        self,
        find: Callable[[Delivery], Endpoint | None],
        *,
        trusted: Way,
        untrusted: Way,
        now_at: Callable[[], float],
        own_way: Callable[[Endpoint], Awaitable[Way | None]] | None = None,
    ) -> None:
        self._find = find
        self._trusted = trusted
        self._untrusted = untrusted
        self._now_at = now_at
        self._own_way = own_way

    async def send(self, delivery: Delivery, event: Event) -> Receipt:
        """Make one signed attempt within its endpoint's time-out. Never raises for weather."""
        endpoint = self._find(delivery)
        if endpoint is None:
            return _never_sent(Refusal.UNCONFIGURED, f"no endpoint named {delivery.endpoint} is configured")
        if not endpoint.keys:
            return _never_sent(Refusal.UNCONFIGURED, f"the endpoint {delivery.endpoint} has no signing key")
        way = await self._way(endpoint)
        complaint = way.guard.check_url(endpoint.url)
        if complaint:
            return self._told(endpoint, delivery, _never_sent(Refusal.TARGET_NOT_ALLOWED, complaint))
        proxied, marks = way.proxy_for(endpoint.url), Marks()
        try:
            if proxied is not None:
                seen = await self._post(proxied, URL(endpoint.url), endpoint, event)
            else:
                seen = await self._post_directly(way, endpoint, event, marks)
        except (ValueError, IndexError):
            return _never_sent(Refusal.TARGET_NOT_ALLOWED, "the URL cannot be read")
        got = receipt(seen, self._now_at(), marks=marks, keys=tuple(key.fingerprint for key in endpoint.keys))
        if way.may_keep(endpoint):
            got = replace(got, response=response_text(seen, endpoint.headers))
        return self._told(endpoint, delivery, got)

    def _told(self, endpoint: Endpoint, delivery: Delivery, got: Receipt) -> Receipt:
        """Tell the log alone why a stranger's URL is refused, and with that to what its name resolves here."""
        if endpoint.is_trusted or not isinstance(got, Refused) or got.refusal is not Refusal.TARGET_NOT_ALLOWED:
            return got
        log.warning("delivery.target_not_allowed", delivery=delivery.id, endpoint=endpoint.name, why=got.detail)
        return replace(got, detail=NOT_ALLOWED, address=None, stages=NO_STAGES)

    async def _way(self, endpoint: Endpoint) -> Way:
        own = None if self._own_way is None else await self._own_way(endpoint)
        return own or (self._trusted if endpoint.is_trusted else self._untrusted)

    async def _post_directly(self, way: Way, endpoint: Endpoint, event: Event, marks: Marks) -> Answer | Failure:
        road, head = way.head(endpoint.url, endpoint.headers)
        signed = signed_headers(endpoint, event, int(self._now_at()))
        lines = [f"{name}: {value}\r\n" for name, value in signed.items()]
        last = f"Content-Length: {len(event.body)}\r\n\r\n"
        request = b"".join((head, "".join((*lines, last)).encode("ascii"), event.body))
        return await way.lean.ask(road, request, timeout=endpoint.timeout, limit=ANSWER_LIMIT, marks=marks)

    async def _post(
        self, session: aiohttp.ClientSession, url: URL, endpoint: Endpoint, event: Event
    ) -> Answer | Failure:
        """POST once; once more within the same deadline where a kept connection turned out to be dead."""
        first = await self._try(session, url, endpoint, event, endpoint.timeout)
        left = endpoint.timeout - first.seconds
        if isinstance(first, Answer) or not first.is_stale or left <= 0:
            return first
        second = await self._try(session, url, endpoint, event, left)
        return replace(second, seconds=first.seconds + second.seconds)

    async def _try(
        self, session: aiohttp.ClientSession, url: URL, endpoint: Endpoint, event: Event, seconds: float
    ) -> Answer | Failure:
        return await exchange(
            session,
            "POST",
            url,
            headers=same_headers(endpoint.headers) | signed_headers(endpoint, event, int(self._now_at())),
            body=event.body,
            timeout=seconds,
            limit=ANSWER_LIMIT,
            truncate=True,
        )


def same_headers(own: Headers) -> dict[str, str]:
    """Return the headers that every attempt carries: the endpoint's *own*, of which none overrides ours, and ours."""
    headers = {name: value for name, value in own if header_complaint(name, value) is None}
    ours = {"Content-Type": "application/json", "User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    return headers | ours


def signed_headers(endpoint: Endpoint, event: Event, timestamp: int) -> dict[str, str]:
    """Return the headers that sign one attempt."""
    return {
        "webhook-id": event.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(endpoint.keys, event.id, timestamp, event.body),
    }


def _never_sent(refusal: Refusal, detail: str) -> Refused:
    return Refused(refusal=refusal, detail=detail, seconds=0.0)
