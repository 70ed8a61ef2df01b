"""Cursors: where a page ended, opaque to callers and checked when they come back."""

from __future__ import annotations

import base64
import binascii
import re

from daemon.api.problems import Rejected, rejected

_MAX = 100
_ID = re.compile(r"(?:tsk|msg|dlv)_[0-9a-hjkmnp-tv-z]{26}")


def id_cursor(last: str) -> str:
    """Return the cursor of a page of a list that ended with the id *last*."""
    return _wrapped(last)


def feed_cursor(seq: int) -> str:
    """Return the cursor of a feed read up to *seq*."""
    return _wrapped(f"seq:{seq}")


def id_of(cursor: str, prefix: str) -> str:
    """Return the id in *cursor*, one that begins with *prefix*; raise Rejected (``bad_cursor``) otherwise."""
    text = _unwrapped(cursor)
    if not text.startswith(prefix) or not is_id(text):
        raise _bad()
    return text


def seq_of(cursor: str) -> int:
    """Return the place in the feed that *cursor* names; raise Rejected (``bad_cursor``) otherwise."""
    kind, _, digits = _unwrapped(cursor).partition(":")
    if kind != "seq" or not digits.isdecimal() or len(digits) > 18:
        raise _bad()
    return int(digits)


def is_id(text: str) -> bool:
    """Whether *text* has the form of one of our ids."""
    return _ID.fullmatch(text) is not None


def _wrapped(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")


def _unwrapped(cursor: str) -> str:
    if not cursor or len(cursor) > _MAX:
        raise _bad()
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return raw.decode("ascii")
    except (binascii.Error, ValueError):
        raise _bad() from None


def _bad() -> Rejected:
    return rejected("bad_cursor", "this cursor was not made by Pollhook; take it from `next` of an earlier answer")
