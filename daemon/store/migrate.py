"""Forward-only migrations: numbered SQL files, counted in ``PRAGMA user_version``; an upgrade is one transaction.

Cut short between two files, it would leave a schema that no version knows, and the copy from before the upgrade would
be taken for an older one.
"""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from pathlib import Path

from daemon.core.errors import StoreFault

APPLICATION_ID = 0x506F6C6C
"""The letters ``Poll`` in the file's header, by which a database of ours is told from any other."""


def migrations() -> list[str]:
    """Return the SQL of every migration; the first takes a database from version 0 to 1, and so on."""
    folder = files("daemon.store").joinpath("migrations")
    found = sorted((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [entry.read_text(encoding="utf-8") for _, entry in found]


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date; raise StoreFault for a stranger's database or one from a newer version."""
    steps = migrations()
    found = _version(connection)
    if found > len(steps):
        raise StoreFault(
            f"database {path} is from a newer Pollhook: schema version {found}, this one knows 1 to {len(steps)};"
            " start the newer version again, or put a backup from before the upgrade in its place"
        )
    _refuse_strangers(connection, path, found)
    if found < len(steps):
        _apply(connection, [f"{sql}\nPRAGMA user_version = {n};" for n, sql in enumerate(steps, 1) if n > found])


def _refuse_strangers(connection: sqlite3.Connection, path: Path, version: int) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (tables or application or version):
        raise StoreFault(
            f"database {path} belongs to another program (application id {application}, {tables} schema entries);"
            " name a file of Pollhook's own in [store] path"
        )


def _apply(connection: sqlite3.Connection, steps: list[str]) -> None:
    script = ["BEGIN IMMEDIATE;", *steps, f"PRAGMA application_id = {APPLICATION_ID};", "COMMIT;"]
    try:
        connection.executescript("\n".join(script))
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
