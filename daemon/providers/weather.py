"""Weather: what an HTTP status or a failed exchange says of the request, never of the task."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.core.observation import Missed
from daemon.core.retry_after import retry_after
from daemon.core.task import Miss
from daemon.net.exchange import Failure, FailureKind

BLAMES_TASK = frozenset({Miss.NOT_FOUND, Miss.FORBIDDEN})
"""No news that ends a task when it lasts, so that it must come from the provider itself."""

_HEAD, _BLANKS = 256, b" \t\r\n\xef\xbb\xbf"
_MARKUP = ("text/html", "application/xhtml")
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


def is_page(headers: Mapping[str, str], body: bytes = b"") -> bool:
    """Whether an answer is a page, as proxies and gateways make it, and so says nothing of a task.

    *headers* ignore case or are lower case.
    """
    announced = headers.get("content-type", "").strip().lower()
    return announced.startswith(_MARKUP) or body[:_HEAD].lstrip(_BLANKS)[:1] == b"<"


def missed_as_party(status: int, headers: Mapping[str, str], now_at: float) -> Missed | None:
    """Return what an HTTP status says of all tasks of a request for several; None where it only says that this
    request is refused, so that each has to be asked for alone.
    """
    miss = miss_by_status(status)
    if miss is None or miss in BLAMES_TASK or miss is Miss.REFUSED:
        return None
    detail = f"HTTP {status} to the request for several tasks"
    return Missed(miss=miss, detail=detail, http_status=status, retry_after=retry_after(headers, now_at))


def missed_by_failure(failure: Failure, now_at: float) -> Missed:
    """Return the no news that a failed exchange is; where the head of an answer was read, it says more."""
    by_status = None if failure.status is None else miss_by_status(failure.status)
    if by_status in BLAMES_TASK and is_page(failure.headers):
        by_status = Miss.UNREADABLE
    status = "" if by_status is None else f"HTTP {failure.status}; "
    return Missed(
        miss=by_status or _BY_FAILURE[failure.kind],
        detail=status + failure.detail,
        http_status=failure.status,
        retry_after=retry_after(failure.headers, now_at),
        unsent=failure.unsent,
    )
