"""What may leave the process: JSON without inline bytes, text without keys.

Events, records and logs carry only what passed through here.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

from daemon.core.observation import Json

MASK = "[redacted]"
MAX_DEPTH = 64
_BASE64_FLOOR = 1024
_LONGEST_TEXT = 1024 * 1024
_LONG = 64 * 1024
_DATA_URI = re.compile(  # possessive throughout: no part is read twice, whatever follows
    r"[dD][aA][tT][aA]:[\w.+-]{0,127}+(?:/[\w.+-]{0,127}+)?+(?:;[\w.=+-]{1,64}+){0,8}+,[A-Za-z0-9+/=_%-]*+"
)
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


def masking(secrets: Iterable[str], shortest: int = 1) -> Callable[[str], str]:
    """Return a function that masks each of *secrets* in a text, in whichever spelling it stands there.

    Found are the secret itself, percent-encoded (whichever characters, either letter case, twice over too), escaped as
    in JSON, in hexadecimal, and within base64 of either alphabet. Spellings shorter than *shortest* are let stand.
    """
    whole = sorted({secret for secret in secrets if len(secret) >= max(shortest, 1)}, key=len, reverse=True)
    if not whole:
        return str
    pattern = re.compile("|".join("".join(map(_any_spelling, secret)) for secret in whole))
    encoded = {spelling for secret in whole for spelling in _encoded(secret) if len(spelling) >= shortest}
    recoded = sorted(encoded - set(whole), key=len, reverse=True)
    floor = min(map(len, [*whole, *recoded]))

    def masked(text: str) -> str:
        return text if len(text) < floor else without_keys(pattern.sub(MASK, text), recoded)

    return masked


def without_secret_shapes(text: str) -> str:
    """Return *text* with whatever looks like a credential masked: ``whsec_…``, ``whsk_…``, ``sk-…``, ``Bearer …``."""
    return _SECRET_SHAPE.sub(MASK, text)


def names_secret(name: str) -> bool:
    """Whether a field of this *name* holds a credential: ``api_key``, ``previous_secrets``, ``Authorization``, …"""
    return _SECRET_NAME.search(name) is not None


def without_bytes(value: Json, mask: Callable[[str], str] = str, depth: int = 0) -> Json:
    """Return a copy of *value* in which ``data:`` URIs, long base64 and texts past 1 MiB are named by length.

    What is left of every text, names among them, goes through *mask*.
    """
    if isinstance(value, str):
        return mask(_lean(value))
    if not isinstance(value, list | dict):
        return value
    if depth > MAX_DEPTH:
        return "[nested deeper than 64 levels, left out]"
    if isinstance(value, list):
        return [without_bytes(item, mask, depth + 1) for item in value]
    return {mask(_lean(name)): without_bytes(item, mask, depth + 1) for name, item in value.items()}


def is_base64(text: str) -> bool:
    """Whether *text* is long and looks like base64: 1,024 characters or more, the first 512 of its alphabet."""
    return len(text) >= _BASE64_FLOOR and _BASE64_HEAD.match(text) is not None


def _lean(text: str) -> str:
    if is_base64(text):
        return f"[base64, {len(text)} characters, left out]"
    begins = text[:5].lower() == "data:"
    if begins and len(text) > _LONG:
        return f"[data: URI, {len(text)} characters, left out]"
    if len(text) > _LONGEST_TEXT:
        return f"[text, {len(text)} characters, left out]"
    if begins or ";base64," in text:
        return _DATA_URI.sub(lambda found: f"[data: URI, {len(found[0])} characters, left out]", text)
    return text


def _any_spelling(char: str) -> str:
    """Return a pattern for *char*: itself, and where it may need it also percent-encoded or escaped as in JSON."""
    plain = re.escape(char)
    if char.isascii() and (char.isalnum() or char in "-_.~"):
        return plain
    percent = "".join(f"%(?:25){{0,3}}{_hex(f'{byte:02x}')}" for byte in char.encode("utf-8", "surrogatepass"))
    units = re.findall("....", char.encode("utf-16-be", "surrogatepass").hex())
    escaped = "".join(rf"\\u{_hex(unit)}" for unit in units)
    quoted = re.escape(json.dumps(char)[1:-1])
    return rf"(?:{percent}|{escaped}|{quoted}|\\{plain}|{plain})"


def _hex(digits: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


def _encoded(secret: str) -> Iterator[str]:
    """Spell *secret* as a whole in hexadecimal and base64, alone and as it reads in the midst of longer base64."""
    raw = secret.encode("utf-8", "surrogatepass")
    yield from (raw.hex(), raw.hex().upper())
    for shift, first in ((0, 0), (1, 2), (2, 3)):
        text = b64encode(b"\0" * shift + raw).decode("ascii")
        for spelling in (text[first:].rstrip("="), text[first : (shift + len(raw)) * 8 // 6]):
            for told in (spelling, spelling.replace("+", "-").replace("/", "_")):
                yield from {told, quote(told, safe="")}
