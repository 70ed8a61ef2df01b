"""What an exchange with an endpoint means: the table of answers as a pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from yarl import URL

from daemon.core.delivery import NO_STAGES, Accepted, Receipt, Refusal, Refused, Stages
from daemon.core.redaction import masking, without_secret_shapes
from daemon.core.retry_after import retry_after
from daemon.net.exchange import Answer, Failure, FailureKind, Marks

ANSWER_KEPT = 1024
SHORTEST_SECRET = 6
Headers: TypeAlias = tuple[tuple[str, str], ...]
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


def receipt(
    seen: Answer | Failure, now_at: float, *, marks: Marks | None = None, keys: tuple[str, ...] = ()
) -> Receipt:
    """Return the receipt for *seen*; *now_at* is the wall clock that a Retry-After date is held against.

    The head of an answer decides, whether or not its body came: the endpoint that says 2xx has the event.
    """
    seconds, address, times = seen.seconds, seen.address, stages(marks)
    if seen.status is None:
        assert isinstance(seen, Failure)
        refusal, detail, wish = _REFUSALS[seen.kind], seen.detail, None
    elif 200 <= seen.status < 300:
        return Accepted(http_status=seen.status, seconds=seconds, address=address, stages=times, keys=keys)
    else:
        refusal, detail = _complaint(seen.status, seen.headers)
        wish = retry_after(seen.headers, now_at)
    return Refused(
        refusal=refusal,
        detail=detail,
        seconds=seconds,
        http_status=seen.status,
        retry_after=wish,
        address=address,
        stages=times,
        keys=keys,
    )


def stages(marks: Marks | None) -> Stages:
    """Return how long each stage took that was gone through; before a name has addresses, or on a kept connection,
    there is none but the answer.
    """
    if marks is None or not marks.begun:
        return NO_STAGES
    tcp = marks.dialled or marks.connected
    return Stages(
        dns=_between(marks.begun, marks.resolved),
        connect=_between(marks.resolved or marks.begun, tcp),
        tls=_between(marks.dialled, marks.connected),
        first_byte=_between(marks.connected or marks.begun, marks.answered),
    )


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else max(0.0, end - start)


def response_text(seen: Answer | Failure, headers: Headers = ()) -> str | None:
    """Return the first 1 KiB of an answer's body as text; None where there is none.

    Masked is what looks like a secret, and what the endpoint's own *headers* said, in whichever spelling it comes back.
    """
    if isinstance(seen, Failure) or not seen.body:
        return None
    return without_secret_shapes(_mask_of(headers)(seen.body.decode("utf-8", "replace")))[:ANSWER_KEPT]


@lru_cache(maxsize=64)
def _mask_of(headers: Headers) -> Callable[[str], str]:
    return masking((part for _, value in headers for part in (value, value.rpartition(" ")[2])), SHORTEST_SECRET)


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
