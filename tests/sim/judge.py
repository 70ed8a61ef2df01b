"""What must hold at the end of a run, whatever happened in it (DESIGN section 2)."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from daemon.core.delivery import DeliveryState
from daemon.core.ids import TaskId
from daemon.core.record import DeliveryQuery
from daemon.service.parts import Parts
from tests.sim.people import Provider, Receiver

RATE, BURST, SLOTS = 5.0, 5.0, 8
DIALLING = 0.01  # a poll that had been started when the answer came is none against it
NOTED_WITHIN = 1.0  # a hold is a note: a process that dies within this time of it may forget it
ENDINGS = {f"task.{word}" for word in ("succeeded", "failed", "canceled", "expired", "lost", "timed_out")}


async def complaints(
    parts: Parts,
    acked: dict[str, tuple[Provider, str, str]],
    truth: dict[str, Provider],
    receivers: dict[str, Receiver],
    deaths: list[float],
) -> list[str]:
    """Return what is wrong, each in a sentence."""
    told = await _feed(parts)
    found = [*_limits(truth, deaths), *_receivers(receivers, len(deaths))]
    found += await _ends(parts, acked, told)
    found += await _deliveries(parts, acked, told, receivers)
    return found


async def _feed(parts: Parts) -> dict[str, list[Any]]:
    by_task, after = defaultdict(list), 0
    while items := await parts.store.outbox.feed(after, 500):
        after = items[-1].seq
        for item in items:
            if item.task_id is not None and item.type in ENDINGS:
                by_task[item.task_id].append(item)
    return by_task


async def _ends(parts: Parts, acked: dict[str, tuple[Provider, str, str]], told: dict[str, list[Any]]) -> list[str]:
    found = []
    for task_id, (provider, remote, _) in acked.items():
        record = await parts.store.watchlist.record(TaskId(task_id))
        if record is None:
            found.append(f"{task_id} was acknowledged and is gone")
            continue
        job, count = provider.jobs[remote], len(told.get(task_id, []))
        if not record.status.is_terminal:
            found.append(f"{task_id} ({remote} at {provider.name}) never ended: {record.status}, {record.last_miss}")
        elif count != 1:
            found.append(f"{task_id} ended with {count} terminal events")
        elif record.status == "timed_out":
            if record.ended_at < record.deadline_at - 15_000:
                found.append(f"{task_id} timed out {record.deadline_at - record.ended_at:.0f} s before its deadline")
        elif record.status != job.outcome:
            found.append(f"{task_id} was told {record.status}, in truth it {job.outcome}")
    return found


async def _deliveries(
    parts: Parts,
    acked: dict[str, tuple[Provider, str, str]],
    told: dict[str, list[Any]],
    receivers: dict[str, Receiver],
) -> list[str]:
    found = []
    for task_id, items in told.items():
        endpoint = acked[task_id][2] if task_id in acked else None
        for item in items:
            for row in await parts.store.outbox.deliveries_of(item.id):
                if endpoint is not None and row.endpoint != endpoint:
                    found.append(f"{item.id} is owed to {row.endpoint}, not to {endpoint}")
                heard = receivers[row.endpoint].heard.get(item.id)
                if row.state is DeliveryState.DELIVERED and (heard is None or not heard.taken):
                    found.append(f"{row.id} is recorded as delivered, and nobody took it")
                if row.state is DeliveryState.PENDING:
                    found.append(f"{row.id} is still pending long after the weather cleared: {row.reason}")
                if row.state is not DeliveryState.DELIVERED and not row.reason:
                    found.append(f"{row.id} is {row.state} without a reason")
    states = Counter(row.state for row in await parts.store.outbox.page(DeliveryQuery(limit=500)))
    if states[DeliveryState.PARKED]:
        found.append(f"{states[DeliveryState.PARKED]} deliveries are parked though no endpoint was ever disabled")
    return found


def _receivers(receivers: dict[str, Receiver], crashes: int) -> list[str]:
    found = []
    for name, receiver in receivers.items():
        found += [f"{name} got a forged or misdated event {event}" for event in receiver.forged[:3]]
        for event, heard in receiver.heard.items():
            if len(heard.bodies) != 1:
                found.append(f"{event} came to {name} with {len(heard.bodies)} different bodies")
            if heard.taken > 1 + crashes:
                found.append(f"{event} was taken {heard.taken} times by {name} over {crashes} crashes")
    return found


def _limits(truth: dict[str, Provider], deaths: list[float]) -> list[str]:
    found = []
    for provider in truth.values():
        times = [at for at, _ in provider.polls]
        for start in range(len(times)):
            for width in (20, 100):
                if start + width < len(times):
                    span = times[start + width] - times[start]
                    if width > RATE * span + BURST + 2:
                        found.append(f"{provider.name} was asked {width} times in {span:.2f} s, {RATE}/s are allowed")
        if provider.most_flying > SLOTS:
            found.append(f"{provider.name} had {provider.most_flying} requests at once, {SLOTS} are allowed")
        if provider.twice:
            found.append(f"{provider.name} was asked twice at once for {provider.twice[0]}")
        for at, held_at in provider.unheeded:
            is_under_way = at <= held_at + DIALLING
            if not is_under_way and not any(held_at <= death <= held_at + NOTED_WITHIN for death in deaths):
                found.append(f"{provider.name} was asked at {at:.3f} in spite of a Retry-After told at {held_at:.3f}")
        late = [remote for remote, times in provider.shown.items() if len(times) > 3]
        if late:
            found.append(f"{provider.name} told the end of {late[0]} {len(provider.shown[late[0]])} times")
    return found[:20]
