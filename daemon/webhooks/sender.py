"""The sender: one signed POST per attempt, and what its answer means.

The head of the answer decides; its body is read only to keep the connection usable, up to 16 KiB and for at most 2 s,
and is never kept: a stored body would let whoever registers URLs read through this daemon.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from daemon.core.delivery import Delivery, Receipt, Refusal, Refused
from daemon.core.endpoint import Endpoint
from daemon.core.event import Event
from daemon.core.headers import header_complaint
from daemon.core.signing import signature
from daemon.net.exchange import Answer, Failure, exchange
from daemon.net.guard import Guard
from daemon.net.session import USER_AGENT, open_session
from daemon.webhooks.receipt import receipt

ANSWER_LIMIT = 16 * 1024
KEEP_ALIVE = 4.0


@dataclass(frozen=True, slots=True)
class Way:
    """A guard and the session that obeys it; endpoints under different guards share no connection."""

    guard: Guard
    session: aiohttp.ClientSession


def open_way(guard: Guard) -> Way:
    """Open the way to the endpoints that *guard* judges; the caller closes its session.

    Connections are kept for 4 s, less than the 5 s after which common servers close them.
    """
    return Way(guard, open_session(guard=guard, keep_alive=KEEP_ALIVE, decompress=False))


class HttpSender:
    """The engine's Sender over HTTP."""

    def __init__(
        self,
        find: Callable[[Delivery], Endpoint | None],
        *,
        trusted: Way,
        untrusted: Way,
        now_at: Callable[[], float],
    ) -> None:
        self._find = find
        self._trusted = trusted
        self._untrusted = untrusted
        self._now_at = now_at

    async def send(self, delivery: Delivery, event: Event) -> Receipt:
        """Make one signed attempt within its endpoint's time-out. Never raises for weather."""
        endpoint = self._find(delivery)
        if endpoint is None:
            return _never_sent(Refusal.UNCONFIGURED, f"no endpoint named {delivery.endpoint} is configured")
        if not endpoint.keys:
            return _never_sent(Refusal.UNCONFIGURED, f"the endpoint {delivery.endpoint} has no signing key")
        way = self._trusted if endpoint.is_trusted else self._untrusted
        complaint = way.guard.check_url(endpoint.url)
        if complaint:
            return _never_sent(Refusal.TARGET_NOT_ALLOWED, complaint)
        try:
            url = URL(endpoint.url)
        except (ValueError, IndexError):
            return _never_sent(Refusal.TARGET_NOT_ALLOWED, "the URL cannot be read")
        seen = await self._post(way.session, url, endpoint, event)
        return receipt(seen, self._now_at())

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
            headers=attempt_headers(endpoint, event, int(self._now_at())),
            body=event.body,
            timeout=seconds,
            limit=ANSWER_LIMIT,
            truncate=True,
        )


def attempt_headers(endpoint: Endpoint, event: Event, timestamp: int) -> CIMultiDict[str]:
    """Return the headers of one attempt: the endpoint's own first, then ours, which nothing overrides."""
    headers = CIMultiDict((name, value) for name, value in endpoint.headers if header_complaint(name, value) is None)
    headers.update(
        {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Accept-Encoding": "identity",
            "webhook-id": event.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(endpoint.keys, event.id, timestamp, event.body),
        }
    )
    return headers


def _never_sent(refusal: Refusal, detail: str) -> Refused:
    return Refused(refusal=refusal, detail=detail, seconds=0.0)
