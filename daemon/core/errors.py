"""The few mistakes a caller can make; the API maps each to one problem document.

A mistake's text says what was found, what is allowed and what to do. Weather is never raised: it is a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One bad field of a request: a dotted path such as ``tasks.3.remote_id``, and what is wrong with it."""

    field: str
    message: str


class Mistake(Exception):
    """Something the caller can mend; ``code`` is stable and machine-readable."""

    code = "invalid_request"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRegistration(Mistake):
    """A registration that cannot be watched; lists every bad field."""

    code = "invalid_registration"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{e.field}: {e.message}" for e in errors))
        self.errors = tuple(errors)


class UnknownProvider(Mistake):
    """No lane of that name is configured."""

    code = "unknown_provider"


class UnknownEndpoint(Mistake):
    """No endpoint of that name is configured."""

    code = "unknown_endpoint"


class TargetNotAllowed(Mistake):
    """The egress rules refuse a webhook URL; the reason is kept for the log alone."""

    code = "target_not_allowed"


class HostNotAllowed(Mistake):
    """A status URL lies on an origin to which the provider's key may not be sent."""

    code = "status_url_not_allowed"


class NotFound(Mistake):
    """No such task, event, delivery, endpoint, provider or output."""

    code = "not_found"


class AlreadyEnded(Mistake):
    """The task has ended, so it can be neither polled nor stopped."""

    code = "task_ended"


class NotEnded(Mistake):
    """The task has not succeeded, so it has no result yet."""

    code = "task_not_ended"


class NoResult(Mistake):
    """The provider has no result request, or it brought no result this time."""

    code = "no_result"


class ResultUnresolved(Mistake):
    """An earlier result request may have been sent and billed, and its answer was never seen."""

    code = "result_unresolved"


class KeyReused(Mistake):
    """The same Idempotency-Key came with another body."""

    code = "idempotency_key_reused"


class WatchlistFull(Mistake):
    """The watchlist has no room; ask again after ``retry_after`` seconds."""

    code = "watchlist_full"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ReadOnly(Mistake):
    """The thing is written in the config file and can be changed only there."""

    code = "read_only"


class InvalidEndpoint(Mistake):
    """An endpoint that cannot be written; lists every bad field."""

    code = "invalid_endpoint"

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{e.field}: {e.message}" for e in errors))
        self.errors = tuple(errors)


class TooManyKeys(Mistake):
    """A rotation would leave more keys signing than an endpoint may have."""

    code = "too_many_keys"


class TooManyEndpoints(Mistake):
    """There is no room for another endpoint made over the API."""

    code = "too_many_endpoints"


class EndpointDisabled(Mistake):
    """The endpoint is disabled, so nothing can be sent to it again before it is enabled."""

    code = "endpoint_disabled"


class Fault(Exception):
    """Something that ends the process: what failed and what to do about it. Never caught as weather."""


class StoreFault(Fault):
    """The database cannot be opened, read or written."""
