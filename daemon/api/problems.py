"""Errors as RFC 9457 problem documents: one table from every stable code to its HTTP status and title.

A code, once published, keeps its meaning; the text beside it may change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.core.errors import FieldError, InvalidEndpoint, InvalidRegistration, Mistake, WatchlistFull
from daemon.core.observation import Json

CODES: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request is not well-formed HTTP"),
    "bad_json": (400, "The body is not JSON"),
    "duplicate_key": (400, "A key stands twice in one object"),
    "bad_cursor": (400, "The cursor is not one of ours"),
    "bad_idempotency_key": (400, "The Idempotency-Key cannot be used"),
    "unauthorized": (401, "A bearer token is needed"),
    "forbidden": (403, "Requests from browsers are refused"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "The method is not allowed here"),
    "timeout": (408, "The request took too long to arrive"),
    "task_ended": (409, "The task has ended"),
    "task_not_ended": (409, "The task has not succeeded yet"),
    "no_result": (409, "There is no result to fetch"),
    "result_unresolved": (409, "An earlier result request is unresolved"),
    "idempotency_key_reused": (409, "The Idempotency-Key was used with another body"),
    "too_many_keys": (409, "Too many keys sign already"),
    "too_many_endpoints": (409, "There are too many endpoints"),
    "endpoint_disabled": (409, "The endpoint is disabled"),
    "read_only": (409, "Endpoints of the config file are read-only"),
    "too_large": (413, "The request is too large"),
    "unsupported_media_type": (415, "The body must be application/json"),
    "misdirected": (421, "The Host header is not allowed"),
    "invalid_request": (422, "The request is invalid"),
    "invalid_registration": (422, "The registration is invalid"),
    "invalid_endpoint": (422, "The endpoint is invalid"),
    "invalid_query": (422, "The query is invalid"),
    "unknown_provider": (422, "The provider is not configured"),
    "unknown_endpoint": (422, "The endpoint is not configured"),
    "target_not_allowed": (422, "The webhook URL is not allowed"),
    "status_url_not_allowed": (422, "The status URL is not allowed"),
    "headers_too_large": (431, "The request's headers are too large"),
    "internal": (500, "Something went wrong inside the daemon"),
    "not_ready": (503, "The daemon is not ready"),
    "watchlist_full": (503, "The watchlist is full"),
    "too_many_connections": (503, "Too many connections"),
    "loop": (508, "The daemon was called by its own webhook"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem document: a code of the table, what happened this time, and every bad field."""

    code: str
    detail: str
    errors: tuple[FieldError, ...] = ()
    retry_after: int | None = None
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return CODES[self.code][0]

    @property
    def title(self) -> str:
        """The short sentence that is the same for every occurrence of the code."""
        return CODES[self.code][1]

    def document(self) -> dict[str, Json]:
        """Return the members as they are sent."""
        members: dict[str, Json] = {
            "type": f"urn:pollhook:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            members["errors"] = [{"field": error.field, "message": error.message} for error in self.errors]
        if self.retry_after is not None:
            members["retry_after"] = self.retry_after
        return members


WRONG_HOST = Problem(
    code="misdirected",
    detail="one Host header is needed, and it must be the address of this listener, such as 127.0.0.1:8710",
)


class Rejected(Exception):
    """A request that the API itself refuses, and the problem it is answered with."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def rejected(code: str, detail: str, *, errors: Sequence[FieldError] = ()) -> Rejected:
    """Return the exception that answers a request with the problem *code*."""
    return Rejected(Problem(code=code, detail=detail, errors=tuple(errors)))


def problem_of(mistake: Mistake) -> Problem:
    """Return the problem document of a caller's *mistake*; a code without a row is an invalid request."""
    return Problem(
        code=mistake.code if mistake.code in CODES else "invalid_request",
        detail=mistake.detail,
        errors=mistake.errors if isinstance(mistake, InvalidRegistration | InvalidEndpoint) else (),
        retry_after=mistake.retry_after if isinstance(mistake, WatchlistFull) else None,
    )
