"""The fields of a registration: what each may hold, told in sentences that name what was found and what is allowed."""

from __future__ import annotations

import json
import re
from datetime import datetime
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, StringConstraints, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError, to_json

from daemon.api.strict_json import is_deeper
from daemon.core.observation import Json
from daemon.core.saving import saving_of
from daemon.core.span import seconds, spoken
from daemon.core.task import Saving, Wish
from daemon.core.wall import rfc3339

DAY = 86400.0
DEADLINE = (1.0, 30 * DAY)
FIRST_POLL = (0.0, 30 * DAY)
CLOCK_SKEW = 300.0
METADATA_LIMIT = 4 * 1024
PARAMS_LIMIT = 64
ID_LIMIT = 2048
URL_LIMIT = 4096
SPAN_LIMIT = 100
SHOWN_LIMIT = 60
_SURELY_SHORT = ID_LIMIT // 4
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f\\]")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ][0-2]\d:[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-][0-2]\d:[0-5]\d)")


def wrong(message: str) -> PydanticCustomError:
    """Return the error of a field, its *message* in our own words."""
    return PydanticCustomError("pollhook", "{message}", {"message": message})


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise wrong("must not hold control characters")
    if len(text.encode()) > ID_LIMIT:
        raise wrong(f"must be at most {ID_LIMIT} bytes, got {len(text.encode())}")
    return text


def _filled(text: str) -> str:
    if text.isprintable() and 0 < len(text) <= _SURELY_SHORT and not text.isspace():
        return text
    if not text.strip():
        raise wrong("must not be empty")
    return _plain(text)


def _http_url(url: str) -> str:
    if len(url) > URL_LIMIT:
        raise wrong(f"must be at most {URL_LIMIT} characters, got {len(url)}")
    if _NOT_IN_URLS.search(url):
        raise wrong("must not hold spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
        host, has_port_0 = parts.hostname, parts.port == 0
    except ValueError:
        raise wrong("must be a URL with a valid host and port") from None
    if parts.scheme not in ("https", "http") or not host:
        raise wrong(f'must be an http or https URL, got "{url[:60]}"')
    if parts.username is not None or parts.password is not None or has_port_0:
        raise wrong("must hold neither user, password nor port 0")
    return url


def _status_url(url: str) -> str:
    """Take a URL, or the absolute path that some providers answer; whose host it means is the definition's to judge."""
    if not url.startswith("/"):
        return _http_url(url)
    if url.startswith("//") or len(url) > URL_LIMIT or _NOT_IN_URLS.search(url):
        raise wrong(f"must be one absolute path without a host, at most {URL_LIMIT} characters and no spaces")
    return url


def span_between(value: object, low: float, high: float) -> float | None:
    """Return a span of time in seconds, None for null; complain of one outside *low* to *high*."""
    if value is None:
        return None
    span = _spoken_seconds(value) if isinstance(value, str) and len(value) <= SPAN_LIMIT else value
    if isinstance(span, bool) or not isinstance(span, int | float):
        raise wrong(f'must be a span of time such as "90s", "30m", "7d" or plain seconds, got {_shown(value)}')
    if span < low:
        raise wrong(f"must be at least {spoken(low)}, got {_shown(value)}")
    if span > high:
        raise wrong(f"must be at most {spoken(high)}, got {_shown(value)}")
    return float(span)


@lru_cache(maxsize=256)
def _spoken_seconds(span: str) -> float | None:
    try:
        return seconds(span)
    except ValueError:
        return None


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= SHOWN_LIMIT else f"{text[:SHOWN_LIMIT]}…"


def _deadline(value: object) -> float | None:
    return span_between(value, *DEADLINE)


def _first_poll(value: object) -> float | None:
    return span_between(value, *FIRST_POLL)


def _moment(value: object, info: ValidationInfo) -> float | None:
    """Read an RFC 3339 time; the validation context is the present wall-clock second."""
    if value is None:
        return None
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise wrong('must be an RFC 3339 time with an offset, such as "2026-11-21T20:10:05Z"')
    try:
        at = datetime.fromisoformat(value.upper()).timestamp()
    except (ValueError, OverflowError):
        raise wrong(f'is not a real time: "{value}"') from None
    now_at = info.context if isinstance(info.context, float) else at
    if at < 0:
        raise wrong("must not lie before 1970")
    if at > now_at + CLOCK_SKEW:
        raise wrong(f'must not lie in the future, got "{value}" and it is {rfc3339(now_at)}')
    return min(at, now_at)


def _instant(value: object, info: ValidationInfo) -> float:
    at = _moment(value, info)
    if at is None:
        raise wrong("must be an RFC 3339 time, not null")
    return at


def _params(value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise wrong("must be an object of strings and numbers")
    if len(value) > PARAMS_LIMIT:
        raise wrong(f"must hold at most {PARAMS_LIMIT} names, got {len(value)}")
    return tuple((_plain(name), _param(name, item)) for name, item in value.items())


def _param(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong(f"{json.dumps(name[:60])} must be a string or a number")
    return _plain(value if isinstance(value, str) else json.dumps(value))


def _metadata(value: object) -> dict[str, Json]:
    if value is None or value == {}:
        return {}
    if not isinstance(value, dict):
        raise wrong("must be an object")
    _shallow(value)
    size = len(to_json(value))
    if size > METADATA_LIMIT:
        raise wrong(f"must be at most 4 KiB as JSON, got {size} bytes")
    return value


def _shallow(value: Json) -> Json:
    if is_deeper(value):
        raise wrong("must not nest deeper than 64 levels")
    return value


def _wishes(value: object) -> frozenset[Wish]:
    if value is None or value == ["terminal"]:
        return frozenset()
    if not isinstance(value, list):
        raise wrong('must be an array of "terminal", "running" and "progress"')
    names = {str(item).removeprefix("task.") for item in value}
    odd = sorted(names - {"terminal", *Wish})
    if odd:
        raise wrong(f'must hold only "terminal", "running" and "progress", got {json.dumps(odd[0][:60])}')
    return frozenset(Wish(name) for name in names if name != "terminal")


def _saving(value: object) -> Saving | None:
    if value is None:
        return None
    if isinstance(value, bool) or value == "before_event":
        return saving_of(value)
    raise wrong(f'must be true, false or "before_event", got {_shown(value)}')


_SPAN_SCHEMA = {
    "anyOf": [{"type": "string", "examples": ["30m", "1h30m"]}, {"type": "number", "minimum": 0}, {"type": "null"}]
}
_EVENT_NAMES = ["terminal", "running", "progress", "task.terminal", "task.running", "task.progress"]

Name = Annotated[str, StringConstraints(strict=True, max_length=200), AfterValidator(_filled)]
RemoteId = Annotated[str, StringConstraints(strict=True), AfterValidator(_filled)]
HttpUrl = Annotated[str, StringConstraints(strict=True), AfterValidator(_http_url)]
StatusUrl = Annotated[str, StringConstraints(strict=True), AfterValidator(_status_url)]
Deadline = Annotated[float | None, BeforeValidator(_deadline), WithJsonSchema(_SPAN_SCHEMA)]
FirstPoll = Annotated[float | None, BeforeValidator(_first_poll), WithJsonSchema(_SPAN_SCHEMA)]
Instant = Annotated[float, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Moment = Annotated[
    float | None,
    BeforeValidator(_moment),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
]
ParamsField = Annotated[
    tuple[tuple[str, str], ...],
    BeforeValidator(_params),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number"]}}),
]
MetadataField = Annotated[
    object,
    BeforeValidator(_metadata),
    WithJsonSchema({"type": "object"}),
]
SavingField = Annotated[
    Saving | None,
    BeforeValidator(_saving),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"const": "before_event"}, {"type": "null"}]}),
]
Submission = Annotated[object, BeforeValidator(_shallow), WithJsonSchema({})]
WishesField = Annotated[
    frozenset[Wish],
    BeforeValidator(_wishes),
    WithJsonSchema({"type": "array", "items": {"type": "string", "enum": _EVENT_NAMES}}),
]
