"""What was learned of how long tasks take: a life table over ages, per lane and model.

Each stretch of age in which a task was seen alive adds exposure, each end adds one event somewhere in the interval that
polling left open. Hence what polling hides is corrected for (interval censoring), and so is what still runs (right
censoring) and what was registered late (left truncation): hazard = events / exposure, bin by bin (actuarial estimate).
The latest endings are kept as intervals, so that each new law can say anew where in them the ends lie; a run of them
that the law would hardly have made means that the law has shifted. Failures are counted apart from successes, as
competing ends of the same task.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass, field
from math import isfinite
from struct import iter_unpack, pack
from typing import NamedTuple

from daemon.core.law import BINS, Law, edges, place_of, spread_by

MEMORY = 400.0
RECENT = 64
SHIFT_SCORE = 11.0
SHIFT_RUNS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
SHIFT_BASIS = 8.0
SHIFT_REST = 0.5
SCORE_CAP = 3.5
_RESCALE = 1e6
_INTERVAL = "<ff?"
_WIDTH = 4 * BINS
_EVEN = Law((0.0,) * BINS, 0.0)


class Interval(NamedTuple):
    """An ending: alive at age *since*, over at age *until*; *score* tells how late it came by the law of then, as a
    standard normal deviate.
    """

    since: float
    until: float
    has_succeeded: bool
    score: float


def _zeros() -> array[float]:
    return array("d", bytes(8 * BINS))


@dataclass(slots=True)
class Durations:
    """The life table of one lane or of one model in it; old endings fade, so that a law that shifts is followed."""

    succeeded: array[float] = field(default_factory=_zeros)
    failed: array[float] = field(default_factory=_zeros)
    exposure: array[float] = field(default_factory=_zeros)
    recent: deque[Interval] = field(default_factory=deque)
    weight: float = 1.0
    settled: float = 0.0
    changes: int = 0
    shifts: int = 0

    @property
    def endings(self) -> float:
        """How many endings it holds, faded ones counted in part; at most about 460."""
        return self.settled / self.weight + len(self.recent)

    def alive(self, since: float, until: float) -> None:
        """Note that a task was seen alive at age *until*, and before that at age *since*."""
        spread(self.exposure, since, until, self.weight)

    def ended(
        self, since: float, until: float, *, has_succeeded: bool, score: float = 0.0, law: Law | None = None
    ) -> None:
        """Note that a task alive at age *since* had ended by age *until*; see ``Interval`` for *score*.

        *law* is what is believed now, by which the oldest of the intervals settles into the table.
        """
        score = min(max(score, -SCORE_CAP), SCORE_CAP)
        self.recent.append(Interval(min(since, until), until, has_succeeded, score))
        self.changes += 1
        if len(self.recent) > RECENT:
            self._settle(self.recent.popleft(), law)
        run = self._shifted()
        if run:
            self._restart(run, law)

    def pack(self) -> bytes:
        """Return the table as bytes that ``unpack`` reads back, in any later version."""
        columns = (self.succeeded, self.failed, self.exposure)
        settled = b"".join(array("f", [value / self.weight for value in column]).tobytes() for column in columns)
        return b"\2" + settled + b"".join(pack(_INTERVAL, *each[:3]) for each in self.recent)

    @classmethod
    def unpack(cls, packed: bytes) -> Durations | None:
        """Return the table that ``pack`` made, of version 1 (without intervals) too; None for any other bytes."""
        table, rest = packed[1 : 1 + 3 * _WIDTH], packed[1 + 3 * _WIDTH :]
        if packed[:1] not in {b"\1", b"\2"} or len(table) != 3 * _WIDTH or (packed[:1] == b"\1" and rest):
            return None
        if len(rest) % 9 or len(rest) > 9 * RECENT or any(rest[8::9].strip(b"\0\1")):
            return None
        columns = [array("d", array("f", table[k * _WIDTH : (k + 1) * _WIDTH])) for k in range(3)]
        recent = deque(Interval(since, until, ok, 0.0) for since, until, ok in iter_unpack(_INTERVAL, rest))
        numbers = [value for column in columns for value in column] + [value for each in recent for value in each[:2]]
        if not all(isfinite(value) and value >= 0 for value in numbers):
            return None
        settled = sum(columns[0]) + sum(columns[1])
        return cls(succeeded=columns[0], failed=columns[1], exposure=columns[2], recent=recent, settled=settled)

    def _settle(self, ending: Interval, law: Law | None) -> None:
        column = self.succeeded if ending.has_succeeded else self.failed
        spread_by(law or _EVEN, ending[:2], column, self.exposure, self.weight)
        self.settled += self.weight
        self.weight *= 1 + 1 / MEMORY
        if self.weight > _RESCALE:
            self._scale(1 / self.weight)
            self.weight = 1.0

    def _shifted(self) -> int:
        """Return how many of the latest endings the law would hardly have made, none where it well may.

        A generalised likelihood-ratio test for a change of the mean score, over runs of several lengths; the law's own
        error counts as that of a mean over the endings it rests on.
        """
        scores = [each.score for each in self.recent]
        for run in SHIFT_RUNS:
            basis = self.endings - run
            if basis < SHIFT_BASIS or run > len(scores):
                break
            mean = sum(scores[-run:]) / run
            if mean * mean / (2 * (1 / run + 1 / basis)) > SHIFT_SCORE:
                return run
        return 0

    def _restart(self, run: int, law: Law | None) -> None:
        """Go on from the latest *run* endings, with little more than a trace of what was before.

        It counts as so many changes that nobody goes on with a forecast made earlier.
        """
        latest = [each._replace(score=0.0) for each in list(self.recent)[-run:]]
        for each in list(self.recent)[:-run]:
            self._settle(each, law)
        self._scale(SHIFT_REST / max(self.settled / self.weight, SHIFT_REST) / self.weight)
        self.weight = 1.0
        for each in latest:
            spread(self.exposure, 0.0, each.since, self.weight)
        self.recent = deque(latest)
        self.shifts += 1
        self.changes += int(MEMORY)

    def _scale(self, factor: float) -> None:
        self.settled *= factor
        for column in (self.succeeded, self.failed, self.exposure):
            for place, value in enumerate(column):
                column[place] = value * factor


def spread(column: array[float], since: float, until: float, weight: float) -> None:
    """Add *weight* for each second between two ages to the bins they lie in."""
    places = edges()
    last = places[BINS]
    since, until = min(max(since, 0.0), last * 0.999), min(max(until, 0.0), last * 0.9999)
    place = place_of(since)
    while since < until:
        end = min(until, places[place + 1])
        column[place] += (end - since) * weight
        since = end
        place += 1
