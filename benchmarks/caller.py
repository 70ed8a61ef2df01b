"""A client too light to be the limit: connections that each send the next request when an answer is whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import uvloop

PATIENCE = 30.0


@dataclass(slots=True)
class Tally:
    """What came back: answers by HTTP status, the time they took, and the share of it the client itself worked."""

    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    busy: float = 0.0

    @property
    def answers(self) -> int:
        """How many answers came."""
        return sum(self.statuses.values())


class Caller(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, requests: Iterator[bytes], tally: Tally) -> None:
        self._requests, self._tally = requests, tally
        self._held = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Count an answer that is whole and send the next request."""
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._held[:end].lower()
        at = head.index(b"content-length:") + 15
        size = end + 4 + int(head[at:].partition(b"\r\n")[0])
        if len(self._held) >= size and self._transport is not None:
            status = int(head[9:12])
            self._tally.statuses[status] = self._tally.statuses.get(status, 0) + 1
            self._held = self._held[size:]
            self._transport.write(next(self._requests))


def post(path: str, port: int, token: str, body: bytes) -> bytes:
    """Return a POST as bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def call(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Tally:
    """Send *requests* over so many connections for some seconds, or until each had time for an answer."""

    async def run() -> Tally:
        loop, tally = asyncio.get_running_loop(), Tally()
        began, worked = time.monotonic(), time.process_time()
        opened = [
            (await loop.create_connection(lambda: Caller(requests, tally), "127.0.0.1", port))[0]
            for _ in range(connections)
        ]
        await asyncio.sleep(seconds)
        while tally.answers < connections and time.monotonic() - began < seconds + PATIENCE:  # noqa: ASYNC110 (outside of what is timed)
            await asyncio.sleep(0.05)
        tally.seconds = time.monotonic() - began
        tally.busy = (time.process_time() - worked) / tally.seconds
        for transport in opened:
            transport.abort()
        return tally

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
