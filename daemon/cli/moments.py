"""Moments as people type them: an RFC 3339 time, or a span that counts back from now."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.cli.complaint import misuse
from daemon.core.span import seconds


def instant(text: str, option: str, now: datetime) -> datetime:
    """Return the moment that *text* names; a time without a zone is the reader's own."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        pass
    try:
        return now - timedelta(seconds=seconds(text))
    except (ValueError, OverflowError):
        example = 'a time ("2026-11-21T20:00:00Z") or a span back from now ("24h")'
        raise misuse(f'{option} must be {example}, got "{text}"') from None
