"""Opening the database: private files, one daemon at a time, a schema that fits, and a clear fault otherwise."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable
from functools import partial
from io import FileIO
from pathlib import Path

from daemon.core.errors import StoreFault
from daemon.store.database import Connection, Database
from daemon.store.faults import fault_of
from daemon.store.migrate import migrate
from daemon.store.private import make_private_folders

OLDEST_SQLITE = (3, 37, 0)
BUSY_SECONDS = 2.0


async def open_database(path: Path, *, on_commit: Callable[[float, int], None] | None = None) -> Database:
    """Open the database at *path*, made where missing (folders 0700, file 0600) and migrated where old.

    The caller holds the daemon's lock on it. *on_commit* is told the seconds and the number of changes of every
    commit. Raises StoreFault.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreFault(f"SQLite {sqlite3.sqlite_version} is too old; Pollhook needs 3.37 or newer")
    make_private_file(path)
    writer = await _connect(path, _prepare_writer)
    try:
        reader = await _connect(path, _prepare_reader)
    except BaseException:
        await writer.close()
        raise
    return Database(path, writer, reader, on_commit)


def lock(path: Path) -> FileIO:
    """Take the lock that only one daemon per database can hold; return its file, closed to let go."""
    beside = path.with_name(path.name + ".lock")
    try:
        make_private_folders(path.parent)
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(beside, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreFault(
            f"database {path} is in use by another Pollhook daemon (process {holder});"
            " stop that one, or give this one its own [store] path"
        ) from None
    os.truncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return FileIO(descriptor, "r+")


def make_private_file(path: Path) -> None:
    """Make sure that *path* is a regular file that we may write and nobody else may read; no symbolic link."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise StoreFault(f"database {path} is no regular file; name another one in [store] path")
        if found.st_mode & 0o077 and found.st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


async def _connect(path: Path, prepare: Callable[[Path, sqlite3.Connection], None]) -> Connection:
    connect = partial(sqlite3.connect, path, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=256)
    connection = Connection(connect)
    try:
        await connection
        await connection.hop(partial(prepare, path))
    except sqlite3.Error as error:
        await connection.close()
        raise fault_of(path, error) from error
    except BaseException:
        await connection.close()
        raise
    return connection


def _prepare_writer(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    migrate(connection, path)
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreFault(f"database {path}: its file system allows no WAL journal (got {mode!r}); use a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")  # 16 MiB: pages written again and again are copied once
    connection.execute("PRAGMA cache_size = -8000")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("COMMIT")


def _prepare_reader(_: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cache_size = -4000")


def _unusable(path: Path, error: OSError) -> StoreFault:
    if path.is_symlink():
        return StoreFault(f"{path} is a symbolic link, which could lead anywhere; name the file itself in [store] path")
    return StoreFault(
        f"cannot open {path} for writing: {error.strerror}; the file and its folder must belong to the daemon's user"
        " and lie on a file system that is mounted read-write"
    )
