"""A copy of the database from before its upgrade, where one costs little: the way back that migrations do not have.

It stands beside the database as ``NAME.schema-N``, N the schema it has; one is kept, that of the last upgrade.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import structlog

from daemon.core.errors import StoreFault
from daemon.store.backup import copy_aside
from daemon.store.endpoints import has_plain
from daemon.store.migrate import APPLICATION_ID, migrations
from daemon.store.private import sweep_asides, sync_folder

LARGEST = 2 << 30
SPARE = 256 << 20
"""Bytes: a larger database, or one whose copy would leave less room than this, is upgraded without a copy."""

log = structlog.get_logger()


def is_behind(path: Path) -> bool:
    """Whether opening the database at *path* will migrate it; whatever else stands there is not ours to judge."""
    return _old_version(path) is not None


def keep_before_upgrade(path: Path) -> Path | None:
    """Copy the database at *path* if opening it will migrate it; return the copy, None where there is none.

    The caller holds the daemon's lock. A copy that cannot be had is logged and holds up nothing.
    """
    version = _old_version(path)
    if version is None:
        return None
    kept = path.with_name(f"{path.name}.schema-{version}")
    with suppress(OSError):
        sweep_asides(kept)
    told = {"from_schema": version, "to_schema": len(migrations())}
    if why := _too_dear(path):
        log.warning("store.upgrading_without_copy", **told, why=why)
        return None
    try:
        copy_aside(path, kept).replace(kept)
        sync_folder(path.parent)
    except (OSError, StoreFault) as error:
        log.warning("store.upgrading_without_copy", **told, why=str(error))
        return None
    for older in path.parent.glob(f"{path.name}.schema-*"):
        if older != kept:
            older.unlink(missing_ok=True)
    log.info("store.upgrading", **told, copy=str(kept))
    if _holds_plain_secrets(kept):
        log.warning(
            "store.copy_holds_secrets",
            copy=str(kept),
            why="signing secrets stood in the clear in the database it is a copy of",
            fix="delete it once you no longer want the way back, or rotate the secrets",
        )
    return kept


def schema_of(path: Path) -> tuple[int, int]:
    """Return the application id and the schema version of the SQLite file *path*; raise sqlite3.Error."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(application), int(version)


def _holds_plain_secrets(path: Path) -> bool:
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        return has_plain(connection)
    return False


def _old_version(path: Path) -> int | None:
    with suppress(sqlite3.Error, OSError):
        if path.is_file():
            application, version = schema_of(path)
            return version if application == APPLICATION_ID and 0 < version < len(migrations()) else None
    return None


def _too_dear(path: Path) -> str | None:
    wal = path.with_name(f"{path.name}-wal")
    size = path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
    if size > LARGEST:
        return f"the database has {size >> 20} MiB, more than {LARGEST >> 20}"
    free = shutil.disk_usage(path.parent).free
    if free < size + SPARE:
        return f"its disk has {free >> 20} MiB free; a copy of {size >> 20} MiB is to leave {SPARE >> 20}"
    return None
