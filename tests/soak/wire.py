"""HTTP/1.1 servers for the soak: light enough to share a core, and able to answer late, half, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.wire import told


@dataclass(frozen=True, slots=True)
class Say:
    """One answer: *whole* bytes after *delay* seconds, cut off after *keep* of them; None says nothing, ever."""

    whole: bytes | None
    delay: float = 0.0
    keep: int | None = None
    then: Callable[[], None] | None = None


HANG = Say(None)
Answer = Callable[[bytes, Mapping[bytes, bytes], bytes], Say]


def plain(status: str, body: bytes, *headers: bytes) -> Say:
    """Return a whole answer, sent at once."""
    return Say(told(status, body, *headers))


class Line(asyncio.Protocol):
    """One connection; it is asked one thing at a time, as Pollhook does."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._held = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        first, *lines = self._held[:end].split(b"\r\n")
        pairs = (line.partition(b":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        size = end + 4 + int(headers.get(b"content-length", b"0"))
        if len(self._held) < size:
            return
        body, self._held = self._held[end + 4 : size], self._held[size:]
        say = self._answer(first, headers, body)
        if say.delay:
            asyncio.get_running_loop().call_later(say.delay, self._tell, say)
        else:
            self._tell(say)

    def _tell(self, say: Say) -> None:
        if say.whole is None or self._transport is None or self._transport.is_closing():
            return
        self._transport.write(say.whole[: say.keep])
        if say.keep is not None:
            self._transport.close()
        elif say.then is not None:
            say.then()


async def listen(answer: Answer) -> tuple[asyncio.Server, int]:
    """Serve on a free loopback port; return the server and the port."""
    server = await asyncio.get_running_loop().create_server(lambda: Line(answer), "127.0.0.1", 0, backlog=4096)
    return server, server.sockets[0].getsockname()[1]
