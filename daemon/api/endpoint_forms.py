"""What callers write about endpoints: an endpoint, a rotation, a window to send again.

An endpoint's fields are those of its table in the config file, and mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic import WithJsonSchema as Described

from daemon.api.complaints import field_errors
from daemon.api.fields import HttpUrl, Instant, Moment, Name, span_between, wrong
from daemon.core.endpoint import EndpointSpec, event_type_complaint
from daemon.core.errors import FieldError, InvalidEndpoint
from daemon.core.headers import header_complaint
from daemon.core.keyring import DEFAULT_GRACE, LONGEST_GRACE
from daemon.core.observation import Json
from daemon.engine.endpoint_ports import EndpointDraft
from daemon.engine.predicates import predicate_complaint
from daemon.net.authorities import authorities_complaint

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)
_ENDPOINT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_HEADERS_LIMIT = 32
_LIST_LIMIT = 64
_SCHEDULE_LIMIT = 100
_DAY = 86400.0
_TEN_YEARS = 3650 * _DAY
_SPAN = {"anyOf": [{"type": "string", "examples": ["20s", "5d"]}, {"type": "number", "exclusiveMinimum": 0}]}
_Form = TypeVar("_Form", bound=BaseModel)


def _checked(complaint_of: Callable[[str], str | None]) -> AfterValidator:
    def check(value: str) -> str:
        if complaint := complaint_of(value):
            raise wrong(complaint)
        return value

    return AfterValidator(check)


def _headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise wrong("must be an object of strings")
    if len(value) > _HEADERS_LIMIT:
        raise wrong(f"must hold at most {_HEADERS_LIMIT} headers, got {len(value)}")
    for name, text in value.items():
        if complaint := header_complaint(name, text):
            raise wrong(f"cannot be used: {complaint}")
    return value


def _schedule(value: object) -> tuple[float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > _SCHEDULE_LIMIT:
        raise wrong(f"must be an array of at most {_SCHEDULE_LIMIT} spans of time")
    spans = [span_between(item, 0.001, _TEN_YEARS) for item in value]
    if None in spans:
        raise wrong("must hold spans of time, not null")
    return tuple(span for span in spans if span is not None)


def _span_of(low: float, high: float) -> BeforeValidator:
    return BeforeValidator(lambda value: span_between(value, low, high))


_Headers = Annotated[
    dict[str, str],
    BeforeValidator(_headers),
    Described({"type": "object", "additionalProperties": {"type": "string"}}),
]
_Schedule = Annotated[
    tuple[float, ...] | None,
    BeforeValidator(_schedule),
    Described({"anyOf": [{"type": "array", "items": _SPAN}, {"type": "null"}]}),
]
_Optional = {"anyOf": [*_SPAN["anyOf"], {"type": "null"}]}
_Text = Annotated[str, StringConstraints(strict=True, max_length=256)]


class EndpointForm(BaseModel):
    """An endpoint, whole: what is left out falls back to ``[delivery]``, keys stay as they are.

    Without ``secret`` one is made at the creation; ``signing_key`` is an Ed25519 ``whsk_`` key or ``"generate"``.
    """

    model_config = _STRICT
    url: HttpUrl
    secret: _Text | None = None
    signing_key: _Text | None = None
    headers: _Headers = Field(default_factory=dict)
    timeout: Annotated[float | None, _span_of(0.001, 600.0), Described(_Optional)] = None
    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    rate: Annotated[float, Field(gt=0, le=100_000, strict=False, allow_inf_nan=False)] | None = None
    schedule: _Schedule = None
    events: list[Annotated[str, _checked(event_type_complaint)]] = Field(default_factory=list, max_length=_LIST_LIMIT)
    providers: list[Name] = Field(default_factory=list, max_length=_LIST_LIMIT)
    where: Annotated[str, _checked(predicate_complaint)] | None = None
    disable_after: Annotated[float | None, _span_of(0.001, _TEN_YEARS), Described(_Optional)] = None
    ca: Annotated[str, _checked(authorities_complaint)] | None = None
    store_response: bool = False

    def draft(self) -> EndpointDraft:
        """Return it as the engine takes it."""
        spec = EndpointSpec(
            url=self.url,
            headers=tuple(self.headers.items()),
            events=tuple(self.events),
            providers=tuple(self.providers),
            where=self.where,
            timeout=self.timeout,
            concurrency=self.concurrency,
            rate=self.rate,
            schedule=self.schedule,
            disable_after=self.disable_after,
            ca=self.ca or None,
            store_response=self.store_response,
        )
        return EndpointDraft(spec=spec, secret=self.secret, signing_key=self.signing_key)


class RotationForm(BaseModel):
    """A new key beside the old one; without ``key`` one is made. A ``grace`` of 0 stops the old one at once."""

    model_config = _STRICT
    kind: Literal["secret", "signing_key"] = "secret"
    grace: Annotated[float | None, _span_of(0.0, LONGEST_GRACE), Described(_Optional)] = DEFAULT_GRACE
    key: _Text | None = None


class ReplayForm(BaseModel):
    """Which deliveries to send again: made from ``since`` until ``until`` (now), in these ``states``.

    ``dry_run`` only counts them.
    """

    model_config = _STRICT
    since: Instant
    until: Moment = None
    states: list[Literal["delivered", "parked", "dead"]] = Field(
        default=["delivered", "parked", "dead"], min_length=1, max_length=3
    )
    dry_run: bool = False

    @field_validator("until")
    @classmethod
    def _is_after(cls, until: float | None, info: ValidationInfo) -> float | None:
        if until is not None and until <= info.data.get("since", -inf):
            raise wrong("must lie after since")
        return until


def endpoint_name(name: str) -> str:
    """Return *name* if an endpoint may bear it; raise InvalidEndpoint."""
    if not _ENDPOINT_NAME.fullmatch(name):
        message = "name must be 1 to 64 of a-z, 0-9, _ and -, and begin with a letter or digit"
        raise InvalidEndpoint([FieldError(field="name", message=message)])
    return name


def read_form(value: Json, model: type[_Form], now_at: float) -> _Form:
    """Return the JSON *value* as *model*; raise InvalidEndpoint that lists every bad field and repeats no value."""
    try:
        return model.model_validate(value, context=float(now_at))
    except ValidationError as error:
        raise InvalidEndpoint(field_errors(error, model)) from None
