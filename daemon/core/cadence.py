"""When to look next: the rule that turns a task's age into seconds to wait.

Backing off between successful polls is a mistake (it looks least often when tasks end most often), so a cadence is a
late first poll and then checks where they cost least under what was learned. A task that waits is planned by the law of
whole durations, and never sooner than the shortest runs could end; once it runs, the law of run times takes over.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple, Protocol

from daemon.core.durations import Durations
from daemon.core.experience import MODELS_KEPT, AtLeisure, Experience, Forecast, always
from daemon.core.law import Law, log_normal
from daemon.core.task import Status, Task

PRIOR_SIGMA = 0.8
LATE = 0.5
PRICE_SPAN = 100.0
PRICE_HALF_LIFE = 120.0
RAISE_EVERY = 1.0
RUN = "\x1f"
RUNS_FROM = 5.0
WAITING_AT, WAITING_MEMORY, WAITING_SHARE = 2, 10.0, 0.1
SOONER, LATER = 0.8, 1.25
BEND = 3.0


class Plan(NamedTuple):
    """Seconds until the next poll, and why in words a user can read."""

    delay: float
    reason: str


class Cadence(Protocol):
    """The rule of one lane; *now* is monotonic."""

    def first(self, task: Task, now: float) -> Plan:
        """Plan the first poll of a task just registered."""
        ...

    def next(self, task: Task, now: float) -> Plan:
        """Plan the poll after one that told a live task's state."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What binds a cadence whatever it wants, in seconds: ``min_gap`` always, ``max_gap`` in the tail, half of the
    provider's ``retention`` always.
    """

    min_gap: float
    max_gap: float
    retention: float


class LearnedCadence:
    """The cadence of one lane: polls where they cost least by what was learned, per model, shrunk to lane and prior.

    ``price`` moves: up where the lane cannot afford the polls it wants, slowly back to ``floor_price`` otherwise.
    """

    def __init__(self, *, typical: float, price: float, bounds: Bounds, at_leisure: AtLeisure = always) -> None:
        self.price = self.floor_price = price
        self._priced = self._raised = -inf
        self.bounds = bounds
        self.typical = typical
        self._waiting = 0.0
        self._openings: dict[str | None, tuple[Forecast, float, Plan]] = {}
        prior = log_normal(typical, PRIOR_SIGMA)
        self.whole = Experience(prior, f"the typical {typical:g} s", "endings", at_leisure)
        self.run = Experience(prior, f"the typical {typical:g} s", "run times", at_leisure)

    def first(self, task: Task, now: float) -> Plan:
        """Plan the first poll: late where the job is new, at once where it may well have ended already."""
        return self.opening(task.model, task.age(now))

    def opening(self, model: str | None, age: float) -> Plan:
        """Plan the first poll of a job of *model* that is *age* seconds old; jobs of age 0 share one plan."""
        forecast = self.whole.forecast(model)
        if age > 0:
            return self._opening(forecast, age)
        kept = self._openings.get(model)
        if kept is not None and kept[0] is forecast and kept[1] == self.price:
            return kept[2]
        if len(self._openings) >= 2 * MODELS_KEPT:
            self._openings.clear()
        plan = self._opening(forecast, age)
        self._openings[model] = (forecast, self.price, plan)
        return plan

    def next(self, task: Task, now: float) -> Plan:
        """Plan the next poll for a task of this age; *task* stands as the poll just made showed it."""
        forecast, since = self.whole.forecast(task.model), task.born
        run = self._runs(task.model)
        if run is not None and self._has_start(task):
            forecast, since = run, task.begun
        age = max(0.0, now - since)
        delay, reason = forecast.gap(age, self.price), forecast.reason
        if task.outlook is not None or (run is not None and task.status is Status.QUEUED):
            delay, reason = _bent(task, run, Plan(delay, reason), now)
        bounds = self.bounds
        if age >= forecast.tail and delay > bounds.max_gap:
            delay = bounds.max_gap
        return Plan(max(bounds.min_gap, min(delay, bounds.retention / 2)), reason)

    def _runs(self, model: str | None) -> Forecast | None:
        """Return the forecast of run times, where enough are known."""
        if self.run.lane.changes == 0 and self.run.lane.settled == 0 and not self.run.lane.recent:
            return None
        forecast = self.run.forecast(model)
        return forecast if forecast.law.endings >= RUNS_FROM else None

    def _opening(self, forecast: Forecast, age: float) -> Plan:
        if age > forecast.late:
            return Plan(self.bounds.min_gap, f"at once: by {age:.3g} s many of {forecast.whose} have ended")
        delay = self._bound(forecast.gap(age, self.price))
        share = 100 * forecast.share_ended(age + delay)
        return Plan(delay, f"first poll at the {share:.2g} % quantile of {forecast.whose}")

    def _bound(self, delay: float) -> float:
        return max(self.bounds.min_gap, min(delay, self.bounds.retention / 2))

    def alive(self, task: Task, now: float) -> None:
        """Learn that *task*, seen alive before, is alive now."""
        if task.polls == WAITING_AT:
            self._waiting += ((task.status is Status.QUEUED) - self._waiting) / WAITING_MEMORY
        if task.seen > -inf:
            self.whole.alive(task.model, task.age(task.seen), task.age(now))
            if self._has_start(task) and task.begun <= now:
                self.run.alive(task.model, max(0.0, task.seen - task.begun), now - task.begun)

    def ended(self, task: Task, now: float, *, has_succeeded: bool) -> None:
        """Learn that *task*, seen alive before, has ended by *now* (or at *now*, where the provider told when)."""
        if task.seen > -inf:
            since = min(task.age(task.seen), task.age(now))
            self.whole.ended(task.model, since, task.age(now), has_succeeded=has_succeeded)
            if self._has_start(task) and task.begun <= now:
                ran = max(0.0, min(task.seen, now) - task.begun)
                self.run.ended(task.model, ran, now - task.begun, has_succeeded=has_succeeded)

    def _has_start(self, task: Task) -> bool:
        """Whether the start of the run is told, or seen in a lane where tasks do wait in a queue.

        Elsewhere "first seen to run" says nothing but when the first poll was.
        """
        return task.begun > -inf and (task.started_at is not None or self._waiting >= WAITING_SHARE)

    def throttled(self, now: float) -> None:
        """Raise the price after a 429, at most once a second: every task's gaps stretch alike."""
        if now - self._raised >= RAISE_EVERY:
            self._raised = now
            self._set_price(self.price * 1.5, now)

    def paced(self, lateness: float, now: float) -> None:
        """Let the price follow how late polls start for want of rate: up while the lane cannot keep its plan, at most
        once a second, and back with a half-life of two minutes otherwise.
        """
        if lateness > max(LATE, 0.1 * self.bounds.min_gap):
            if now - self._raised >= RAISE_EVERY:
                self._raised = now
                self._set_price(self.price * 1.03, now)
        elif self.price > self.floor_price:
            self._set_price(self.price, now)
        else:
            self._priced = now

    def _set_price(self, price: float, now: float) -> None:
        fade = 0.5 ** (max(0.0, now - self._priced) / PRICE_HALF_LIFE) if self._priced > -inf else 1.0
        faded = self.floor_price + (price - self.floor_price) * fade
        self.price = min(max(faded, self.floor_price), self.floor_price * PRICE_SPAN)
        self._priced = now

    def adopt(self, other: LearnedCadence) -> None:
        """Go on with what *other* has learned, under this one's settings."""
        self.whole.adopt(other.whole)
        self.run.adopt(other.run)
        self._waiting = other._waiting
        self.price = max(self.floor_price, min(other.price, self.floor_price * PRICE_SPAN))

    def tables(self) -> dict[str, Durations]:
        """Return what was learned by model, the lane's own under the empty name; run times under names that begin with
        the unit separator, which no model's name does.
        """
        runs = {RUN: self.run.lane} | {RUN + model: table for model, table in self.run.models.items()}
        return {"": self.whole.lane, **self.whole.models} | runs

    def remember(self, model: str, table: Durations) -> bool:
        """Take up a table that ``tables`` once gave; False where there is no room for another model."""
        if not model.startswith(RUN):
            return self.whole.remember(model, table)
        self._waiting = 1.0
        return self.run.remember(model.removeprefix(RUN), table)

    def law_of(self, model: str | None) -> Law:
        """Return the law that tasks of *model* are polled by."""
        return self.whole.forecast(model).law


def _bent(task: Task, run: Forecast | None, plan: Plan, now: float) -> Plan:
    """Return *plan*, loosened or tightened by what the task itself promises, at most threefold."""
    promise = task.outlook.at - now if task.outlook is not None and task.outlook.is_steady else 0.0
    most, least = plan.delay * BEND, plan.delay / BEND
    if task.status is Status.QUEUED:
        start = max(0.0, SOONER * promise)
        wait = min(start + (0.0 if run is None else run.soon), most)
        if wait <= plan.delay:
            return plan
        if start > 0 or run is None:
            return Plan(wait, f"at place {task.queue_position} in the queue, about {promise:.3g} s from its start")
        return Plan(wait, f"in the queue, and hardly a run is shorter, by {run.whose}")
    if promise > 0 and plan.delay < SOONER * promise:
        return Plan(min(SOONER * promise, most), _by_progress(task, promise))
    if promise > 0 and plan.delay > LATER * promise:
        return Plan(max(LATER * promise, least), _by_progress(task, promise))
    return plan


def _by_progress(task: Task, promise: float) -> str:
    return f"by its progress of {100 * (task.progress or 0):.0f} %, about {promise:.3g} s from its end"
