"""Single facts read tolerantly: progress, times, places in a queue, errors. What cannot be read is not told."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from daemon.core.observation import Json, TaskError
from daemon.core.redaction import without_bytes
from daemon.core.task import Outcome, Status
from daemon.providers.definition import Definition
from daemon.providers.definition_reading import Blame
from daemon.providers.expression import Paths, first_set
from daemon.providers.words import ErrorKind, text_of

_NUMBER = re.compile(r"\s*([+-]?\d{1,20}(?:\.\d{1,20})?)\s*(%?)\s*")
_UNIT_FROM, _UNITS = 1e8, (10**9, 10**6, 10**3)
_EARLIEST, _LATEST = 1e9, 4e9
_MESSAGES = ("message", "msg", "detail", "description", "reason", "error")
_CODES = ("code", "type", "error_code", "error_type", "status")
_BY_OUTCOME: dict[Status, tuple[str, ErrorKind]] = {
    Status.CANCELED: ("canceled at the provider", "canceled"),
    Status.EXPIRED: ("expired at the provider", "expired"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What is known of a failure besides the error fields: by whom it was told, and a request error's own words."""

    blame: Blame | None = None
    code: str | None = None
    message: str | None = None
    default: str = "the provider gave no reason"


def progress_of(value: Json, scale: Literal["auto", "percent", "fraction"] | float) -> float | None:
    """Return progress as 0 to 1 from a number or text.

    A number as *scale* is what all of it would be. On the scale ``auto``, text with a percent sign, whole numbers and
    numbers above 1 are percent, other numbers a fraction.
    """
    if value is None:
        return None
    number, has_percent = number_of(value)
    if number is None:
        return None
    if not isinstance(scale, str) and not has_percent:
        return min(max(number / scale, 0.0), 1.0) if scale > 0 else None
    is_whole = isinstance(value, int) or (isinstance(value, str) and "." not in value)
    is_percent = has_percent or scale == "percent" or (scale == "auto" and (is_whole or number > 1))
    return min(max(number / 100 if is_percent else number, 0.0), 1.0)


def position_of(value: Json) -> int | None:
    """Return a place in a queue, 0 or more."""
    if value is None:
        return None
    number, has_percent = number_of(value)
    return None if number is None or has_percent or not 0 <= number <= 1e9 else int(number)


def instant_of(value: Json) -> float | None:
    """Return a wall-clock time as Unix seconds: from seconds, milliseconds (past 1e11), micro- or nanoseconds, or
    RFC 3339; None outside 2001 to 2096, which also drops the zeros that mean *not yet*.
    """
    if value is None:
        return None
    number, has_percent = number_of(value)
    if number is None and isinstance(value, str):
        number = _calendar(value)
    if number is None or has_percent:
        return None
    seconds = number / next((unit for unit in _UNITS if number >= unit * _UNIT_FROM), 1)
    return seconds if _EARLIEST <= seconds <= _LATEST else None


def first_instant(paths: Paths, body: Json) -> float | None:
    """Return the first alternative that is a time."""
    for path in paths:
        at = instant_of(path.of(body))
        if at is not None:
            return at
    return None


def error_of(definition: Definition, body: Json, outcome: Outcome, why: Why) -> TaskError:
    """Return why a task did not succeed, as far as *body* and *why* tell."""
    told = _code_and_message(definition, body)
    code, message = told[0] or why.code, told[1] or why.message
    if why.blame is not None:
        code = code_of(first_set(why.blame.code, body)) or code
        message = message_of(first_set(why.blame.message, body)) or message
    default, kind_by_outcome = _BY_OUTCOME.get(outcome, (why.default, None))
    kind = kind_by_outcome or (why.blame and why.blame.kind) or _kind(definition, code, message or "")
    return TaskError(code=code, message=message or (code and f"code {code}") or default, kind=kind)


def complaint_of(definition: Definition, body: Json) -> tuple[str | None, str | None]:
    """Return code and message of an answer that is about the request, not the task."""
    errors = definition.errors
    code = code_of(first_set(errors.code, body))
    message = message_of(first_set(errors.message, body))
    if code is not None or message is not None:
        return code, message
    return _code_and_message(definition, body)


def code_of(value: Json) -> str | None:
    """Return an error code as text, from text, a number, or the object or list that holds it."""
    value = _picked(value, _CODES)
    if value is None or isinstance(value, dict | list | bool):
        return None
    return text_of(value) or None


def message_of(value: Json) -> str | None:
    """Return an error message as text, from text, an object that holds one, or the first of a list."""
    picked = _picked(value, _MESSAGES)
    if picked is None or picked is False or picked in ("", 0):
        picked = value
    if not picked:
        return None
    text = text_of(picked) if isinstance(picked, str | int | float) else json.dumps(without_bytes(picked))
    return text.strip() or None


def _code_and_message(definition: Definition, body: Json) -> tuple[str | None, str | None]:
    fields = definition.status.fields
    return code_of(first_set(fields.error_code, body)), message_of(first_set(fields.error_message, body))


def _kind(definition: Definition, code: str | None, message: str) -> str:
    lowered = message.lower()
    for phrase, kind in definition.errors.phrases.items():
        if phrase.lower() in lowered:
            return kind
    return definition.errors.kinds.get(code, "provider") if code is not None else "provider"


def _picked(value: Json, names: tuple[str, ...]) -> Json:
    for _ in range(4):
        if isinstance(value, list):
            value = value[0] if value else None
        elif isinstance(value, dict):
            value = next((found for name in names if (found := value.get(name))), None)
        else:
            break
    return value


def number_of(value: Json) -> tuple[float | None, bool]:
    """Return a number from a number or text, None where there is none, and whether it has a percent sign."""
    if isinstance(value, bool) or value is None:
        return None, False
    if isinstance(value, int | float):
        return (float(value) if abs(value) < 1e19 else None), False
    found = _NUMBER.fullmatch(value) if isinstance(value, str) and len(value) <= 64 else None
    return (float(found[1]), bool(found[2])) if found else (None, False)


def _calendar(text: str) -> float | None:
    if len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
