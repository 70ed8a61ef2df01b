"""Standard Webhooks signatures: what is signed, with which key, and how the header reads.

Rule (specification, "Signature scheme"): ``version,base64(sign(key, id.timestamp.body))``, entries separated by one
space. ``v1`` is HMAC-SHA256 and comes first; ``v1a`` is Ed25519, whose signing function an adapter hands in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

SECRET_PREFIX = "whsec_"
SECRET_BYTES = (24, 64)
HEADER_SIGNATURES = 5


class BadSecret(ValueError):
    """A text that is no signing secret; says what is wrong without repeating it."""


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key: its scheme, a signing function, and what is safe to show: a fingerprint, and a public key."""

    version: str
    sign: Callable[[bytes], bytes] = field(repr=False)
    fingerprint: str
    public: str | None = None


def hmac_key(secret: str) -> Key:
    """Return the v1 key of a ``whsec_`` *secret*; raise BadSecret unless it decodes to 24 to 64 bytes."""
    return raw_key(decode_secret(secret))


def raw_key(raw: bytes) -> Key:
    """Return the v1 key of bytes already decoded, whatever their number.

    The key is read once: a copy of what it leaves costs less than to begin anew, and lets no other thread in between.
    """
    keyed = hmac.new(raw, digestmod="sha256")

    def sign(message: bytes) -> bytes:
        mac = keyed.copy()
        mac.update(message)
        return mac.digest()

    return Key(version="v1", sign=sign, fingerprint=fingerprint(raw))


def decode_secret(secret: str) -> bytes:
    """Return the key bytes of a ``whsec_`` *secret*: padded standard base64, 24 to 64 bytes."""
    if not secret.startswith(SECRET_PREFIX):
        raise BadSecret(f"a signing secret begins with {SECRET_PREFIX}; make one with `pollhook secret --new`")
    try:
        raw = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise BadSecret(f"after {SECRET_PREFIX} a signing secret is padded standard base64") from None
    low, high = SECRET_BYTES
    if not low <= len(raw) <= high:
        raise BadSecret(f"a signing secret holds {low} to {high} bytes, this one {len(raw)}")
    return raw


def encode_secret(raw: bytes) -> str:
    """Return key bytes as a ``whsec_`` secret."""
    return SECRET_PREFIX + base64.b64encode(raw).decode("ascii")


def derived_secret(master: bytes, origin: str) -> str:
    """Return the secret of an ad-hoc *origin*: HMAC-SHA256 of the daemon's own key, 32 bytes, always the same."""
    return encode_secret(hmac.digest(master, b"pollhook webhook secret\0" + origin.encode(), "sha256"))


def fingerprint(raw: bytes) -> str:
    """Return the first 8 hex digits of SHA-256, by which a key can be named but not guessed."""
    return hashlib.sha256(raw).hexdigest()[:8]


def signature(keys: Sequence[Key], webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the ``webhook-signature`` header: every key's entry, v1 before v1a, at most five: a secret, three
    before it, and an Ed25519 key.
    """
    message = b".".join((webhook_id.encode(), str(timestamp).encode(), body))
    ordered = sorted(keys, key=lambda key: key.version)[:HEADER_SIGNATURES]
    return " ".join(f"{key.version},{base64.b64encode(key.sign(message)).decode('ascii')}" for key in ordered)
