"""Every ledger against every other: what the API acknowledged, what the providers know, what arrived, what is stored."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

from tests.soak.churn import Ledger
from tests.soak.providers import Providers
from tests.soak.receivers import Receivers


def differences(database: Path, ledger: Ledger, providers: Providers, receivers: Receivers) -> dict[str, list[str]]:
    """Return what does not agree, by the rule it breaks; every list is empty where all ledgers agree."""
    found: dict[str, list[str]] = defaultdict(list)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as stored:
        found["the database is whole"] += (
            [] if stored.execute("PRAGMA integrity_check").fetchone() == ("ok",) else ["!"]
        )
        tasks = {
            row[0]: row[1:] for row in stored.execute("SELECT id, provider, remote_id, status, event_id FROM tasks")
        }
        events = {row[0]: row[1:] for row in stored.execute("SELECT id, type, task_id, body FROM events")}
        owed: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for event, endpoint, state in stored.execute("SELECT event_id, endpoint, state FROM deliveries"):
            owed[event].append((endpoint, state))
    _tasks(found, tasks, ledger, providers)
    _events(found, tasks, events)
    _deliveries(found, tasks, events, owed, ledger, receivers)
    found["the API answered as it should"] += ledger.odd
    found["signatures hold"] += receivers.complaints
    found["keys stay home"] += ["!"] * providers.wrong_keys
    return dict(found)


def _tasks(found, tasks, ledger, providers) -> None:
    for task, (lane, remote_id, _) in ledger.tasks.items():
        stored = tasks.get(task)
        if stored is None or stored[:2] != (lane, remote_id):
            found["no registration is lost"].append(task)
            continue
        truth = "stopped" if task in ledger.stopped else providers.jobs[lane, remote_id].status
        if stored[2] != truth:
            found["a task ends as its provider says"].append(f"{task}: {stored[2]}, not {truth}")
    found["nothing is watched that nobody registered"] += [task for task in tasks if task not in ledger.tasks]


def _events(found, tasks, events) -> None:
    told = Counter(task for kind, task, _ in events.values() if task is not None)
    for task, (_, _, status, event) in tasks.items():
        wanted = 0 if status == "stopped" else 1
        if told[task] != wanted:
            found["a task ends once"].append(f"{task} {status}: {told[task]} events")
        elif wanted and events[event][:2] != (f"task.{status}", task):
            found["an event tells what is stored"].append(event)


def _deliveries(found, tasks, events, owed, ledger, receivers) -> None:
    for event, (kind, task, body) in events.items():
        if task is None:
            continue
        endpoint = ledger.tasks[task][2] if task in ledger.tasks else "?"
        if owed[event] != [(endpoint, "delivered")]:
            found["every event is delivered to whom it is owed"].append(f"{event} {kind}: {owed[event]}")
        taken = receivers.taken.get(event, {})
        if taken.get(endpoint, 0) < 1:
            found["every event arrived"].append(event)
        if sum(taken.values()) > 1:
            found["none arrived twice (nothing was killed)"].append(f"{event}: {dict(taken)}")
        if receivers.digests.get(event) != {hashlib.sha256(body).hexdigest()}:
            found["the bytes are those that are stored"].append(event)
    strangers = set(receivers.tasks) - set(tasks)
    found["nothing arrived that is not stored"] += sorted(strangers)
