"""Wall-clock times as text: RFC 3339 in UTC with milliseconds, both ways."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

_MILLIS = tuple(f".{milli:03d}Z" for milli in range(1000))


def rfc3339(seconds: float) -> str:
    """Return Unix *seconds*, rounded to the microsecond, as ``2026-11-21T20:11:40.512Z``; microseconds are cut off."""
    second, milli = divmod(round(seconds * 1e6) // 1000, 1000)
    return _second(second) + _MILLIS[milli]


def rfc3339_or_none(seconds: float | None) -> str | None:
    """Return *seconds* as RFC 3339 text, and None for None."""
    return None if seconds is None else rfc3339(seconds)


@lru_cache(maxsize=256)
def _second(second: int) -> str:
    """Return a whole second; most answers name the same few."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
