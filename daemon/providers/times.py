"""Times: moments of the clock as variables of a request, written as the provider writes them.

A list that is cut by time needs the present one in its query. The rule guarded here is that a moment is only ever
digits and the literals of its format, so that no clock can change the shape of a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from math import floor
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, field_validator

from daemon.core.span import seconds
from daemon.providers.limits import Table

FARTHEST = 366 * 86400.0
_NAMED = ("unix", "unix_ms", "rfc3339")
_FORMAT = re.compile(r"(?:%[YmdHMS]|[0-9A-Za-z_.:/ +-])*%[YmdHMS](?:%[YmdHMS]|[0-9A-Za-z_.:/ +-])*")
_ZONE = re.compile(r"([+-])(\d\d):([0-5]\d)")


def shifted(value: object) -> float:
    """Return ``"-12h"``, ``"+5m"`` or plain seconds as seconds; raise ValueError that says what is allowed."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError(f'a shift reads "-12h" or "+5m", got {value!r:.60}')  # noqa: TRY004 (pydantic's field error)
    text = str(value).strip()
    size = seconds(text[1:] if text[:1] in ("+", "-") else text)
    if size > FARTHEST:
        raise ValueError(f'a shift is at most a year, got "{text}"')
    return -size if text.startswith("-") else size


Shift: TypeAlias = Annotated[float, BeforeValidator(shifted)]


class Moment(Table):
    """A moment ``shift`` away from now.

    ``format`` is ``unix``, ``unix_ms`` or ``rfc3339``, or a pattern of ``%Y %m %d %H %M %S`` and plain characters, in
    the time of ``zone`` (``+08:00``).
    """

    shift: Shift = 0.0
    format: str = Field("unix", max_length=64)
    zone: str = "+00:00"

    @field_validator("format")
    @classmethod
    def _is_a_format(cls, text: str) -> str:
        if text not in _NAMED and not _FORMAT.fullmatch(text):
            raise ValueError(f'format is {", ".join(_NAMED)} or a pattern such as "%Y%m%d%H%M%S", got {text!r:.60}')
        return text

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, text: str) -> str:
        found = _ZONE.fullmatch(text)
        if found is None or int(found[2]) > 14:
            raise ValueError(f'zone reads "+08:00", at most 14 hours away from UTC, got {text!r:.60}')
        return text

    def told(self, now_at: float) -> str:
        """Return the moment as text; *now_at* is wall-clock seconds."""
        at = now_at + self.shift
        if self.format == "unix":
            return str(floor(at))
        if self.format == "unix_ms":
            return str(floor(at * 1000))
        there = datetime.fromtimestamp(at, UTC).astimezone(_zone(self.zone))
        if self.format == "rfc3339":
            return there.isoformat(timespec="seconds")
        return there.strftime(self.format)


def told_times(times: Mapping[str, Moment], now_at: float) -> dict[str, str]:
    """Return the texts of *times* by name."""
    return {name: moment.told(now_at) for name, moment in times.items()}


def _zone(text: str) -> timezone:
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[4:])))
