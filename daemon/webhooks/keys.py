"""Key material: new secrets, and Ed25519 pairs in the Standard Webhooks spelling (``whsk_``, ``whpk_``)."""

from __future__ import annotations

import base64
import binascii
import secrets

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemon.core.signing import BadSecret, Key, encode_secret, fingerprint

PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
NEW_SECRET_BYTES = 30
_SEED_BYTES = 32


def new_secret() -> str:
    """Return a new ``whsec_`` secret of 30 random bytes, a length whose base64 needs no padding."""
    return encode_secret(secrets.token_bytes(NEW_SECRET_BYTES))


def new_private_key() -> str:
    """Return a new ``whsk_`` Ed25519 private key."""
    private = Ed25519PrivateKey.generate()
    return PRIVATE_PREFIX + base64.b64encode(private.private_bytes_raw() + _public(private)).decode("ascii")


def public_key(secret: str) -> str:
    """Return the ``whpk_`` key by which receivers verify what the ``whsk_`` *secret* signs; raise BadSecret."""
    return PUBLIC_PREFIX + base64.b64encode(_public(_private(secret))).decode("ascii")


def ed25519_key(secret: str) -> Key:
    """Return the v1a key of a ``whsk_`` *secret*; its fingerprint is the public key's. Raise BadSecret."""
    private = _private(secret)
    shown = PUBLIC_PREFIX + base64.b64encode(_public(private)).decode("ascii")
    return Key(version="v1a", sign=private.sign, fingerprint=fingerprint(_public(private)), public=shown)


def _private(secret: str) -> Ed25519PrivateKey:
    """Read base64 of a 32-byte seed and its 32-byte public key, which must belong together."""
    if not secret.startswith(PRIVATE_PREFIX):
        raise BadSecret(f"an Ed25519 signing key begins with {PRIVATE_PREFIX}")
    try:
        raw = base64.b64decode(secret.removeprefix(PRIVATE_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise BadSecret(f"after {PRIVATE_PREFIX} an Ed25519 signing key is padded standard base64") from None
    if len(raw) != 2 * _SEED_BYTES:
        raise BadSecret(
            f"an Ed25519 signing key holds {2 * _SEED_BYTES} bytes, seed and public key, this one {len(raw)}"
        )
    private = Ed25519PrivateKey.from_private_bytes(raw[:_SEED_BYTES])
    if _public(private) != raw[_SEED_BYTES:]:
        raise BadSecret("the two halves of this Ed25519 signing key do not belong together")
    return private


def _public(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
