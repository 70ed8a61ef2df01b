"""Hosts in memory that speak HTTP/1.1 over transports in memory; who answers what, and how badly, is theirs to say."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Asked:
    """One request as a host sees it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Says:
    """What a host does about it: bytes after *after* seconds, cut off *cut* bytes before their end if it is above 0;
    no bytes at all is a host that hangs; *told* is called once all of them have arrived.
    """

    after: float
    data: bytes | None
    cut: int = 0
    told: Callable[[], None] | None = None


class Host(Protocol):
    def accepts(self) -> bool: ...
    def hears(self, asked: Asked) -> Says: ...
    def loses(self, asked: Asked) -> None: ...


def reply(status: int, body: bytes, **headers: str) -> bytes:
    """Spell an HTTP answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Network:
    """The hosts by address, and every transport that is open."""

    def __init__(self, dice: random.Random, note: Callable[[str], None]) -> None:
        self.hosts: dict[tuple[str, int], Host] = {}
        self.open: dict[Transport, None] = {}
        self.dice = dice
        self.note = note

    async def dial(self, host: str, port: int, make: Callable[[], Any]) -> Any:
        """Connect a protocol to a host; raise OSError where nobody is there."""
        await asyncio.sleep(0.001 + 0.004 * self.dice.random())
        peer = self.hosts.get((host, port))
        if peer is None or not peer.accepts():
            raise ConnectionRefusedError(111, "Connection refused")
        protocol = make()
        transport = Transport(self, peer, protocol, (host, port))
        self.open[transport] = None
        protocol.connection_made(transport)
        return protocol

    def drop_all(self) -> list[Any]:
        """End every connection without a word, as the death of a process does; return our ends."""
        gone = list(self.open)
        for transport in gone:
            transport.silence()
        return [transport.protocol for transport in gone]


@dataclass(eq=False)
class Transport(asyncio.Transport):
    """Our end of one connection."""

    network: Network
    peer: Host
    protocol: Any
    name: tuple[str, int]
    buffer: bytes = b""
    is_closed: bool = False
    asked: Asked | None = None
    held: list[bytes] = field(default_factory=list)
    is_paused: bool = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.name if name == "peername" else default

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        while self.held and not self.is_paused and not self.is_closed:
            self.protocol.data_received(self.held.pop(0))

    def write(self, data: bytes) -> None:
        self.buffer += data
        head, mark, rest = self.buffer.partition(b"\r\n\r\n")
        if not mark or self.is_closed:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        method, target, _ = first.split(" ", 2)
        self.asked = Asked(method, target, headers, rest[:length])
        self._answer(self.peer.hears(self.asked))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self._end(None)

    def abort(self) -> None:
        self._end(None)

    def silence(self) -> None:
        """Be gone; nobody is told."""
        self._lose()
        self.is_closed = True
        self.network.open.pop(self, None)

    def _answer(self, says: Says) -> None:
        if says.data is not None:
            asyncio.get_running_loop().call_later(says.after, self._arrive, says)

    def _arrive(self, says: Says) -> None:
        if self.is_closed:
            return
        data = says.data or b""
        whole = data[: len(data) - says.cut] if says.cut else data
        if not says.cut:
            self.asked = None
            if says.told is not None:
                says.told()
        if self.is_paused:
            self.held.append(whole)
        elif whole:
            self.protocol.data_received(whole)
        if says.cut:
            self._end(ConnectionResetError(104, "Connection reset by peer"))

    def _end(self, error: Exception | None) -> None:
        if not self.is_closed:
            self._lose()
            self.is_closed = True
            self.network.open.pop(self, None)
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, error)

    def _lose(self) -> None:
        if self.asked is not None:
            self.peer.loses(self.asked)
            self.asked = None
