"""What a failure of SQLite means to whoever runs the daemon: what was found, what is allowed, what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from daemon.core.errors import StoreFault

_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process holds its lock; end that one (`fuser` names it) and start again",
    sqlite3.SQLITE_LOCKED: "another process holds its lock; end that process and start again",
    sqlite3.SQLITE_READONLY: "the file and its folder must be writable for the daemon's user; mend owner and mode",
    sqlite3.SQLITE_PERM: "the file and its folder must be readable and writable for the daemon's user",
    sqlite3.SQLITE_CANTOPEN: "the file and its folder must be readable and writable for the daemon's user",
    sqlite3.SQLITE_FULL: "the disk is full; free some space and start again, nothing acknowledged is lost",
    sqlite3.SQLITE_IOERR: "the disk or file system fails; look into the kernel's log before starting again",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database; name another file in [store] path, or move this one away",
    sqlite3.SQLITE_CORRUPT: "it is damaged; move it away and put a backup made by `pollhook backup` in its place",
}


def fault_of(path: Path, error: sqlite3.Error) -> StoreFault:
    """Return *error*, met on the database at *path*, as a fault that says what to do about it."""
    advice = _ADVICE.get(_code(error), "the daemon cannot go on without its database")
    return StoreFault(f"database {path}: {error}; {advice}")


def is_fatal(error: Exception) -> bool:
    """Whether *error* says that the database itself fails, rather than that one change is wrong."""
    if not isinstance(error, sqlite3.DatabaseError):
        return isinstance(error, MemoryError)
    return not isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError)


def _code(error: sqlite3.Error) -> int:
    """The primary result code, which is the low byte of the extended one; 0 where SQLite gave none."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF if isinstance(code, int) else 0
