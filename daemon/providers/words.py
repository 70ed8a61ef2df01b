"""The closed lists of the definition language, and how scalars become text."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

_MOST_BITS = 14_000
_EXACT = 2.0**53
OutputKind: TypeAlias = Literal["video", "image", "audio", "text", "file"]
ErrorKind: TypeAlias = Literal[
    "content_blocked", "invalid_request", "inference", "timeout", "canceled", "expired", "lost", "provider"
]


class State(StrEnum):
    """What a provider's word can mean; ``no_news`` is a known word that tells nothing."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    NOT_FOUND = "not_found"
    NO_NEWS = "no_news"


def listed(value: object) -> object:
    """Turn text with commas into a list, so that a list can be written in an environment variable."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def text_of(value: object) -> str:
    """Return a scalar as the text it is compared by: ``true``, ``200`` (of 200.0, too), ``COMPLETED``.

    Raises ValueError for anything else.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "[a number too long to be written]"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, int | float):
        return repr(value)
    raise ValueError(f"expected text, a number or a boolean, got {type(value).__name__}")
