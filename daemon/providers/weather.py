"""Weather: what an HTTP status or a failed exchange says of the request, never of the task."""

from __future__ import annotations

from daemon.core.observation import Missed
from daemon.core.task import Miss
from daemon.net.exchange import Failure, FailureKind

_BY_STATUS = {
    401: Miss.UNAUTHORIZED,
    403: Miss.FORBIDDEN,
    404: Miss.NOT_FOUND,
    408: Miss.TIMEOUT,
    409: Miss.CONFLICT,
    410: Miss.NOT_FOUND,
    425: Miss.CONFLICT,
    429: Miss.THROTTLED,
}
_BY_FAILURE = {
    FailureKind.TIMEOUT: Miss.TIMEOUT,
    FailureKind.DNS: Miss.NETWORK,
    FailureKind.CONNECT: Miss.NETWORK,
    FailureKind.TLS: Miss.NETWORK,
    FailureKind.PROTOCOL: Miss.NETWORK,
    FailureKind.TOO_LARGE: Miss.TOO_LARGE,
    FailureKind.TARGET_NOT_ALLOWED: Miss.UNCONFIGURED,
}


def miss_by_status(status: int) -> Miss | None:
    """Return why an answer of this HTTP status is no news; None for a 2xx, whose body tells."""
    if 200 <= status < 300:
        return None
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= 500:
        return Miss.SERVER_ERROR
    return Miss.REFUSED if status >= 400 else Miss.UNREADABLE


def missed_by_failure(failure: Failure) -> Missed:
    """Return the no news that a failed exchange is; where the head of an answer was read, its status says more."""
    by_status = None if failure.status is None else miss_by_status(failure.status)
    status = "" if by_status is None else f"HTTP {failure.status}; "
    return Missed(
        miss=by_status or _BY_FAILURE[failure.kind],
        detail=status + failure.detail,
        http_status=failure.status,
        unsent=failure.unsent,
    )
