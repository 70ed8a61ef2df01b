"""A glance into the database from beside the daemon: read-only, and closed at once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from daemon.core.errors import StoreFault


def stored_secret(path: Path, endpoint: str) -> str | None:
    """Return the secret the daemon generated for *endpoint*; raise StoreFault where the database cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT secret FROM endpoints WHERE name = ?", (endpoint,)).fetchone()
    except sqlite3.Error as error:
        raise StoreFault(f"cannot read {path}: {error}; start the daemon once, and run this as its user") from error
    return None if row is None or row[0] is None else str(row[0])
