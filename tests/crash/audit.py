"""The audit: what was promised, what the world saw and what the database holds, held against each other.

Every sentence it finds is a guarantee broken. It opens the database of a daemon that has ended.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.crash.load import Acknowledged
from tests.crash.world import MINE, Arrival, World

ENDS = ("succeeded", "failed", "canceled", "expired", "lost", "timed_out")
EXPECTED = {
    "failing": {"failed"},
    "stopped": {"timed_out", "lost"},
    "late": {"timed_out", "succeeded"},
    "gone": {"timed_out", "lost"},
}
BESIDE = {"pollhook.db", "pollhook.db-wal", "pollhook.db-shm", "pollhook.db.lock", "api-token", "master-key",
          "store-key", "outputs"}  # fmt: skip


@dataclass(slots=True)
class Figures:
    """What was found; ``broken`` are guarantees that did not hold."""

    registrations: int = 0
    lost: list[str] = field(default_factory=list)
    endings: int = 0
    untold: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    webhooks: int = 0
    repeats: list[tuple[float, str]] = field(default_factory=list)
    in_flight: int = 0
    billed: int = 0
    broken: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Evidence:
    """The database as rows, and the ledgers outside."""

    state: Path
    world: World
    promised: Acknowledged
    deaths: Mapping[int, float]
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    accepted: Counter[str] = field(default_factory=Counter)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def read(self) -> None:
        """Read the database."""
        with closing(sqlite3.connect(self.state / "pollhook.db")) as connection:
            connection.row_factory = sqlite3.Row

            def rows(sql: str) -> list[dict[str, Any]]:
                return [dict(row) for row in connection.execute(sql)]

            self.tasks = {row["id"]: row for row in rows("SELECT * FROM tasks")}
            self.events = {row["id"]: row for row in rows("SELECT * FROM events")}
            self.deliveries = rows("SELECT * FROM deliveries")
            self.outputs = rows("SELECT * FROM outputs")
            took = rows("SELECT delivery_id FROM attempts WHERE http_status BETWEEN 200 AND 299")
            self.accepted = Counter(row["delivery_id"] for row in took)
            self.health = [str(one) for row in rows("PRAGMA integrity_check") for one in row.values()]
            self.health += [str(row) for row in rows("PRAGMA foreign_key_check")]


def audit(evidence: Evidence) -> Figures:
    """Hold everything against everything."""
    evidence.read()
    found = Figures()
    if evidence.health != ["ok"]:
        found.broken += [f"the database: {one}" for one in evidence.health]
    found.broken += evidence.promised.troubles
    _registrations(evidence, found)
    _endings(evidence, found)
    _webhooks(evidence, found)
    found.broken += [*_outcomes(evidence), *_billing(evidence, found), *_files(evidence)]
    found.broken += [f"lost: {one}" for one in found.lost] + [f"untold: {one}" for one in found.untold]
    found.broken += [f"ended twice: {one}" for one in found.double]
    return found


def _registrations(evidence: Evidence, found: Figures) -> None:
    found.registrations = len(evidence.promised.tasks)
    for remote_id, ids in evidence.promised.tasks.items():
        if len(ids) != 1:
            found.broken.append(f"{remote_id} was acknowledged as several tasks: {sorted(ids)}")
        gone = [one for one in ids if one not in evidence.tasks and one not in evidence.promised.aged]
        found.lost += [f"{remote_id} ({one})" for one in gone]


def _endings(evidence: Evidence, found: Figures) -> None:
    endings: dict[str, list[str]] = defaultdict(list)
    for event in evidence.events.values():
        if event["type"].removeprefix("task.") in ENDS:
            endings[event["task_id"]].append(event["id"])
    told = {one.id for one in evidence.world.arrivals if one.status < 300 and one.is_signed}
    for id_, task in evidence.tasks.items():
        ends = endings.get(id_, [])
        if len(ends) > 1:
            found.double.append(f"{task['remote_id']}: {ends}")
        if (
            task["status"] in ENDS
            and (ends != [task["event_id"]] or ends[0] not in told)
            and not _is_aged(evidence, id_)
        ):
            found.untold.append(f"{task['remote_id']} {task['status']}: {ends}")
        if task["status"] in ("queued", "running") or (task["status"] == "stopped") != (
            id_ in evidence.promised.stopped
        ):
            found.untold.append(f"{task['remote_id']} is {task['status']}")
    found.endings = sum(map(len, endings.values()))


def _is_aged(evidence: Evidence, task_id: str) -> bool:
    return task_id in evidence.promised.aged


def _webhooks(evidence: Evidence, found: Figures) -> None:
    by_id: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in evidence.world.arrivals:
        by_id[arrival.id].append(arrival)
        if not arrival.is_signed:
            found.broken.append(f"{arrival.id} came to {arrival.endpoint} with no valid signature")
    found.webhooks = len(by_id)
    aged = {one for one in by_id if one not in evidence.events} if evidence.promised.aged else set()
    for id_, arrivals in by_id.items():
        bodies = {one.digest for one in arrivals}
        if id_ not in aged:
            event = evidence.events.get(id_)
            if event is None:
                found.broken.append(f"{id_} was told and is not in the database")
            elif bodies != {hashlib.sha256(event["body"]).hexdigest()}:
                found.broken.append(f"{id_} came with other bytes than the database holds")
        elif len(bodies) > 1:
            found.broken.append(f"{id_} came with different bytes")
        _repeats(evidence, found, id_, [one for one in arrivals if one.status < 300 and one.endpoint != MINE])
    for row in evidence.deliveries:
        if row["state"] != "delivered":
            found.broken.append(f"{row['event_id']} to {row['endpoint']} is {row['state']} ({row['reason']})")


def _repeats(evidence: Evidence, found: Figures, id_: str, taken: Sequence[Arrival]) -> None:
    """A webhook may come again only where the daemon died in between."""
    rows = [row for row in evidence.deliveries if row["event_id"] == id_ and row["endpoint"] != MINE]
    recorded = sum(evidence.accepted[row["id"]] for row in rows) if rows else 1
    found.in_flight += max(0, len(taken) - recorded)
    for first, second in pairwise(sorted(arrival.life for arrival in taken)):
        if first == second or first not in evidence.deaths:
            found.broken.append(f"{id_} was sent twice with no death between, by life {first}")
        else:
            found.repeats.append((evidence.deaths[first], id_))


def _outcomes(evidence: Evidence) -> Iterator[str]:
    for task in evidence.tasks.values():
        job = evidence.world.jobs.get(task["remote_id"])
        if job is not None and task["status"] != "stopped":
            expected = EXPECTED.get(job.kind, {"succeeded"})
            if task["status"] not in expected:
                yield f"{job.id} ended as {task['status']}, expected {sorted(expected)}"


def _billing(evidence: Evidence, found: Figures) -> Iterator[str]:
    for job in evidence.world.jobs.values():
        if job.kind in ("paid", "deferred"):
            found.billed += job.billed
            if job.billed > 1:
                yield f"{job.id} was billed {job.billed} times"


def _files(evidence: Evidence) -> Iterator[str]:
    shelf = evidence.state / "outputs"
    for row in evidence.outputs:
        path = shelf / row["task_id"] / str(row["number"])
        if row["task_id"] not in evidence.tasks:
            yield f"output {path.relative_to(shelf)} outlived its task"
        elif not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
            yield f"output {path.relative_to(shelf)} is not what the database says"
    for folder in shelf.iterdir() if shelf.is_dir() else ():
        known = {str(row["number"]) for row in evidence.outputs if row["task_id"] == folder.name}
        left = {file.name for file in folder.iterdir() if not file.name.startswith(".")} - known
        if left:
            yield f"left behind on the shelf: {folder.name}/{sorted(left)}"
    left = {file.name for file in evidence.state.iterdir()} - BESIDE
    left = {name for name in left if not name.startswith("pollhook.db.schema-")}
    if left:
        yield f"left behind beside the database: {sorted(left)}"


def expected_saves(evidence: Evidence) -> list[str]:
    """Return the tasks whose output should lie on the shelf and does not."""
    held = {row["task_id"] for row in evidence.outputs}
    wanted = [
        task for task in evidence.tasks.values() if task["remote_id"].partition("-")[0] in ("inline", "saved", "held")
    ]
    return [
        json.dumps(task["remote_id"]) for task in wanted if task["id"] not in held and task["status"] == "succeeded"
    ]
