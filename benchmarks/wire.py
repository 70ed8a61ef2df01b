"""HTTP/1.1 in a few lines, for servers that must not be the limit: no framework, no tasks, one write per answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

Answer = Callable[[bytes, bytes], bytes | None]
"""Called with a request's target and body; returns the whole answer, or None for none ever."""


class Wire(asyncio.Protocol):
    """One connection of a server whose answers are ready at once."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._held = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's own class, of the same shape

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        held = self._held + data if self._held else data
        while (end := held.find(b"\r\n\r\n")) >= 0:
            size = end + 4 + _length(held, end)
            if len(held) < size:
                break
            request, body, held = held[:end], held[end + 4 : size], held[size:]
            answer = self._answer(request[request.index(b" ") + 1 : request.index(b" HTTP/")], body)
            if answer is not None and self._transport is not None:
                self._transport.write(answer)
        self._held = held


def told(status: str, body: bytes, *headers: bytes) -> bytes:
    """Return an answer as bytes."""
    lines = (f"HTTP/1.1 {status}".encode(), b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    return b"\r\n".join((*lines, *headers, b"", body))


async def listen(answer: Answer) -> tuple[asyncio.Server, int]:
    """Serve on a free loopback port; return the server and the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Wire(answer), "127.0.0.1", 0, backlog=4096)
    return server, server.sockets[0].getsockname()[1]


def _length(held: bytes, end: int) -> int:
    if held.startswith(b"GET "):
        return 0
    head = held[:end].lower()
    at = head.find(b"\r\ncontent-length:")
    return 0 if at < 0 else int(head[at + 17 : end].partition(b"\r\n")[0])
