"""Query strings: which parameters each call takes, and how far each may go."""

from __future__ import annotations

from typing import Annotated, TypeVar

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from daemon.api.complaints import field_errors, summary
from daemon.api.problems import rejected
from daemon.core.delivery import DeliveryState
from daemon.core.errors import FieldError
from daemon.core.task import Status

MAX_WAIT = 60.0
MAX_PAGE = 500
_LAX = ConfigDict(extra="forbid", frozen=True)
_Q = TypeVar("_Q", bound=BaseModel)


def _finite(value: float) -> float:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 (only NaN differs from itself)
        raise PydanticCustomError("pollhook", "must be a number of seconds")
    return value


Word = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Wait = Annotated[float, Field(ge=0, le=MAX_WAIT), AfterValidator(_finite)]


class NoQuery(BaseModel):
    """A call that takes no parameters."""

    model_config = _LAX


class OneTask(BaseModel):
    """How long to hold the answer until the task ends, in seconds."""

    model_config = _LAX
    wait: Wait = 0.0


class TaskPage(BaseModel):
    """Which tasks to list, newest first."""

    model_config = _LAX
    status: Status | None = None
    provider: Word | None = None
    model: Word | None = None
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)
    cursor: Word | None = None


class EventPage(BaseModel):
    """Where in the feed to go on (a cursor or an event id), and how long to wait for news, in seconds."""

    model_config = _LAX
    after: Word | None = None
    wait: Wait = 0.0
    limit: int = Field(default=100, ge=1, le=MAX_PAGE)


class DeliveryPage(BaseModel):
    """Which deliveries to list, newest first."""

    model_config = _LAX
    state: DeliveryState | None = None
    endpoint: Word | None = None
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)
    cursor: Word | None = None


def query(request: web.Request, model: type[_Q]) -> _Q:
    """Return the query string as *model*; raise Rejected (``invalid_query``) that lists every bad parameter."""
    given = request.query
    doubled = [name for name in given if len(given.getall(name)) > 1]
    if doubled:
        errors = [
            FieldError(field=name[:100], message=f"{name[:100]} is given twice") for name in dict.fromkeys(doubled)
        ]
        raise rejected("invalid_query", summary(errors), errors=errors)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        errors = field_errors(error, model)
        raise rejected("invalid_query", summary(errors), errors=errors) from None
