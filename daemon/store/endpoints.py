"""Endpoints on disk: those written over the API, and the keys that are kept for any; all of it sealed.

A URL and a header may hold a token as well as a key may, so the whole spec is sealed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from daemon.core.endpoint import EndpointSpec
from daemon.core.keyring import StoredKey
from daemon.store.database import Database
from daemon.store.vault import Vault, key_id_of

_SPECS = "SELECT name, spec FROM endpoints WHERE spec IS NOT NULL ORDER BY name"

_WRITE = """
INSERT INTO endpoints (name, spec) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET spec = excluded.spec
"""

_KEYS = """
SELECT endpoint, version, made_at, expires_at, sealed
FROM endpoint_keys
ORDER BY endpoint, place
"""

_INSERT_KEY = """
INSERT INTO endpoint_keys (endpoint, place, version, made_at, expires_at, sealed)
VALUES (?, ?, ?, ?, ?, ?)
"""

_SEALED = "SELECT sealed FROM endpoint_keys UNION ALL SELECT spec FROM endpoints WHERE spec IS NOT NULL"

_PLAIN = "SELECT name, secret FROM endpoints WHERE secret IS NOT NULL"


class SqliteEndpoints:
    """The port ``EndpointStore`` on a database."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def specs(self) -> dict[str, EndpointSpec]:
        """Return every endpoint that was written over the API."""
        return await self._database.read(partial(stored_specs, self._vault))

    async def keys(self) -> dict[str, tuple[StoredKey, ...]]:
        """Return the stored keys of every endpoint."""
        return await self._database.read(partial(stored_keys, self._vault))

    async def write(self, name: str, spec: EndpointSpec, keys: Sequence[StoredKey]) -> None:
        """Write an endpoint and its keys in one transaction."""
        await self._database.change(partial(_write, self._vault, name, spec, keys))

    async def save_keys(self, name: str, keys: Sequence[StoredKey]) -> None:
        """Replace the stored keys of an endpoint."""
        await self._database.change(partial(_save_keys, self._vault, name, keys))

    async def drop(self, name: str) -> None:
        """Forget an endpoint, its keys and how it stood."""
        await self._database.change(partial(_drop, name))


def sealed_key_ids(connection: sqlite3.Connection) -> set[bytes]:
    """Return the ids of the keys that something in the database is sealed with."""
    return {key_id_of(sealed) for (sealed,) in connection.execute(_SEALED).fetchall()}


def has_plain(connection: sqlite3.Connection) -> bool:
    """Whether an older version stored secrets in the clear."""
    return connection.execute(_PLAIN + " LIMIT 1").fetchone() is not None


def seal_plain(vault: Vault, now_at: float, connection: sqlite3.Connection) -> None:
    """Move the secrets that an older version stored in the clear behind the vault, and wipe where they stood."""
    connection.execute("PRAGMA secure_delete = ON")
    for name, secret in connection.execute(_PLAIN).fetchall():
        _save_keys(vault, name, [StoredKey(version="v1", secret=secret, made_at=now_at)], connection)
        connection.execute("UPDATE endpoints SET secret = NULL WHERE name = ?", (name,))


def stored_specs(vault: Vault, connection: sqlite3.Connection) -> dict[str, EndpointSpec]:
    """Return every endpoint that was written over the API."""
    rows = connection.execute(_SPECS).fetchall()
    return {name: _spec(json.loads(vault.open(sealed, f"endpoint {name}"))) for name, sealed in rows}


def stored_keys(vault: Vault, connection: sqlite3.Connection) -> dict[str, tuple[StoredKey, ...]]:
    """Return the stored keys of every endpoint, the present one first."""
    found: dict[str, tuple[StoredKey, ...]] = {}
    for name, version, made_at, expires_at, sealed in connection.execute(_KEYS).fetchall():
        secret = vault.open(sealed, f"key of {name}")
        key = StoredKey(version=version, secret=secret, made_at=made_at, expires_at=expires_at)
        found[name] = (*found.get(name, ()), key)
    return found


def _spec(members: dict[str, Any]) -> EndpointSpec:
    pairs = tuple((name, value) for name, value in members["headers"])
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in members.items()
    }
    return EndpointSpec(**given | {"headers": pairs})


def _write(
    vault: Vault, name: str, spec: EndpointSpec, keys: Sequence[StoredKey], connection: sqlite3.Connection
) -> None:
    connection.execute(_WRITE, (name, vault.seal(json.dumps(asdict(spec)), f"endpoint {name}")))
    _save_keys(vault, name, keys, connection)


def _save_keys(vault: Vault, name: str, keys: Sequence[StoredKey], connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM endpoint_keys WHERE endpoint = ?", (name,))
    rows = [
        (name, place, key.version, key.made_at, key.expires_at, vault.seal(key.secret, f"key of {name}"))
        for place, key in enumerate(keys)
    ]
    connection.executemany(_INSERT_KEY, rows)


def _drop(name: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM endpoint_keys WHERE endpoint = ?", (name,))
    connection.execute("DELETE FROM endpoints WHERE name = ?", (name,))
