"""Who is at the other end of a connection, found out once per connection."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from dataclasses import dataclass

_UCRED = struct.Struct("3i")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One end of a connection: a unix socket with its user, or a TCP address.

    ``hosts`` are the Host headers that name the address this connection came in on; ``name`` is what failures are
    counted by.
    """

    is_unix: bool
    name: str
    uid: int | None
    hosts: frozenset[str]


def peer_of(transport: asyncio.BaseTransport | None) -> Peer:
    """Return the peer of *transport*; one that is gone already is a stranger for whom no Host is right."""
    sock = None if transport is None else transport.get_extra_info("socket")
    if transport is None or sock is None:
        return Peer(is_unix=False, name="gone", uid=None, hosts=frozenset())
    if sock.family == socket.AF_UNIX:
        uid = _uid(sock.fileno())
        return Peer(is_unix=True, name=f"uid {uid}", uid=uid, hosts=frozenset())
    local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    return Peer(is_unix=False, name=str(remote[0] if remote else "gone"), uid=None, hosts=_hosts(local))


def _hosts(local: tuple[str, int] | None) -> frozenset[str]:
    if not local:
        return frozenset()
    address, port = local[0], local[1]
    shown = f"[{address}]" if ":" in address else address
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "[::1]", "localhost", shown))


def _uid(descriptor: int) -> int | None:
    """Return the user id at the other end (SO_PEERCRED, Linux), None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED") or descriptor < 0:
        return None
    with socket.socket(fileno=os.dup(descriptor)) as twin:
        raw = twin.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])
