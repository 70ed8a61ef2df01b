"""A real store on a real file, and the few values its tests put there."""

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.core.delivery import Delivery, DeliveryState
from daemon.core.event import Event
from daemon.core.ids import delivery_id, event_id, task_id
from daemon.core.observation import Ended
from daemon.core.record import AttemptRecord, Owed, TaskRecord, ToEndpoint
from daemon.core.task import LaneName, Status, Task
from daemon.engine.ports import Ending, Settled
from daemon.store.store import Store, open_store

NOW = 1_764_000_000.0


@pytest.fixture
async def commits() -> list[tuple[float, int]]:
    return []


@pytest.fixture
async def store(tmp_path: Path, commits: list[tuple[float, int]]) -> AsyncIterator[Store]:
    opened = await open_store(tmp_path / "state" / "pollhook.db", on_commit=lambda *told: commits.append(told))
    yield opened
    await opened.close()


def newcomer(remote_id: str = "job-1", **changes: object) -> TaskRecord:
    record = TaskRecord(
        id=task_id(NOW, secrets.randbits(74)),
        provider=LaneName("amux"),
        remote_id=remote_id,
        model="seedance-2.0",
        params=(("model", "seedance-2.0"),),
        status_url=None,
        fetch_result=None,
        wishes=frozenset(),
        metadata={},
        target=ToEndpoint(name="default"),
        status=Status.QUEUED,
        progress=None,
        queue_position=None,
        outputs=(),
        error=None,
        created_at=NOW,
        registered_at=NOW + 1,
        updated_at=NOW + 1,
        started_at=None,
        finished_at=None,
        ended_at=None,
        deadline_at=NOW + 3600,
        polls=0,
        next_poll_at=None,
        next_poll_reason=None,
        last_miss=None,
        event_id=None,
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def watched(record: TaskRecord, **changes: object) -> Task:
    task = Task(
        id=record.id,
        provider=record.provider,
        remote_id=record.remote_id,
        model=record.model,
        updated_at=NOW + 2,
        born=100.0,
        deadline=3700.0,
        next_at=130.0,
        polls=3,
    )
    return replace(task, **changes)  # type: ignore[arg-type]


def event(kind: str = "endpoint.test", **changes: object) -> Event:
    made = Event(id=event_id(NOW, secrets.randbits(74)), type=kind, task_id=None, created_at=NOW, body=b'{"a": 1}')
    return replace(made, **changes)  # type: ignore[arg-type]


def owed(of: Event, endpoint: str = "default", **changes: object) -> Owed:
    one = Delivery(id=delivery_id(NOW, secrets.randbits(74)), event_id=of.id, endpoint=endpoint, url=None)
    return replace(Owed(delivery=one, due_at=NOW), **changes)  # type: ignore[arg-type]


def ending(record: TaskRecord, outcome: str = "succeeded", **changes: object) -> Ending:
    told = event(f"task.{outcome}", task_id=record.id)
    ended = replace(Ended(outcome=Status(outcome)), **changes)  # type: ignore[arg-type]
    return Ending(task=watched(record), ended=ended, event=told, owed=(owed(told),), ended_at=NOW + 60)


def settled(delivery: Delivery, state: str, **changes: object) -> Settled:
    attempt = AttemptRecord(
        number=delivery.attempts + 1,
        started_at=NOW + 61,
        seconds=0.5,
        http_status=204 if state == "delivered" else 500,
        refusal=None,
        detail=None,
        address="127.0.0.1",
    )
    due_at = NOW + 90 if state == "pending" else None
    made = Settled(delivery=delivery, attempt=attempt, state=DeliveryState(state), due_at=due_at, reason=None)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def a() -> SimpleNamespace:
    """Makers of values: ``a.newcomer("job-1")`` reads as it is."""
    makers: dict[str, Callable[..., object]] = {
        "newcomer": newcomer,
        "watched": watched,
        "event": event,
        "owed": owed,
        "ending": ending,
        "settled": settled,
    }
    return SimpleNamespace(**makers, NOW=NOW)
