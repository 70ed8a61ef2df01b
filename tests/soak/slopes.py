"""Whether a series is flat: the median of all slopes between two of its points (Theil 1950, Sen 1968), which a third of
wild points cannot bend; and what grew over the whole window by that slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A series over the window: its middle, its slope for an hour, the growth over the window, what growth may be."""

    name: str
    unit: str
    middle: float
    low: float
    high: float
    per_hour: float
    growth: float
    allowed: float

    @property
    def is_flat(self) -> bool:
        """Whether it grew by no more than allowed; falling is no fault."""
        return self.growth <= self.allowed


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the Theil-Sen slope of *values* over *times*; 0 of fewer than two points."""
    pairs = [
        (later - sooner) / (times[j] - times[i])
        for i, sooner in enumerate(values)
        for j, later in enumerate(values[i + 1 :], i + 1)
        if times[j] != times[i]
    ]
    return median(pairs) if pairs else 0.0


def trend(
    name: str, unit: str, times: Sequence[float], values: Sequence[float], *, share: float, floor: float
) -> Trend:
    """Return the trend of *values*; it may grow by *share* of its middle over the window, or by *floor*."""
    middle = median(values)
    rate = slope(times, values)
    return Trend(
        name=name, unit=unit, middle=middle, low=min(values), high=max(values), per_hour=rate * 3600,
        growth=rate * (times[-1] - times[0]), allowed=max(abs(middle) * share, floor),
    )  # fmt: skip
