"""Which request headers an endpoint may add to its webhooks: any but those that frame, route or sign the request."""

from __future__ import annotations

import re

_FRAMING = frozenset(
    {"content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_OURS = _FRAMING | {"accept-encoding", "connection", "content-encoding", "content-type", "user-agent"}
_OUR_PREFIXES = ("proxy-", "webhook-")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE = re.compile(r"[\x20-\x7e]{0,4096}")


def header_complaint(name: str, value: str) -> str | None:
    """Return why the header cannot be added, or None where it can; the value is never repeated."""
    if not _NAME.fullmatch(name):
        return "a header's name is made of letters, digits and hyphens"
    if name.lower() in _OURS or name.lower().startswith(_OUR_PREFIXES):
        return f"the header {name.lower()} is set by pollhook itself"
    if not _VALUE.fullmatch(value):
        return f"the value of the header {name.lower()} is printable ASCII, at most 4,096 characters"
    return None
