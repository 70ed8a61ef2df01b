"""What one lane has lived through: a life table for itself and one per model, and the forecast each of them allows.

Forecasts are made when they are asked for and kept until their table has changed by a twentieth (by a tenth, once it
holds a hundred endings), so that a plan costs a look-up. Making one costs milliseconds, so whoever runs this may say
that there is no leisure for it at the moment: then the last one serves on, or that of the lane.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from math import exp, sqrt
from statistics import NormalDist
from typing import TypeAlias

from daemon.core.checks import Checks
from daemon.core.durations import Durations
from daemon.core.law import BINS, Law, edges
from daemon.core.learning import Beliefs, learned

BELIEFS = Beliefs(prior=2.0, blur=0.05)
LATE_SHARE = 0.1
TAIL_FROM = 0.5
SOON_SHARE = 0.02
MODELS_KEPT = 200
PRICE_STEP = 1.25
BELIEVES_ITSELF = 10.0
SCORED_FROM = 8.0
FEW, MANY, HUNDRED = 20, 10, 100.0
_NORMAL = NormalDist()
_NO_SURER = 1e-4
AtLeisure: TypeAlias = Callable[[], bool]
"""Answers whether there is time for a few milliseconds of thought; asked before each."""


def always() -> bool:
    """Have leisure at any time, as a simulation has."""
    return True


class Forecast:
    """When tasks of one law are expected to end, when to look for that, and *whose* endings say so."""

    __slots__ = ("_at_leisure", "_checks", "_places", "_risk", "late", "law", "reason", "soon", "tail", "whose")

    def __init__(self, law: Law, whose: str, at_leisure: AtLeisure = always) -> None:
        self._at_leisure = at_leisure
        self.law, self.whose = law, whose
        self.reason = f"by {whose} at this age"
        self._places, self._checks = edges(), None
        risk = [0.0]
        for place, rate in enumerate(law.hazard):
            risk.append(risk[-1] + max(rate, 0.0) * (self._places[place + 1] - self._places[place]))
        self._risk = risk
        self.soon, self.late, self.tail = map(law.quantile, (SOON_SHARE, LATE_SHARE, TAIL_FROM))

    _checks: Checks | None

    def share_ended(self, age: float) -> float:
        """Return the share of tasks that have ended by *age*."""
        place = min(bisect_right(self._places, age) - 1, BINS - 1)
        return 1 - exp(-self._risk[place] - self.law.hazard[place] * (age - self._places[place]))

    def gap(self, age: float, price: float) -> float:
        """Return the seconds to the check that follows one at *age*; between remade tables a price stretches gaps."""
        checks = self._checks
        if checks is None or (not _is_near(price, checks.price) and self._at_leisure()):
            checks = self._checks = Checks(self.law, price)
        gap = checks.after(age) - age
        return gap if checks.price == price else gap * sqrt(price / checks.price)

    def score(self, since: float, until: float) -> float:
        """Return how late an ending between two ages comes by this law, as a standard normal deviate."""
        if self.law.endings < SCORED_FROM:
            return 0.0
        share = (self.share_ended(since) + self.share_ended(until)) / 2
        return _NORMAL.inv_cdf(min(max(share, _NO_SURER), 1 - _NO_SURER))


def _is_near(price: float, made_at: float) -> bool:
    return made_at <= price * PRICE_STEP <= made_at * PRICE_STEP * PRICE_STEP


class Experience:
    """The life tables of a lane and of its models.

    *unlearned* names what is believed before any, *ends* what they hold.
    """

    def __init__(self, prior: Law, unlearned: str, ends: str, at_leisure: AtLeisure = always) -> None:
        self.lane = Durations()
        self.models: dict[str, Durations] = {}
        self._ends = ends
        self._at_leisure = at_leisure
        self._prior = Forecast(prior, unlearned, at_leisure)
        self._lane = _Kept(at_leisure)
        self._kept: dict[str, _Kept] = {}

    def adopt(self, other: Experience) -> None:
        """Go on from the tables of *other*."""
        self.lane, self.models = other.lane, other.models

    def forecast(self, model: str | None) -> Forecast:
        """Return what is expected of tasks of *model*: by its own table over the lane's, over the prior."""
        lane = self._lane.of(self.lane, self._prior, f"{self._ends} of this lane")
        table = None if model is None else self.models.get(model)
        if table is None or model is None:
            return lane
        kept = self._kept.get(model)
        if kept is None:
            kept = self._kept[model] = _Kept(self._at_leisure)
        return kept.of(table, lane, f"{self._ends} of {model}")

    def alive(self, model: str | None, since: float, until: float) -> None:
        """Learn that a task alive at one age is alive at another."""
        for table in self._tables(model):
            table.alive(since, until)

    def ended(self, model: str | None, since: float, until: float, *, has_succeeded: bool) -> None:
        """Learn that a task alive at one age had ended by another."""
        tables = self._tables(model)
        forecasts = [self.forecast(whose) for whose in (None, model)]
        for table, forecast in zip(tables, forecasts, strict=False):
            score = forecast.score(since, until)
            table.ended(since, until, has_succeeded=has_succeeded, score=score, law=forecast.law)

    def remember(self, model: str, table: Durations) -> bool:
        """Take up a table, the lane's own under the empty name; False where there is no room for another model."""
        if not model:
            self.lane = table
            return True
        has_room = len(self.models) < MODELS_KEPT
        if has_room:
            self.models[model] = table
        return has_room

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


@dataclass(slots=True)
class _Kept:
    """A forecast kept until its table has changed enough, or the one below it was made anew, and there is leisure."""

    at_leisure: AtLeisure
    forecast: Forecast | None = None
    changes: int = -1
    until: float = -1.0
    below: Forecast | None = None

    def of(self, table: Durations, below: Forecast, ends: str) -> Forecast:
        forecast = self.forecast
        if (
            forecast is not None
            and self.changes <= table.changes <= self.until
            and (self.below is below or forecast.law.endings >= BELIEVES_ITSELF)
        ):
            return forecast
        if not self.at_leisure():
            return below if forecast is None else forecast
        law = learned(table, below.law, BELIEFS)
        named = below.whose if law.endings < 1 else f"{law.endings:.0f} {ends}"
        self.forecast = forecast = Forecast(law, named, self.at_leisure)
        slack = table.endings / (MANY if table.endings > HUNDRED else FEW)
        self.changes, self.until, self.below = table.changes, table.changes + slack, below
        return forecast
