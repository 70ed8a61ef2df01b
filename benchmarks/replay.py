"""The daemon's own cadence in simulated time: it learns from polls alone, then its checks are weighed against a law."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from daemon.core.cadence import Bounds, LearnedCadence
from daemon.core.ids import TaskId
from daemon.core.task import LaneName, Task

from benchmarks.laws import Law, Outcome, durations, of_schedule

TYPICAL = 60.0
FREE = Bounds(min_gap=0.2, max_gap=1e9, retention=1e9)


def watched(now: float = float("-inf")) -> Task:
    """Return a task born at 0 and last seen alive at *now*."""
    return Task(
        id=TaskId("tsk_1"), provider=LaneName("bench"), remote_id="r1", model="m", updated_at=0.0, born=0.0,
        deadline=1e12, next_at=0.0, seen=now,
    )  # fmt: skip


def checks(cadence: LearnedCadence) -> Iterator[float]:
    """Yield the ages at which *cadence* would poll a task that never ends."""
    task = replace(watched(), seen=0.0)
    age = cadence.first(task, 0.0).delay
    while True:
        yield age
        task = replace(task, seen=age)
        age += cadence.next(task, age).delay


def live_through(cadence: LearnedCadence, duration: float) -> None:
    """Poll one task to its end, as the daemon does, and let the cadence learn from what was seen."""
    task = replace(watched(), seen=0.0)
    for age in checks(cadence):
        if age >= duration:
            cadence.ended(task, age, has_succeeded=True)
            return
        cadence.alive(task, age)
        task = replace(task, seen=age)


def learn(law: Law, endings: int, *, price: float, seed: int, into: LearnedCadence | None = None) -> LearnedCadence:
    """Return a cadence that has seen so many endings of the law."""
    dice = Random(f"{law.name}/{seed}")  # noqa: S311 (a simulation)
    cadence = into or LearnedCadence(typical=TYPICAL, price=price, bounds=FREE)
    for _ in range(endings):
        live_through(cadence, law.draw(dice))
    return cadence


def curve(cadence: LearnedCadence, law: Law, price: float) -> Outcome:
    """Return what the cadence gives at *price* for the law, learning nothing more."""
    before, cadence.price = cadence.price, price
    schedule: list[float] = []
    for age in checks(cadence):
        schedule.append(age)
        if age >= durations(law)[-1]:
            break
    cadence.price = before
    return of_schedule(law, schedule)


def seen(cadence: LearnedCadence, took: float) -> tuple[int, float]:
    """Return polls and delay for one duration, learning nothing."""
    for polls, age in enumerate(checks(cadence), 1):
        if age >= took:
            return polls, age - took
    raise AssertionError("checks go on for ever")
