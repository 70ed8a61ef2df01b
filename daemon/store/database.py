"""The one gate to the database: one writer that groups changes, one reader that sees what is committed.

A change is a plain function of a connection. All changes that wait at one moment ride in one transaction, so one
fsync serves them all; each stands on its own savepoint, so one that fails takes nobody with it. The transaction runs
on the writer's own task and thread: whoever is cancelled while waiting changes nothing about it. Shared connections
and cancelled BEGINs have lost acknowledged rows in trials; here nobody but the writer can begin or roll back.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from daemon.core.errors import StoreFault
from daemon.store.faults import fault_of
from daemon.store.rides import Ride, run_all

T = TypeVar("T")
Item = TypeVar("Item")

BATCH_WEIGHT = 1_000
CROWD = 8
QUIET_TURNS = 32
LINGER = 0.005
"""Where CROWD changes or more rode in the last transaction, the next one waits while more come: at most LINGER seconds,
and no longer than QUIET_TURNS turns of the loop in which nobody came.

A commit costs its processor time however many ride in it, so a crowd goes further in fewer of them; who comes alone
waits for nobody. ``commit_delay`` and ``commit_siblings`` of PostgreSQL are the same thought.
"""
WAITING_LIMIT = 10_000


class Connection(aiosqlite.Connection):
    """An aiosqlite connection that carries a whole function to its thread, in one hop."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connect, iter_chunk_size=64)
        # A process that dies of a fault must not hang on this thread; before aiosqlite 0.22 the connection was it.
        thread: Any = getattr(self, "_thread", self)
        thread.daemon = True

    async def hop(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run *function* on the connection's thread; a caller cancelled meanwhile does not stop it."""
        result: T = await self._execute(function, self._conn)  # type: ignore[no-untyped-call]  # aiosqlite's own hook
        return result


class Database:
    """One writer and one reader on the same file."""

    def __init__(
        self, path: Path, writer: Connection, reader: Connection, on_commit: Callable[[float, int], None] | None
    ) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._on_commit = on_commit
        self._waiting: deque[Ride] = deque()
        self._wake = asyncio.Event()
        self._has_left = asyncio.Event()
        self._fault: StoreFault | None = None
        self._is_closed = False
        self._rode = 0
        self.committing_since: float | None = None
        self._task = asyncio.create_task(self._write(), name="store.writer")

    async def change(self, change: Callable[[sqlite3.Connection], T], *, weight: int = 1) -> T:
        """Make *change* in the next transaction and return its result once the commit is durable.

        What it raises is raised here, with nothing of it written. *weight* is about how many rows it writes; a
        transaction takes 1,000. A cancelled caller's change may still be made. Raises StoreFault.
        """
        result: T = await self._seated(Ride(change, weight))
        return result

    async def change_together(
        self, together: Callable[[Sequence[Item], sqlite3.Connection], Sequence[T]], item: Item, *, weight: int = 1
    ) -> T:
        """Make the change that *together* makes of *item*, in one go with those of its kind that wait beside it.

        Each caller gets the result in its own place. All else is as for ``change``.
        """
        result: T = await self._seated(Ride.shared(together, item, weight))
        return result

    async def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Answer *question* from one committed state of the database; no write waits for it. Raises StoreFault."""
        if self._is_closed:
            raise StoreFault(f"database {self.path} is closed")
        try:
            return await self._reader.hop(partial(_from_one_state, question))
        except sqlite3.Error as error:
            raise fault_of(self.path, error) from error

    async def empty_journal(self) -> None:
        """Move all of the journal into the database and leave nothing of it on disk; raises StoreFault."""
        try:
            await self._writer.hop(_empty_journal)
        except sqlite3.Error as error:
            raise fault_of(self.path, error) from error

    async def close(self) -> None:
        """Commit what waits, refuse what comes later, close both connections. Closing again does nothing."""
        if self._fault is None:
            self._fault = StoreFault(f"database {self.path} is closed")
        self._wake.set()
        await asyncio.wait([self._task])
        self._is_closed = True
        await self._reader.close()
        await self._writer.close()

    async def _seated(self, ride: Ride) -> Any:
        while len(self._waiting) >= WAITING_LIMIT:
            self._has_left.clear()
            await self._has_left.wait()
        if self._fault is not None:
            raise StoreFault(str(self._fault))
        self._waiting.append(ride)
        self._wake.set()
        return await ride.told

    async def _write(self) -> None:
        try:
            while batch := await self._next_batch():
                await self._commit(batch)
        finally:
            self._give_up(self._waiting, StoreFault(f"database {self.path} has stopped writing"))

    async def _next_batch(self) -> list[Ride]:
        while not self._waiting and self._fault is None:
            self._wake.clear()
            await self._wake.wait()
            await asyncio.sleep(0)  # so that whoever comes at the same moment rides along
        if self._rode >= CROWD:
            await self._gather_more()
        batch: list[Ride] = []
        weight = 0
        while self._waiting and weight < BATCH_WEIGHT:
            ride = self._waiting.popleft()
            batch.append(ride)
            weight += ride.weight
        self._has_left.set()
        self._rode = len(batch)
        return batch

    async def _gather_more(self) -> None:
        loop = asyncio.get_running_loop()
        until, quiet = loop.time() + LINGER, 0
        while quiet < QUIET_TURNS and loop.time() < until:
            many = len(self._waiting)
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == many else 0

    async def _commit(self, batch: list[Ride]) -> None:
        self.committing_since = asyncio.get_running_loop().time()
        try:
            seconds = await self._writer.hop(partial(_in_one_transaction, batch))
            self.committing_since = None
        except sqlite3.Error as error:
            self._break(batch, fault_of(self.path, error))
            return
        except BaseException as error:
            self._break(batch, StoreFault(f"database {self.path}: the writer stopped: {error!r}"))
            raise
        for ride in batch:
            ride.tell()
        if self._on_commit is not None:
            self._on_commit(seconds, len(batch))

    def _break(self, batch: list[Ride], fault: StoreFault) -> None:
        """Fail what rode, what waits and what comes: after a failed commit nobody knows what the disk holds."""
        self._fault = fault
        self._give_up(deque(batch), fault)
        self._give_up(self._waiting, fault)

    def _give_up(self, rides: deque[Ride], fault: StoreFault) -> None:
        self._fault = self._fault or fault
        while rides:
            rides.popleft().fail(StoreFault(str(self._fault)))
        self._has_left.set()


def _empty_journal(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _in_one_transaction(batch: list[Ride], connection: sqlite3.Connection) -> float:
    began = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    try:
        run_all(batch, connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return time.perf_counter() - began


def _from_one_state(question: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
    connection.execute("BEGIN")
    try:
        return question(connection)
    finally:
        connection.execute("COMMIT")
