"""The other half of the matrix: a start is killed at every point of it, migration by migration, and started again.

What the database of the first schema held is to be there still, whatever step of the upgrade was cut short, and
nothing is to be left behind beside the database.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.store.migrate import migrations
from tests.crash.audit import BESIDE
from tests.crash.points import starting
from tests.crash.rig import CrashRig, Nursery

SCHEMA = Path(__file__).parents[1] / "store" / "schemas" / "v1.sql"
NEWEST = len(migrations())
MOVES = {"next_poll_at", "next_poll_reason", "updated_at", "due_at", "attempts", "tries", "state", "reason", "polls",
         "last_miss", "secret", "status", "ended_at", "event_id", "error", "progress", "queue_position"}  # fmt: skip
"""What a daemon that runs for a moment may change of a row."""

KEPT = ("tasks", "events", "deliveries", "claims", "claim_tasks", "results")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start killed at *point*, from a database of *version*; ``broken`` says what did not hold."""

    point: str
    version: int
    died: bool
    broken: list[str]


async def killed_at(point: str, version: int, folder: Path, nursery: Nursery) -> Start:
    """Kill a start at *point*, start again, and look at what is there."""
    state = folder / "state"
    if version:
        _put(state)
    before = _rows(state / "pollhook.db") if version else {}
    async with CrashRig(folder, nursery) as rig:
        rig.is_quick = False
        await rig.launch(point)
        died = await rig.dies(8.0)
        await rig.kill()
        await rig.start()
        status, _ = await rig.call("GET", "/v1/tasks")
        ended = await rig.stop()
    broken = [f"the API answered {status}, the daemon ended with {ended}"] if (status, ended) != (200, 0) else []
    return Start(point=point, version=version, died=died, broken=broken + _judge(state, before))


def _put(state: Path) -> None:
    state.mkdir(mode=0o700)
    with closing(sqlite3.connect(state / "pollhook.db", isolation_level=None)) as connection:
        connection.executescript(SCHEMA.read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    (state / "pollhook.db").chmod(0o600)


def _rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in KEPT}


def _judge(state: Path, before: dict[str, list[dict[str, Any]]]) -> list[str]:
    after = _rows(state / "pollhook.db")
    broken = []
    for name, rows in before.items():
        there = [{key: row[key] for key in rows[0] if key not in MOVES} for row in after[name]] if rows else []
        broken += [
            f"a row of {name} is gone or changed: {row}"
            for row in ({key: value for key, value in row.items() if key not in MOVES} for row in rows)
            if row not in there
        ]
    with closing(sqlite3.connect(state / "pollhook.db")) as connection:
        health = connection.execute("PRAGMA integrity_check").fetchall()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (plain,) = connection.execute("SELECT count(*) FROM endpoints WHERE secret IS NOT NULL").fetchone()
    if health != [("ok",)] or version != NEWEST or plain:
        broken.append(f"integrity {health}, schema {version} of {NEWEST}, {plain} secrets in the clear")
    left = {file.name for file in state.iterdir()} - BESIDE - ({"pollhook.db.schema-1"} if before else set())
    return [*broken, f"left behind: {sorted(left)}"] if left else broken


async def run(points: Sequence[tuple[str, int]]) -> list[Start]:
    """Kill one start after the other."""
    done = []
    with tempfile.TemporaryDirectory(prefix="pollhook-starts-") as home:
        async with Nursery() as nursery:
            for number, (point, version) in enumerate(points):
                folder = Path(home) / str(number)
                folder.mkdir()
                done.append(await killed_at(point, version, folder, nursery))
    return done


def every() -> list[tuple[str, int]]:
    """Return every point of a start, from nothing and from the first schema."""
    return [(point, version) for version in (0, 1) for point in starting(version)]


def main() -> int:
    """Print the table; 1 where something did not hold."""
    starts = asyncio.run(run(every()))
    for one in starts:
        where = f"from schema {one.version}" if one.version else "from nothing"
        print(
            f"{one.point:34} {where:14} {'killed' if one.died else 'NOT REACHED':12} {'; '.join(one.broken) or 'whole'}"
        )
    return 1 if any(one.broken or not one.died for one in starts) else 0


if __name__ == "__main__":
    sys.exit(main())
