"""A simulated machine for the real daemon: its clocks, its dice, its disk and its network, all from one seed.

Our own code runs unchanged. What is replaced lies below it: the event loop's clock, ``time`` and ``random`` of the
standard library, the thread under aiosqlite (the SQL runs on the real file, in the loop, after a simulated wait) and
the sockets under aiohttp. So one seed is one run, to the byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import random
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import aiohttp
import aiosqlite.core

from daemon.net.exchange import passage
from daemon.service.entropy import Entropy
from tests.engine.fakes import EPOCH, VirtualLoop
from tests.sim.network import Network


class SimLoop(VirtualLoop):
    """A loop in virtual time whose worker threads do their work at once."""

    def run_in_executor(self, executor, func, *args):  # type: ignore[override]
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass
class World:
    """Everything that is not the daemon. ``step`` is how far its wall clock is off, in seconds."""

    seed: int
    step: float = 0.0
    generation: int = 0
    disk_wait: float = 0.0005
    disk_error: float = 0.0
    crash_at_commit: float = 0.0
    crashed: asyncio.Event = field(default_factory=asyncio.Event)
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.disk_dice = random.Random(self.seed + 1)
        self.network = Network(random.Random(self.seed + 2), self.note)
        self._digest = hashlib.sha256()

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def note(self, text: str) -> None:
        """Put one line into the run's trace."""
        line = f"{self.now:.6f} {text}"
        self._digest.update(line.encode())
        self.events.append(line)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()[:16]

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Put this world under everything that is imported already."""
        loop = asyncio.get_running_loop()
        entropy = random.Random(self.seed + 3)
        with contextlib.ExitStack() as stack:
            for target, name, fake in (
                (time, "time", lambda: EPOCH + loop.time() + self.step),
                (time, "monotonic", loop.time),
                (aiohttp.connector, "monotonic", loop.time),
                (random, "random", entropy.random),
                (Entropy, "bits", lambda _self, count: entropy.getrandbits(count)),
                (secrets, "token_bytes", lambda n=32: entropy.randbytes(n)),
                (secrets, "token_hex", lambda n=32: entropy.randbytes(n).hex()),
                (aiosqlite.core.Connection, "__await__", _awaited),
                (aiosqlite.core.Connection, "stop", lambda _: None),
                (aiosqlite.core.Connection, "_execute", self._executing()),
                (aiohttp.TCPConnector, "_create_connection", self._dialling()),
            ):
                stack.enter_context(mock.patch.object(target, name, fake))
            yield

    def _executing(self) -> Callable[..., Any]:
        world = self

        async def execute(connection: Any, function: Callable[..., Any], *args: Any) -> Any:
            mine = connection.__dict__.setdefault("_generation", world.generation)
            is_commit = getattr(getattr(function, "func", None), "__name__", "") == "_in_one_transaction"
            await world.alive(mine)  # the dead throw no dice
            await asyncio.sleep(world.disk_wait * world.disk_dice.random() * 2)
            if is_commit and world.disk_dice.random() < world.crash_at_commit / 2:
                world.note("crash before a commit")
                world.crashed.set()
            await world.alive(mine)
            if is_commit and world.disk_dice.random() < world.disk_error:
                world.note("disk error")
                raise sqlite3.OperationalError("disk I/O error")
            result = function(*args)
            if is_commit and world.disk_dice.random() < world.crash_at_commit / 2:
                world.note("crash after a commit")
                world.crashed.set()
            await world.alive(mine)
            return result

        return execute

    async def alive(self, generation: int) -> None:
        """Go on only while the process of this *generation* lives; a dead one waits for ever."""
        if self.crashed.is_set() or generation != self.generation:
            await asyncio.get_running_loop().create_future()

    def _dialling(self) -> Callable[..., Any]:
        world = self

        async def dial(connector: Any, request: Any, traces: Any, timeout: Any) -> Any:
            make = functools.partial(aiohttp.client_proto.ResponseHandler, asyncio.get_running_loop())
            note = passage.get()
            if note is not None:
                note.dialled = request.url.host
            try:
                return await world.network.dial(request.url.host, request.url.port, make)
            except OSError as error:
                raise aiohttp.ClientConnectorError(request.connection_key, error) from error

        return dial


def _awaited(connection: Any) -> Any:
    connection._connection = connection._connector()

    async def itself() -> Any:
        return connection

    return itself().__await__()
