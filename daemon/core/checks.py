"""Where the checks of a task belong once a law of durations is believed: the exact optimum, as a table to look up.

Cost is price x polls + delay in seconds. The optimum is found by a backward dynamic programme over a grid of ages
(Barlow, Hunter, Proschan 1963) and kept as a policy: for each age, the age of the next check. Where checks stand closer
than the grid, and past its end, they follow the density n(t) = sqrt(h(t) / (2 price)) (Keller 1974), which is the
optimum's limit for many checks.
"""

from __future__ import annotations

from bisect import bisect_right
from math import inf, sqrt

from daemon.core.law import BINS, Law, edges

CELLS_PER_OCTAVE = 16
EARLIEST = 0.001
LATEST = 0.9995
CLOSE = 2
HOPELESS = 12
_RARE = 1e-12


class Checks:
    """The checks that cost least under *law* at *price*: for an age, the age of the next one."""

    __slots__ = ("_ages", "_end", "_next", "_slope", "law", "price")

    def __init__(self, law: Law, price: float) -> None:
        self.law, self.price = law, price
        ages = _grid(law)
        follow = _Programme(law, ages, price).policy()
        self._ages, self._next, self._end = ages, follow, ages[-1]
        self._slope = [(follow[n + 1] - follow[n]) / (ages[n + 1] - ages[n]) for n in range(len(ages) - 1)]

    def after(self, age: float) -> float:
        """Return the age of the check that follows one at *age*; infinite where nothing can be known of that age."""
        if age >= self._end:
            if age >= edges()[BINS]:
                return inf
            return age + sqrt(2 * self.price / max(self.law.hazard_at(age), _RARE))
        place = bisect_right(self._ages, age) - 1
        return self._next[place] + self._slope[place] * (age - self._ages[place])


def _grid(law: Law) -> list[float]:
    """Return 0, then ages that each grow by a sixteenth of an octave from the first endings to nearly the last."""
    last, step = law.quantile(LATEST), 2 ** (1 / CELLS_PER_OCTAVE)
    ages = [0.0, max(law.quantile(EARLIEST), 0.05)]
    while ages[-1] < last:
        ages.append(ages[-1] * step)
    return ages


class _Programme:
    """W(i) = min over j of price S_i + t_j (F_j - F_i) - (M_j - M_i) + W(j), M the partial first moment."""

    def __init__(self, law: Law, ages: list[float], price: float) -> None:
        self.law, self.ages, self.price = law, ages, price
        self.shares = [law.share_ended(age) for age in ages]
        self.moments = [0.0]
        for n in range(1, len(ages)):
            middle = (ages[n] + ages[n - 1]) / 2
            self.moments.append(self.moments[-1] + (self.shares[n] - self.shares[n - 1]) * middle)
        self.least = [0.0] * len(ages)

    def policy(self) -> list[float]:
        """Return for each age of the grid the age of the next check.

        The cost of a step is Monge, so the best j never falls as i grows; past it the cost of further ones is given up
        after a few.
        """
        ages, last = self.ages, len(self.ages) - 1
        beyond = self._by_density(ages[last]) - ages[last]
        self.least[last] = (1 - self.shares[last]) * beyond
        follow, reach = [ages[last] + beyond] * len(ages), last
        for i in range(last - 1, -1, -1):
            best = self._best(i, reach)
            self.least[i] = self._cost(i, best) + self.moments[i] + self.price * (1 - self.shares[i])
            follow[i] = self._by_density(ages[i]) if best - i <= CLOSE else self._refined(i, best)
            reach = min(last, best + 1)
        return follow

    def _best(self, i: int, reach: int) -> int:
        best, least, worse = i + 1, inf, 0
        for j in range(reach, i, -1):
            cost = self._cost(i, j)
            if cost < least:
                best, least, worse = j, cost, 0
            else:
                worse += 1
                if worse > HOPELESS:
                    break
        return best

    def _cost(self, i: int, j: int) -> float:
        return self.ages[j] * (self.shares[j] - self.shares[i]) - self.moments[j] + self.least[j]

    def _refined(self, i: int, best: int) -> float:
        """Return where between the neighbours of *best* the cost is least, by the parabola through the three."""
        if not i + 1 < best < len(self.ages) - 1:
            return self.ages[best]
        left, middle, right = self.ages[best - 1 : best + 2]
        rise, fall = self._cost(i, best - 1) - self._cost(i, best), self._cost(i, best) - self._cost(i, best + 1)
        below = (middle - left) * fall + (middle - right) * rise
        if below == 0:
            return middle
        vertex = middle - 0.5 * ((middle - left) ** 2 * fall + (middle - right) ** 2 * rise) / below
        return min(max(vertex, (left + middle) / 2), (middle + right) / 2)

    def _by_density(self, age: float) -> float:
        return age + sqrt(2 * self.price / max(self.law.hazard_at(age), _RARE))
