"""Where the API listens: ``127.0.0.1:8710``, ``[::1]:8710`` or ``unix:/run/pollhook/api.sock``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from daemon.config.kinds import address_of

_LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True, slots=True)
class TcpListener:
    """A literal address and a port; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        address = address_of(self.host)
        return address is not None and address.is_loopback


@dataclass(frozen=True, slots=True)
class UnixListener:
    """A socket file, guarded by its mode."""

    path: str


Listener: TypeAlias = TcpListener | UnixListener


def listener(text: str) -> Listener:
    """Return the listener that *text* names; raise ValueError that says how one is written."""
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise ValueError(f'"{text}" must end in a port, as in "127.0.0.1:8710", or be "unix:/path/to.sock"')
    bare = host.removeprefix("[").removesuffix("]")
    if address_of(bare) is None or (":" in bare and not host.startswith("[")):
        raise ValueError(f'"{text}" must name a literal address: "127.0.0.1:8710" or "[::1]:8710", no host name')
    return TcpListener(bare, int(port))


def _unix(path: str) -> UnixListener:
    if not PurePosixPath(path).is_absolute() or "\0" in path or len(path.encode()) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"a unix socket is an absolute path of at most {_LONGEST_SOCKET_PATH} bytes, not {path!r}")
    return UnixListener(path)
