"""A real store that can lose its power: its files as they are at a moment, opened afresh.

A model machine is synchronous and the store is not, so each disk carries an event loop of its own. A crash takes a copy
of the files while the connections are open and maybe writing, and goes on with the copy: what the old process had in
memory is gone, and its connections are let go without ever touching the copy.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from daemon.store.database import Database
from daemon.store.ledger import SqliteLedger
from daemon.store.opening import open_database
from daemon.store.outbox import SqliteOutbox
from daemon.store.rechecks import SqliteRechecks
from daemon.store.watchlist import SqliteWatchlist

T = TypeVar("T")
NAME = "pollhook.db"
TORN = 98
COMMITTED = 99
MOMENTS = (0, 1, 2, 3, 4, 5, 6, 8, 10, TORN, COMMITTED, COMMITTED)


class Disk:
    """The ports on real files, and what may befall them."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._home = Path(tempfile.mkdtemp(prefix="models-"))
        self._lives = 0
        shutil.copytree(_new(), self._folder())
        self._open()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run one coroutine to its end."""
        return self._runner.run(coroutine)

    def all(self, chunks: AsyncIterator[list[T]]) -> list[T]:
        """Return what a stream holds."""

        async def gather() -> list[T]:
            return [one async for chunk in chunks for one in chunk]

        return self.run(gather())

    def crash(self) -> None:
        """Lose the power now, and start anew on what the disk holds."""
        self._lose(self._lives)
        self._open()

    def crash_within(self, coroutine: Coroutine[Any, Any, T], moment: int) -> bool:
        """Lose the power at *moment* of the change that *coroutine* makes; return whether it was committed by then.

        Moments are: before each statement of the transaction, TORN in the midst of its commit, and, past all of these,
        COMMITTED: after it, before anybody is told.
        """
        old, log = self._lives, self._folder() / (NAME + "-wal")
        sizes: list[int] = []

        def before(_: str) -> None:
            sizes.append(_size(log))
            if len(sizes) == moment + 1:
                self._copy(old)

        def committed(*_: object) -> None:
            if len(sizes) <= moment:
                self._copy(old)
            if moment == TORN:
                os.truncate(self._home / str(old + 1) / (NAME + "-wal"), (sizes[0] + _size(log)) // 2)

        self._traced(before)
        self._database._on_commit = committed
        self.run(coroutine)
        self._traced(None)
        self.run(self._database.close())
        self._lives += 1
        self._open()
        return len(sizes) <= moment and moment != TORN

    def _traced(self, told: Callable[[str], None] | None) -> None:
        self.run(self._database._writer.hop(lambda connection: connection.set_trace_callback(told)))

    def destroy(self) -> None:
        """Close and delete everything."""
        self.run(self._database.close())
        self._runner.close()
        shutil.rmtree(self._home)

    def _lose(self, old: int) -> None:
        self._copy(old)
        self.run(self._database.close())
        self._lives += 1

    def _copy(self, old: int) -> None:
        target = self._home / str(old + 1)
        target.mkdir()
        for name in (NAME, NAME + "-wal"):
            if (source := self._home / str(old) / name).exists():
                shutil.copyfile(source, target / name)

    def _folder(self) -> Path:
        return self._home / str(self._lives)

    def _open(self) -> None:
        self._database: Database = self.run(open_database(self._folder() / NAME))
        self.watchlist = SqliteWatchlist(self._database)
        self.outbox = SqliteOutbox(self._database)
        self.rechecks = SqliteRechecks(self._database)
        self.ledger = SqliteLedger(self._database)


@cache
def _new() -> Path:
    """A migrated, empty database, made once: what each example begins with."""
    home = Path(tempfile.mkdtemp(prefix="models-new-"))

    async def make() -> None:
        database = await open_database(home / NAME)
        await database.close()

    with asyncio.Runner() as runner:
        runner.run(make())
    return home


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
