"""A glance into the database from beside the daemon: read-only, and closed at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.core.endpoint import EndpointSpec
from daemon.core.errors import StoreFault
from daemon.core.keyring import StoredKey
from daemon.store.endpoints import sealed_key_ids, stored_keys, stored_specs
from daemon.store.vault import open_vault


@dataclass(frozen=True, slots=True, kw_only=True)
class PeekedEndpoints:
    """What the daemon keeps of endpoints: those written over the API, and the keys of any."""

    specs: Mapping[str, EndpointSpec] = field(default_factory=dict)
    keys: Mapping[str, tuple[StoredKey, ...]] = field(default_factory=dict)


def peek_keys(path: Path, endpoint: str, sealing_key: bytes | None) -> tuple[StoredKey, ...]:
    """Return the keys the daemon keeps for *endpoint*; raise StoreFault where they cannot be read or opened."""
    return peek_endpoints(path, sealing_key).keys.get(endpoint, ())


def peek_endpoints(path: Path, sealing_key: bytes | None) -> PeekedEndpoints:
    """Return what the daemon keeps of every endpoint; raise StoreFault where it cannot be read or opened."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            needed = sealed_key_ids(connection)
            if not needed:
                return PeekedEndpoints()
            vault = open_vault(path, sealing_key, needed)
            return PeekedEndpoints(specs=stored_specs(vault, connection), keys=stored_keys(vault, connection))
    except sqlite3.Error as error:
        raise StoreFault(f"cannot read {path}: {error}; start the daemon once, and run this as its user") from error
