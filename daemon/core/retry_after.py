"""How long a server asks to wait: Retry-After in its three forms, read tolerantly.

RFC 9110, 10.2.3 knows whole seconds and dates; in the wild there are also decimals and ``retry-after-ms``. What cannot
be read is no hint. The wish comes back as it was made: clamping it is the caller's duty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

_LONGEST = 64
_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+", re.ASCII)


def retry_after(headers: Mapping[str, str], now_at: float) -> float | None:
    """Return the seconds *headers* ask to wait, or None; ``retry-after-ms`` is exact and goes first.

    *headers* is case-insensitive or in lower case. A date is held against *now_at*, wall-clock seconds; one that has
    passed asks for 0.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    return seconds if seconds is not None else _until(text, now_at)


def _number(text: str | None) -> float | None:
    stripped = (text or "").strip()
    if len(stripped) > _LONGEST or not _NUMBER.fullmatch(stripped):
        return None
    return float(stripped)


def _until(text: str | None, now_at: float) -> float | None:
    if not text or len(text) > _LONGEST:
        return None
    try:
        moment = parsedate_to_datetime(text)
        at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(at - now_at, 0.0)
