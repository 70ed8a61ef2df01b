"""The API on its listeners: opened together, bounded together, and closed in two steps.

First nothing new is accepted and held answers are let go; then calls in flight get a grace to finish.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.web_server import Server

from daemon.api.app import PATIENCE, short_of
from daemon.api.connection import Connection, Crowded
from daemon.api.sockets import BACKLOG, UNIX_PREFIX, forget_unix, open_socket
from daemon.core.errors import Fault

log = structlog.get_logger()

MAX_CONNECTIONS = 256
LINGER_SECONDS = 2.0
LINE_LIMIT = 8190
FIELDS_LIMIT = 64


class Listeners:
    """The open listeners of the API."""

    def __init__(self, runner: web.AppRunner, server: Server, patience_end: Callable[[], None]) -> None:
        self._runner = runner
        self._server = server
        self._patience_end = patience_end
        self._accepting: list[asyncio.Server] = []
        self._files: list[tuple[Path, int]] = []
        self.addresses: list[str] = []

    async def start(self, sock: socket.socket, factory: Callable[[], asyncio.Protocol]) -> None:
        """Accept connections on *sock*."""
        loop = asyncio.get_running_loop()
        if sock.family == socket.AF_UNIX:
            self._accepting.append(await loop.create_unix_server(factory, sock=sock, backlog=BACKLOG))
        else:
            self._accepting.append(await loop.create_server(factory, sock=sock, backlog=BACKLOG))
        self.addresses.append(_shown(sock))

    def own(self, path: Path) -> None:
        """Remove the socket file *path* when closing."""
        self._files.append((path, path.lstat().st_ino))

    def stop_accepting(self) -> None:
        """Take no new connection, and answer held calls as things stand."""
        for accepting in self._accepting:
            accepting.close()
        self._accepting.clear()
        for path, inode in self._files:
            forget_unix(path, inode)
        self._files.clear()
        self._patience_end()

    async def close(self, grace: float) -> None:
        """Stop accepting, give calls in flight *grace* seconds, then close every connection."""
        self.stop_accepting()
        self._server.pre_shutdown()
        await self._server.shutdown(grace)
        await self._runner.cleanup()


async def open_listeners(
    app: web.Application,
    specs: Sequence[str],
    *,
    inherited: Sequence[socket.socket] = (),
    max_connections: int = MAX_CONNECTIONS,
) -> Listeners:
    """Serve *app* on every one of *specs* and on the *inherited* sockets; raise Fault, with nothing left open, where
    one cannot be had.
    """
    with contextlib.ExitStack() as undo:
        sockets = list(inherited)
        for spec in specs:
            sock = open_socket(spec)
            undo.callback(_abandon, sock, spec)
            sockets.append(sock)
        if not sockets:
            raise Fault("nothing to listen on: set [server] listen, or pass sockets by systemd")
        listeners, factory = await _serve(app, max_connections)
        for sock in sockets:
            await listeners.start(sock, factory)
        undo.pop_all()
    for spec in specs:
        if spec.startswith(UNIX_PREFIX):
            listeners.own(Path(spec.removeprefix(UNIX_PREFIX)))
    log.info("api.listening", addresses=listeners.addresses)
    return listeners


async def _serve(app: web.Application, max_connections: int) -> tuple[Listeners, Callable[[], asyncio.Protocol]]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    server = runner.server
    if server is None:
        raise Fault("the API could not be set up")
    server.request_handler = short_of(app)  # type: ignore[assignment]  # aiohttp hands it the requests of its own making
    loop = asyncio.get_running_loop()

    def connect() -> asyncio.Protocol:
        if len(server.connections) >= max_connections and not _make_room(server):
            return Crowded()
        return Connection(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp reads None as "no access log"
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
            max_headers=FIELDS_LIMIT,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,
        )

    return Listeners(runner, server, app[PATIENCE].end), connect


def _make_room(server: Server) -> bool:
    """Close the oldest connection that is idle and whose caller never showed a token; False where there is none."""
    idle = (one for one in server.connections if isinstance(one, Connection) and one.is_idle_stranger)
    oldest = next(idle, None)
    if oldest is not None:
        oldest.force_close()
    return oldest is not None


def _abandon(sock: socket.socket, spec: str) -> None:
    sock.close()
    if spec.startswith(UNIX_PREFIX):
        Path(spec.removeprefix(UNIX_PREFIX)).unlink(missing_ok=True)


def _shown(sock: socket.socket) -> str:
    name = sock.getsockname()
    if isinstance(name, str | bytes):
        return f"{UNIX_PREFIX}{name if isinstance(name, str) else name.decode(errors='replace')}"
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
