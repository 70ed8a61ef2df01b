"""The credential: what goes with a request to prove who asks, fetched or minted where it does not last.

The rule guarded here is that it is added at the last moment, to a request whose origin was checked, so that a URL kept
or shown elsewhere never holds it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from yarl import URL

from daemon.providers.account import SHORTEST_SECRET, Account
from daemon.providers.tokens import NoToken, Token, TokenCommand, TokenFile, minted

OLD_TOKENS = 4
FAILURE_KEPT = 5.0
NOT_TWICE_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Proof:
    """Headers and a query parameter that hold the key; its text form shows neither."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)

    def on(self, url: URL) -> URL:
        """Return *url* as it is sent."""
        if not self.query:
            return url
        mark = "&" if url.raw_query_string else "?"
        return URL(f"{url.with_fragment(None)}{mark}{self.query}", encoded=True)

    def on_target(self, target: str) -> str:
        """Return a path and query as they are sent."""
        return f"{target}{'&' if '?' in target else '?'}{self.query}" if self.query else target


_NO_PROOF = Proof()


class Credential:
    """The credential of one account; *now_at* answers wall-clock seconds."""

    def __init__(self, account: Account, now_at: Callable[[], float]) -> None:
        self._account = account
        self._now_at = now_at
        self._fetch = _source(account)
        self._lock = asyncio.Lock()
        self._token: tuple[Token, float] | None = None
        self._refusal: tuple[NoToken, float] | None = None
        self._told: deque[str] = deque(maxlen=OLD_TOKENS)
        self._constant = _constant(account)
        self._shown: tuple[Token, Proof] | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The account's secrets and the last tokens sent, all to be masked in whatever an answer says."""
        return (*self._account.secrets, *self._told)

    async def proof(self) -> Proof:
        """Return what to send now, the same object for as long as it lasts; raise NoToken where there is none to be
        had.
        """
        if self._fetch is None:
            return self._constant
        token = self._fresh() or await self._fetched(self._fetch)
        if self._shown is None or self._shown[0] is not token:
            auth = self._account.definition.auth
            self._shown = (token, Proof(headers={auth.header: auth.format.replace("{key}", token.text)}))
        return self._shown[1]

    def distrust(self) -> bool:
        """Forget a token that the provider refused; False where there is none, or it was fetched a moment ago."""
        if self._token is None or 0 <= self._now_at() - self._token[1] < NOT_TWICE_WITHIN:
            return False
        self._token = None
        return True

    def _fresh(self) -> Token | None:
        if self._token is None:
            return None
        token, since = self._token
        return token if since <= self._now_at() < token.until else None

    async def _fetched(self, fetch: Callable[[float], Awaitable[Token]]) -> Token:
        async with self._lock:
            known = self._fresh()
            if known is not None:
                return known
            if self._refusal is not None and 0 <= self._now_at() - self._refusal[1] < FAILURE_KEPT:
                raise NoToken(*self._refusal[0].args)
            try:
                token = await fetch(self._now_at())
            except NoToken as refusal:
                self._refusal = (refusal, self._now_at())
                raise
            self._token, self._refusal = (token, self._now_at()), None
            if token.text not in self._told and len(token.text) >= SHORTEST_SECRET:
                self._told.append(token.text)
            return token


def _constant(account: Account) -> Proof:
    auth = account.definition.auth
    is_query = auth.scheme == "query"
    return Proof(query=f"{auth.parameter}={quote(account.api_key, safe='')}") if is_query else _NO_PROOF


def _source(account: Account) -> Callable[[float], Awaitable[Token]] | None:
    auth = account.definition.auth
    match auth.scheme:
        case "jwt-hs256":

            async def mint(now_at: float) -> Token:
                return minted(account.api_key, auth.claims, now_at)

            return mint
        case "token-file":
            return TokenFile(auth.path).token
        case "token-command":
            return TokenCommand(auth.command, auth.ttl).token
        case _:
            return None
