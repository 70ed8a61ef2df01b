"""The receiver's half of Standard Webhooks: is this message signed, by which of these keys, and is it fresh."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence

from daemon.core.signing import Key, signature

TOLERANCE = 300.0
_SECONDS = re.compile(r"\d{1,12}", re.ASCII)


class BadSignature(ValueError):
    """A message that does not verify; says which rule it breaks."""


def verify(headers: Mapping[str, str], body: bytes, keys: Sequence[Key], *, now_at: float) -> None:
    """Return if *headers* sign *body* with any of *keys* within five minutes of *now_at*; else raise BadSignature.

    *headers* is case-insensitive or in lower case. Entries of unknown versions are passed over. Both schemes sign
    deterministically, so a signature is checked by making it again and comparing in constant time.
    """
    webhook_id, stamp, entries = (headers.get(f"webhook-{part}", "") for part in ("id", "timestamp", "signature"))
    if not webhook_id or not stamp or not entries:
        raise BadSignature("a signed message has the headers webhook-id, webhook-timestamp and webhook-signature")
    if not _SECONDS.fullmatch(stamp):
        raise BadSignature("webhook-timestamp is whole Unix seconds")
    if abs(now_at - int(stamp)) > TOLERANCE:
        raise BadSignature(f"webhook-timestamp is more than {TOLERANCE:g} s away from this clock")
    presented = [_entry(entry) for entry in entries.split(" ")]
    for key in keys:
        version, made = _entry(signature([key], webhook_id, int(stamp), body))
        if any(version == other and hmac.compare_digest(made, given) for other, given in presented):
            return
    raise BadSignature("no entry of webhook-signature matches")


def _entry(text: str) -> tuple[str, bytes]:
    version, _, encoded = text.partition(",")
    try:
        return version, base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return version, b""
