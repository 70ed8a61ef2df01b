"""What may leave the process: JSON without inline bytes, text without keys.

Events, records and logs carry only what passed through here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from daemon.core.observation import Json

MASK = "[redacted]"
MAX_DEPTH = 64
_BASE64_FLOOR = 1024
_DATA_URI = re.compile(r"data:[\w.+-]{0,127}/?[\w.+-]{0,127}(?:;[\w.=+-]{1,64}){0,8},[A-Za-z0-9+/=_%-]*", re.IGNORECASE)
_BASE64_HEAD = re.compile(r"[A-Za-z0-9+/_-]{512}")
_SECRET_SHAPE = re.compile(
    r"\bwhs(?:ec|k)_[A-Za-z0-9+/=_-]+|\bsk-[A-Za-z0-9_-]{8,}|(?i:(?<=bearer )|(?<=basic ))[A-Za-z0-9._~+/=-]{6,}"
)
_SECRET_NAME = re.compile(
    r"(?:^|[_.\- ])(?:api[_-]?keys?|secrets?|tokens?|(?:proxy-)?authorization|passw(?:or)?d|credentials?|cookie"
    r"|(?:signing|private|access)[_-]key)$",
    re.IGNORECASE,
)


def without_keys(text: str, keys: Iterable[str]) -> str:
    """Return *text* with each of the secret *keys* masked, however often it stands there."""
    for key in keys:
        if key and key in text:
            text = text.replace(key, MASK)
    return text


def without_secret_shapes(text: str) -> str:
    """Return *text* with whatever looks like a credential masked: ``whsec_…``, ``whsk_…``, ``sk-…``, ``Bearer …``."""
    return _SECRET_SHAPE.sub(MASK, text)


def names_secret(name: str) -> bool:
    """Whether a field of this *name* holds a credential: ``api_key``, ``previous_secrets``, ``Authorization``, …"""
    return _SECRET_NAME.search(name) is not None


def without_bytes(value: Json, depth: int = 0) -> Json:
    """Return a copy of *value* in which ``data:`` URIs and long base64 are named by their length only."""
    if depth > MAX_DEPTH:
        return "[nested deeper than 64 levels, left out]"
    if isinstance(value, str):
        return _lean(value)
    if isinstance(value, list):
        return [without_bytes(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_lean(name): without_bytes(item, depth + 1) for name, item in value.items()}
    return value


def is_base64(text: str) -> bool:
    """Whether *text* is long and looks like base64: 1,024 characters or more, the first 512 of its alphabet."""
    return len(text) >= _BASE64_FLOOR and _BASE64_HEAD.match(text) is not None


def _lean(text: str) -> str:
    if is_base64(text):
        return f"[base64, {len(text)} characters, left out]"
    if "data:" in text[:5].lower() or ";base64," in text:
        return _DATA_URI.sub(lambda found: f"[data: URI, {len(found[0])} characters, left out]", text)
    return text
