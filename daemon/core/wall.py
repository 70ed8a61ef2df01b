"""Wall-clock times as text: RFC 3339 in UTC with milliseconds, both ways."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """Return Unix *seconds* as ``2026-11-21T20:11:40.512Z``."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def rfc3339_or_none(seconds: float | None) -> str | None:
    """Return *seconds* as RFC 3339 text, and None for None."""
    return None if seconds is None else rfc3339(seconds)
