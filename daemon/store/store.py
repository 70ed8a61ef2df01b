"""The whole store: one database, its lock, and the five ports on it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from daemon.engine.ports import Ledger, Outbox, Saves, Shelf, Watchlist
from daemon.store.backup import back_up
from daemon.store.database import Database
from daemon.store.ledger import SqliteLedger
from daemon.store.opening import lock, open_database
from daemon.store.outbox import SqliteOutbox
from daemon.store.saves import SqliteSaves
from daemon.store.shelf import FileShelf
from daemon.store.watchlist import SqliteWatchlist


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The ports on one open database; ``path`` is its file."""

    path: Path
    watchlist: Watchlist
    outbox: Outbox
    ledger: Ledger
    shelf: Shelf
    saves: Saves
    database: Database
    lock: FileIO

    async def close(self) -> None:
        """Commit what waits, close the database and let go of its lock."""
        try:
            await self.database.close()
        finally:
            self.lock.close()

    async def backup(self, target: Path) -> None:
        """Copy the database into the new file *target*; raise FileExistsError where there is one."""
        await asyncio.to_thread(back_up, self.path, target)

    def free_bytes(self) -> int:
        """Return how many bytes the database's disk has left for us."""
        return shutil.disk_usage(self.path.parent).free


async def open_store(path: Path, *, on_commit: Callable[[float, int], None] | None = None) -> Store:
    """Open the store at *path* for this process alone; *on_commit* hears seconds and changes of each commit.

    Raises StoreFault, whose text says what was found and what to do.
    """
    held = lock(path)
    try:
        database = await open_database(path, on_commit=on_commit)
    except BaseException:
        held.close()
        raise
    shelf = FileShelf(database, path.parent / "outputs")
    try:
        await shelf.sweep()
    except BaseException:
        await database.close()
        held.close()
        raise
    return Store(
        path=path,
        watchlist=SqliteWatchlist(database),
        outbox=SqliteOutbox(database),
        ledger=SqliteLedger(database),
        shelf=shelf,
        saves=SqliteSaves(database),
        database=database,
        lock=held,
    )
