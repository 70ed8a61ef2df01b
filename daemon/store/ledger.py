"""The ledger on disk: what lanes and endpoints must remember over a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial

from daemon.core.breaker import Trouble
from daemon.core.record import EndpointState, LaneState
from daemon.store.database import Database
from daemon.store.rows import legible

_LANES = "SELECT name, trouble, trouble_at, held_until_at, tat_at, key_mark FROM lanes"

_SAVE_LANE = """
INSERT INTO lanes (name, trouble, trouble_at, held_until_at, tat_at, key_mark)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
  trouble = excluded.trouble, trouble_at = excluded.trouble_at, held_until_at = excluded.held_until_at,
  tat_at = excluded.tat_at, key_mark = excluded.key_mark
"""

_SAVE_DURATIONS = """
INSERT INTO durations (lane, model, packed) VALUES (?, ?, ?)
ON CONFLICT (lane, model) DO UPDATE SET packed = excluded.packed
"""

_ENDPOINTS = "SELECT name, disabled_at, disabled_reason, failing_since, failing_why FROM endpoints"

_SAVE_FAILING = """
INSERT INTO endpoints (name, failing_since, failing_why) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET failing_since = excluded.failing_since, failing_why = excluded.failing_why
"""

_SAVE_DISABLED = """
INSERT INTO endpoints (name, disabled_at, disabled_reason) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET disabled_at = excluded.disabled_at, disabled_reason = excluded.disabled_reason
"""


class SqliteLedger:
    """The port ``Ledger`` on a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lanes(self) -> dict[str, LaneState]:
        """Return the saved state of every lane."""
        return await self._database.read(_lanes)

    async def save_lanes(self, states: Sequence[LaneState]) -> None:
        """Save lane states, replacing those of the same names."""
        await self._database.change(partial(_save_lanes, states), weight=len(states))

    async def durations(self) -> dict[tuple[str, str], bytes]:
        """Return the packed life table of every (lane, model)."""
        return await self._database.read(_durations)

    async def save_durations(self, tables: Mapping[tuple[str, str], bytes]) -> None:
        """Save packed life tables."""
        await self._database.change(partial(_save_durations, tables), weight=max(1, len(tables)))

    async def drop_durations(self, keys: Sequence[tuple[str, str]]) -> None:
        """Forget life tables."""
        await self._database.change(partial(_drop_durations, keys), weight=max(1, len(keys)))

    async def endpoints(self) -> dict[str, EndpointState]:
        """Return the state of every endpoint that has one."""
        return await self._database.read(_endpoints)

    async def save_failing(self, name: str, at: float | None, why: str | None) -> None:
        """Save since when and why an endpoint fails, or that it does not."""
        await self._database.change(partial(_save_failing, name, at, why))

    async def save_disabled(self, name: str, at: float | None, reason: str | None) -> None:
        """Save since when and why an endpoint is disabled, or that it is not."""
        await self._database.change(partial(_save_disabled, name, at, reason))


def _lanes(connection: sqlite3.Connection) -> dict[str, LaneState]:
    states = {}
    for name, trouble, trouble_at, held_until_at, tat_at, key_mark in connection.execute(_LANES).fetchall():
        states[name] = LaneState(
            name=name,
            trouble=None if trouble is None else Trouble(trouble),
            trouble_at=trouble_at,
            held_until_at=held_until_at,
            tat_at=tat_at,
            key_mark=key_mark,
        )
    return states


def _durations(connection: sqlite3.Connection) -> dict[tuple[str, str], bytes]:
    rows = connection.execute("SELECT lane, model, packed FROM durations").fetchall()
    return {(lane, model): packed for lane, model, packed in rows}


def _save_durations(tables: Mapping[tuple[str, str], bytes], connection: sqlite3.Connection) -> None:
    rows = [(lane, legible(model), packed) for (lane, model), packed in tables.items()]
    connection.executemany(_SAVE_DURATIONS, rows)


def _drop_durations(keys: Sequence[tuple[str, str]], connection: sqlite3.Connection) -> None:
    rows = [(lane, legible(model)) for lane, model in keys]
    connection.executemany("DELETE FROM durations WHERE lane = ? AND model = ?", rows)


def _save_lanes(states: Sequence[LaneState], connection: sqlite3.Connection) -> None:
    rows = [(one.name, one.trouble, one.trouble_at, one.held_until_at, one.tat_at, one.key_mark) for one in states]
    connection.executemany(_SAVE_LANE, rows)


def _endpoints(connection: sqlite3.Connection) -> dict[str, EndpointState]:
    states = {}
    for name, disabled_at, disabled_reason, failing_since, failing_why in connection.execute(_ENDPOINTS).fetchall():
        states[name] = EndpointState(
            name=name,
            disabled_at=disabled_at,
            disabled_reason=disabled_reason,
            failing_since=failing_since,
            failing_why=failing_why,
        )
    return states


def _save_failing(name: str, at: float | None, why: str | None, connection: sqlite3.Connection) -> None:
    connection.execute(_SAVE_FAILING, (name, at, legible(why)))


def _save_disabled(name: str, at: float | None, reason: str | None, connection: sqlite3.Connection) -> None:
    connection.execute(_SAVE_DISABLED, (name, at, legible(reason)))
