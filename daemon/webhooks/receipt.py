"""What an exchange with an endpoint means: the table of answers as a pure function."""

from __future__ import annotations

from collections.abc import Mapping

from yarl import URL

from daemon.core.delivery import Accepted, Receipt, Refusal, Refused
from daemon.core.retry_after import retry_after
from daemon.net.exchange import Answer, Failure, FailureKind

_LOCATION_LIMIT = 200
_REFUSALS = {
    FailureKind.TIMEOUT: Refusal.TIMEOUT,
    FailureKind.DNS: Refusal.DNS,
    FailureKind.CONNECT: Refusal.CONNECT,
    FailureKind.TLS: Refusal.TLS,
    FailureKind.PROTOCOL: Refusal.PROTOCOL,
    FailureKind.TOO_LARGE: Refusal.PROTOCOL,
    FailureKind.TARGET_NOT_ALLOWED: Refusal.TARGET_NOT_ALLOWED,
}


def receipt(seen: Answer | Failure, now_at: float) -> Receipt:
    """Return the receipt for *seen*; *now_at* is the wall clock that a Retry-After date is held against.

    The head of an answer decides, whether or not its body came: the endpoint that says 2xx has the event.
    """
    if seen.status is None:
        assert isinstance(seen, Failure)
        refusal = _REFUSALS[seen.kind]
        return Refused(refusal=refusal, detail=seen.detail, seconds=seen.seconds, address=seen.address)
    if 200 <= seen.status < 300:
        return Accepted(http_status=seen.status, seconds=seen.seconds, address=seen.address)
    return _refused(seen.status, seen.headers, seen.seconds, seen.address, now_at)


def _refused(status: int, headers: Mapping[str, str], seconds: float, address: str | None, now_at: float) -> Refused:
    refusal, detail = _complaint(status, headers)
    return Refused(
        refusal=refusal,
        detail=detail,
        seconds=seconds,
        http_status=status,
        retry_after=retry_after(headers, now_at),
        address=address,
    )


def _complaint(status: int, headers: Mapping[str, str]) -> tuple[Refusal, str]:
    if status == 410:
        return Refusal.GONE, "answered 410 Gone"
    if 300 <= status < 400:
        return Refusal.REDIRECT, f"answered {status}{_whither(headers.get('Location'))}, which is not followed"
    return Refusal.HTTP, f"answered {status}"


def _whither(location: str | None) -> str:
    """Name the redirect's target without user-info, query or fragment, which may hold secrets."""
    if not location:
        return ""
    try:
        bare = URL(location).with_query(None).with_fragment(None)
        shown = str(bare.with_user(None) if bare.host else bare)
    except (ValueError, IndexError):
        return " with an unreadable Location"
    return f" to {shown[:_LOCATION_LIMIT]}"
