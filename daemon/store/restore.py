"""A backup put in the place of a database: checked first, and what it replaces is kept aside.

The daemon's lock is held meanwhile, so no daemon runs on either. A write-ahead log never meets a database that it does
not belong to: the old one is emptied or moved away before the new database takes its name.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from daemon.core.errors import StoreFault
from daemon.store.backup import copy_aside
from daemon.store.migrate import APPLICATION_ID, migrations
from daemon.store.opening import lock
from daemon.store.private import make_private_folders, sweep_asides, sync_folder
from daemon.store.upgrade import schema_of


def restore(backup: Path, path: Path) -> Path | None:
    """Put *backup* in the place of the database *path*; return where the old one is kept, None where there was none.

    *backup* is left as it is. Raises StoreFault where it is no whole backup of ours or a daemon runs on *path*, with
    nothing changed.
    """
    _judge(backup)
    make_private_folders(path.parent)
    owner = _owner(path)
    with lock(path) as held:
        sweep_asides(path)
        aside = copy_aside(backup, path)
        try:
            if os.geteuid() == 0:
                os.chown(aside, *owner)
                os.fchown(held.fileno(), *owner)
            kept = _set_aside(path)
            aside.replace(path)
            sync_folder(path.parent)
        finally:
            aside.unlink(missing_ok=True)
    return kept


def _judge(backup: Path) -> None:
    if not backup.is_file():
        raise StoreFault(f"there is no backup {backup}")
    try:
        application, version = schema_of(backup)
        found = damage(backup) if application == APPLICATION_ID else []
    except sqlite3.Error as error:
        raise StoreFault(f"{backup} cannot be restored: {error}") from error
    if application != APPLICATION_ID or version == 0:
        raise StoreFault(f"{backup} is a database of another program, none that `pollhook backup` made")
    if version > len(migrations()):
        raise StoreFault(
            f"{backup} is from a newer Pollhook: schema version {version}, this one knows 1 to {len(migrations())};"
            " restore it with that version"
        )
    if found:
        raise StoreFault(f"{backup} is damaged: {found[0]}")


def damage(path: Path) -> list[str]:
    """Return what SQLite's quick check finds wrong with the database *path*; raise sqlite3.Error if it cannot look."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        found = [str(text) for (text,) in connection.execute("PRAGMA quick_check(10)").fetchall()]
    return [] if found == ["ok"] else found


def _owner(path: Path) -> tuple[int, int]:
    """Return whose the database is to be: as before, or as its folder, so that root restores for the daemon's user."""
    known = path if path.exists() else path.parent
    found = known.stat()
    return found.st_uid, found.st_gid


def _set_aside(path: Path) -> Path | None:
    if not path.exists():
        return None
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    stamp = time.strftime("%Y%m%d-%H%M%S")
    kept = path.with_name(f"{path.name}.before-restore-{stamp}-{secrets.token_hex(2)}")
    os.link(path, kept)
    for suffix in ("-wal", "-shm"):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.replace(kept.with_name(kept.name + suffix))
    sync_folder(path.parent)
    return kept
