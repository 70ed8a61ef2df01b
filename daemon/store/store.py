"""The whole store: one database, its lock, its vault, and the ports on it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path

from daemon.engine.endpoint_ports import EndpointStore
from daemon.engine.ports import Ledger, Outbox, Rechecks, Saves, Shelf, Watchlist
from daemon.store.backup import back_up
from daemon.store.database import Database
from daemon.store.endpoints import SqliteEndpoints, has_plain, seal_plain, sealed_key_ids
from daemon.store.ledger import SqliteLedger
from daemon.store.opening import lock, open_database
from daemon.store.outbox import SqliteOutbox
from daemon.store.rechecks import SqliteRechecks
from daemon.store.saves import SqliteSaves
from daemon.store.shelf import FileShelf
from daemon.store.upgrade import is_behind, keep_before_upgrade
from daemon.store.vault import Vault, open_vault
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
    rechecks: Rechecks
    endpoints: EndpointStore
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


async def open_store(
    path: Path, *, on_commit: Callable[[float, int], None] | None = None, sealing_key: bytes | None = None
) -> Store:
    """Open the store at *path* for this process alone; *on_commit* hears seconds and changes of each commit.

    Secrets are sealed with *sealing_key*, else with the key in a file beside the database, made where nothing is
    sealed yet. Raises StoreFault, whose text says what was found and what to do.
    """
    held = lock(path)
    try:
        if is_behind(path):
            await asyncio.to_thread(keep_before_upgrade, path)
        database = await open_database(path, on_commit=on_commit)
    except BaseException:
        held.close()
        raise
    shelf = FileShelf(database, path.parent / "outputs")
    try:
        await shelf.sweep()
        vault = await _vault(database, sealing_key)
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
        rechecks=SqliteRechecks(database),
        endpoints=SqliteEndpoints(database, vault),
        database=database,
        lock=held,
    )


async def _vault(database: Database, sealing_key: bytes | None) -> Vault:
    """Open the vault, and move behind it what an older version stored in the clear."""
    vault = open_vault(database.path, sealing_key, await database.read(sealed_key_ids))
    if await database.read(has_plain):
        await database.change(partial(seal_plain, vault, time.time()))
        await database.empty_journal()
    return vault
