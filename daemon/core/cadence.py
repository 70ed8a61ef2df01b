"""When to look next: the rule that turns a task's age into seconds to wait.

Backing off between successful polls is a mistake (it looks least often when tasks end most often), so a cadence is a
late first poll and then a density. Theory: Keller 1974, Management Science 21(3), 256-260.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from math import exp, inf, isfinite, sqrt
from typing import Protocol

from daemon.core.durations import Durations, Law, edges, learned, log_normal
from daemon.core.task import Task

PRIOR_SIGMA = 0.6
BELIEF = 2.0
BLUR = 0.05
LATE_SHARE = 0.1
TAIL_FROM = 0.5
LATE = 0.5
PRICE_SPAN = 100.0
PRICE_HALF_LIFE = 120.0
RAISE_EVERY = 1.0
MODELS_KEPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
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


class Density:
    """Checks by Keller's density for one law: the k-th stands where the integral of n(t) = sqrt(h(t) / (2 price)) is k.

    The integral is kept for price 1, so that a price only stretches the steps between checks.
    """

    __slots__ = ("_integral", "_places", "_risk", "late", "law", "tail")

    def __init__(self, law: Law) -> None:
        self.law = law
        self._places = edges()
        integral, risk = [0.0], [0.0]
        for place, rate in enumerate(law.hazard):
            width = self._places[place + 1] - self._places[place]
            integral.append(integral[-1] + sqrt(max(rate, 0.0) / 2) * width)
            risk.append(risk[-1] + max(rate, 0.0) * width)
        self._integral, self._risk = integral, risk
        self.late, self.tail = law.quantile(LATE_SHARE), law.quantile(TAIL_FROM)

    def share_ended(self, age: float) -> float:
        """Return the share of tasks that have ended by *age*."""
        place = min(bisect_right(self._places, age) - 1, len(self.law.hazard) - 1)
        return 1 - exp(-self._risk[place] - self.law.hazard[place] * (age - self._places[place]))

    def after(self, age: float, price: float) -> float:
        """Return the age of the check that follows one at *age*."""
        place = min(bisect_right(self._places, age) - 1, len(self.law.hazard) - 1)
        here = self._integral[place] + sqrt(max(self.law.hazard[place], 0.0) / 2) * (age - self._places[place])
        return self._at(here + sqrt(price))

    def _at(self, value: float) -> float:
        place = min(bisect_right(self._integral, value) - 1, len(self.law.hazard) - 1)
        step = self._integral[place + 1] - self._integral[place]
        share = (value - self._integral[place]) / step if step > 0 else 1.0
        return self._places[place] + (self._places[place + 1] - self._places[place]) * min(share, 1.0)


class LearnedCadence:
    """The cadence of one lane: polls by the hazard of what was learned, per model, shrunk to the lane and the prior.

    ``price`` moves: up where the lane cannot afford the density it wants, slowly back to ``floor_price`` otherwise.
    """

    def __init__(self, *, typical: float, price: float, bounds: Bounds) -> None:
        self.price = self.floor_price = price
        self._priced = self._raised = -inf
        self.bounds = bounds
        self.typical = typical
        self.lane = Durations()
        self.models: dict[str, Durations] = {}
        self._prior = Density(log_normal(typical, PRIOR_SIGMA))
        self._lane = _Kept()
        self._kept: dict[str, _Kept] = {}

    def first(self, task: Task, now: float) -> Plan:
        """Plan the first poll: late where the job is new, at once where it may well have ended already."""
        density, of = self._density(task.model)
        age = task.age(now)
        if age > density.late:
            return Plan(delay=self.bounds.min_gap, reason=f"at once: by {age:.3g} s many of {of} have ended")
        check = density.after(age, self.price)
        delay = self._bound(check - age)
        share = 100 * density.share_ended(age + delay)
        return Plan(delay=delay, reason=f"first poll at the {share:.2g} % quantile of {of}")

    def next(self, task: Task, now: float) -> Plan:
        """Plan the next poll by the density at this age."""
        density, of = self._density(task.model)
        age = task.age(now)
        check = density.after(age, self.price)
        delay = check - age if check > age else self.bounds.max_gap
        if age >= density.tail:
            delay = min(delay, self.bounds.max_gap)
        delay = self._bound(delay)
        return Plan(delay=delay, reason=f"by the endings of {of} at this age")

    def _bound(self, delay: float) -> float:
        return max(self.bounds.min_gap, min(delay, self.bounds.retention / 2) if isfinite(delay) else 0.0)

    def alive(self, task: Task, now: float) -> None:
        """Learn that *task*, seen alive before, is alive now."""
        if task.seen > -inf:
            for table in self._tables(task.model):
                table.alive(task.age(task.seen), task.age(now))

    def ended(self, task: Task, now: float, *, has_succeeded: bool) -> None:
        """Learn that *task*, seen alive before, has ended by *now* (or at *now*, where the provider told when)."""
        if task.seen > -inf:
            for table in self._tables(task.model):
                table.ended(min(task.age(task.seen), task.age(now)), task.age(now), has_succeeded=has_succeeded)

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
        else:
            self._set_price(self.price, now)

    def _set_price(self, price: float, now: float) -> None:
        fade = 0.5 ** (max(0.0, now - self._priced) / PRICE_HALF_LIFE) if self._priced > -inf else 1.0
        faded = self.floor_price + (price - self.floor_price) * fade
        self.price = min(max(faded, self.floor_price), self.floor_price * PRICE_SPAN)
        self._priced = now

    def adopt(self, other: LearnedCadence) -> None:
        """Go on with what *other* has learned, under this one's settings."""
        self.lane, self.models = other.lane, other.models
        self.price = max(self.floor_price, min(other.price, self.floor_price * PRICE_SPAN))

    def tables(self) -> dict[str, Durations]:
        """Return what was learned by model, the lane's own under the empty name."""
        return {"": self.lane, **self.models}

    def remember(self, model: str, table: Durations) -> None:
        """Take up a table that ``tables`` once gave."""
        if not model:
            self.lane = table
        elif len(self.models) < MODELS_KEPT:
            self.models[model] = table

    def law_of(self, model: str | None) -> Law:
        """Return the law that tasks of *model* are polled by."""
        return self._density(model)[0].law

    def _tables(self, model: str | None) -> tuple[Durations, ...]:
        if model is None:
            return (self.lane,)
        if model not in self.models:
            if len(self.models) >= MODELS_KEPT:
                least = min(self.models, key=lambda name: self.models[name].changes)
                del self.models[least]
                self._kept.pop(least, None)
            self.models[model] = Durations()
        return (self.lane, self.models[model])

    def _density(self, model: str | None) -> tuple[Density, str]:
        lane = self._lane.of(self.lane, self._prior)
        table = None if model is None else self.models.get(model)
        if table is None or model is None:
            return lane, self._named(lane, "this lane")
        density = self._kept.setdefault(model, _Kept()).of(table, lane)
        return density, self._named(density, model)

    def _named(self, density: Density, whose: str) -> str:
        if density.law.endings < 1:
            return f"the typical {self.typical:g} s"
        return f"{density.law.endings:.0f} endings of {whose}"


@dataclass(slots=True)
class _Kept:
    """A density kept until its table has changed by a twentieth, or the one below it was made anew."""

    density: Density | None = None
    changes: int = -1
    below: Density | None = None

    def of(self, table: Durations, below: Density) -> Density:
        stale = table.changes - self.changes > max(0.0, table.endings / 20)
        if self.density is None or stale or (self.below is not below and self.density.law.endings < 5 * BELIEF):
            self.density = Density(learned(table, below.law, belief=BELIEF, blur=BLUR))
            self.changes, self.below = table.changes, below
        return self.density
