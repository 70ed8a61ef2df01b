"""The checks of the database and its disk."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from daemon.cli.doctor.finding import Finding, error, note, ok, warning
from daemon.store.migrate import APPLICATION_ID, migrations
from daemon.store.restore import damage
from daemon.store.upgrade import schema_of

DATABASE, DISK = "database", "disk"
FULL, SCARCE = 256 << 20, 2 << 30
RESTORE = "stop the daemon and put a backup back: `pollhook restore FILE`"


def database(path: Path) -> Iterator[Finding]:
    """Look into the database *path*: is it ours, of which schema, and whole."""
    try:
        if not path.exists():
            yield note(DATABASE, f"no database {path} yet: the daemon makes it when it first starts")
            return
        application, version = schema_of(path)
        if application != APPLICATION_ID:
            yield error(DATABASE, f"{path} belongs to another program", "name another file in [store] path")
            return
        found = damage(path)
    except (OSError, sqlite3.Error) as failure:
        advice = f"if it may be read by this user, {RESTORE}"
        yield error(DATABASE, f"{path} cannot be read: {failure}", advice)
        return
    if found:
        yield error(DATABASE, f"{path} is damaged: {found[0]}", RESTORE)
        return
    yield _schema(path, version)


def disk(path: Path) -> Iterator[Finding]:
    """Look at the room left on the disk of *path*, or of the nearest folder above it that exists."""
    folder = next((each for each in path.absolute().parents if each.exists()), Path("/"))
    free = shutil.disk_usage(folder).free
    text = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free < FULL:
        yield error(DISK, text, "free some space: a full disk ends the daemon")
    elif free < SCARCE:
        yield warning(DISK, text, "free some space, or shorten [retention] and [outputs] max_total")
    else:
        yield ok(DISK, text)


def _schema(path: Path, version: int) -> Finding:
    newest = len(migrations())
    size = f"{path.stat().st_size / (1 << 20):.1f} MiB"
    if version > newest:
        advice = "start the newer version again, or restore a backup from before the upgrade"
        return error(DATABASE, f"{path} has schema {version}, this Pollhook knows 1 to {newest}", advice)
    if version < newest:
        return note(DATABASE, f"{path}: whole, {size}, schema {version}; the next start makes it {newest}")
    return ok(DATABASE, f"{path}: whole, {size}, schema {version}")
