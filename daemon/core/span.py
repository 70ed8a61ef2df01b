"""Spans of time as people write them: ``"90s"``, ``"1h30m"``, ``"500ms"``, or plain seconds."""

from __future__ import annotations

import re
from math import isfinite

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def seconds(span: str | float) -> float:
    """Return *span* in seconds; raise ValueError that says what is allowed unless it is one, not negative."""
    if isinstance(span, bool) or not isinstance(span, str | int | float):
        raise ValueError(_complaint(span))  # noqa: TRY004 (pydantic turns ValueError into a field error)
    if not isinstance(span, str) or _NUMBER.fullmatch(span.strip()):
        value = float(span)
    elif _WHOLE.fullmatch(span.strip().lower()):
        value = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(span.strip().lower()))
    else:
        raise ValueError(_complaint(span))
    if not isfinite(value) or value < 0:
        raise ValueError(_complaint(span))
    return value


def spoken(value: float) -> str:
    """Return seconds as the shortest exact span of whole units: 5400 is ``"1h30m"``, 0.25 is ``"250ms"``."""
    if value < 1 or value != int(value):
        thousandths = round(value * 1000)
        return f"{thousandths}ms" if thousandths % 1000 else f"{thousandths // 1000}s"
    parts, rest = [], int(value)
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_UNITS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def _complaint(span: object) -> str:
    return f'not a span of time: {span!r}; write a number with a unit ("90s", "30m", "1h", "7d") or plain seconds'
