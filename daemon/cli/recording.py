"""A session that remembers what went out and what came back, for showing one poll step by step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp
from yarl import URL

SENT_KEPT = 64 * 1024


@dataclass(slots=True)
class Exchange:
    """One request that left, and what came back, as far as it was read."""

    method: str
    url: URL
    headers: list[tuple[str, str]] = field(default_factory=list)
    sent: bytearray = field(default_factory=bytearray)
    status: int | None = None
    answered: Mapping[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0


def recorder(exchanges: list[Exchange]) -> aiohttp.TraceConfig:
    """Return what makes a session write its exchanges into *exchanges*, one after the other."""

    async def began(_: aiohttp.ClientSession, __: SimpleNamespace, told: aiohttp.TraceRequestStartParams) -> None:
        exchanges.append(Exchange(told.method, told.url))

    async def left(_: aiohttp.ClientSession, __: SimpleNamespace, told: aiohttp.TraceRequestHeadersSentParams) -> None:
        exchanges[-1].headers = list(told.headers.items())

    async def sent(_: aiohttp.ClientSession, __: SimpleNamespace, told: aiohttp.TraceRequestChunkSentParams) -> None:
        exchanges[-1].sent += told.chunk[: SENT_KEPT - len(exchanges[-1].sent)]

    async def came(_: aiohttp.ClientSession, __: SimpleNamespace, told: aiohttp.TraceRequestEndParams) -> None:
        made = exchanges[-1]
        made.status, made.answered = told.response.status, told.response.headers
        made.seconds = time.monotonic() - made.began
        overheard = _Overheard(told.response.content, made)
        told.response.content = overheard  # type: ignore[assignment]  # aiohttp traces only bodies read in one piece

    config = aiohttp.TraceConfig()
    config.on_request_start.append(began)
    config.on_request_headers_sent.append(left)
    config.on_request_chunk_sent.append(sent)
    config.on_request_end.append(came)
    config.freeze()
    return config


class _Overheard:
    """A body's stream that keeps a copy of what is read from it; whoever reads bounds it."""

    def __init__(self, content: aiohttp.StreamReader, made: Exchange) -> None:
        self._content, self._made = content, made

    def __getattr__(self, name: str) -> object:
        return getattr(self._content, name)

    async def read(self, n: int = -1) -> bytes:
        """Read as the stream does."""
        part = await self._content.read(n)
        self._made.body += part
        return part
