"""Certificate authorities of an endpoint's own, as PEM text."""

from __future__ import annotations

import ssl

MAX_PEM = 64 * 1024


def authorities_complaint(pem: str) -> str | None:
    """Return why *pem* cannot be trusted beside the system's authorities, None where it can; empty text names none."""
    if not pem:
        return None
    if len(pem) > MAX_PEM:
        return f"must be at most {MAX_PEM // 1024} KiB of PEM certificates"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return "must be PEM text, one or more -----BEGIN CERTIFICATE----- blocks"
    return None
