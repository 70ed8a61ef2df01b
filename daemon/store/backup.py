"""A backup of a database in use, by SQLite's online backup: one consistent state, no writer waits."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from daemon.core.errors import StoreFault
from daemon.store.faults import fault_of
from daemon.store.opening import make_private_file
from daemon.store.private import sync_folder


def back_up(source: Path, target: Path) -> None:
    """Copy the database *source* into the new file *target* (0600), whole and durable when this returns.

    It may be called while a daemon writes *source*. Raises FileExistsError where *target* exists, StoreFault where
    one of the two fails.
    """
    if target.exists() or target.is_symlink():
        raise FileExistsError(f"{target} exists; a backup replaces nothing, so name a new file")
    if not source.is_file():
        raise StoreFault(f"there is no database {source} to back up")
    aside = copy_aside(source, target)
    try:
        os.link(aside, target)
    except FileExistsError:
        raise FileExistsError(f"{target} was made meanwhile; a backup replaces nothing, so name a new file") from None
    except OSError:
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(target.parent)


def copy_aside(source: Path, target: Path) -> Path:
    """Copy the database *source* to a new private file beside *target*, durable when this returns; return where."""
    aside = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        make_private_file(aside)
        _copy(source, aside)
    except sqlite3.Error as error:
        aside.unlink(missing_ok=True)
        raise fault_of(source, error) from error
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return aside


def _copy(source: Path, target: Path) -> None:
    """Copy in one step: a read snapshot stays whole while others write; smaller steps would start over each time."""
    with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(target)) as copy:
        origin.execute("PRAGMA query_only = ON")
        origin.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
    with target.open("rb") as file:
        os.fsync(file.fileno())
