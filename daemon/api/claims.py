"""The Idempotency-Key of a registration, tied to the very request it came with."""

from __future__ import annotations

import hashlib

from aiohttp import web

from daemon.api.problems import rejected
from daemon.core.record import Claim

HEADER = "Idempotency-Key"
_MAX = 255


def claim_of(request: web.Request, body: bytes) -> Claim | None:
    """Return the claim a request makes by its Idempotency-Key, None without one; raise Rejected for an unusable key."""
    if HEADER not in request.headers:
        return None
    keys = request.headers.getall(HEADER)
    key = keys[0]
    if len(keys) > 1:
        raise rejected("bad_idempotency_key", f"{HEADER} must be given once, got {len(keys)}")
    if not 0 < len(key) <= _MAX or not key.isascii() or not key.isprintable():
        raise rejected("bad_idempotency_key", f"{HEADER} must be 1 to {_MAX} printable ASCII characters")
    seen = hashlib.sha256(f"{request.method} {request.path}\n".encode())
    seen.update(body)
    return Claim(key=key, fingerprint=seen.hexdigest())
