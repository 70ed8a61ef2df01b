"""Inline outputs: the bytes of ``data:`` URIs and base64, and texts that are outputs themselves."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from daemon.core.observation import Inline, Json, Output
from daemon.providers.definition_outputs import OutputSpec
from daemon.providers.excision import Cuts

_STEP = 256 * 1024
_HEAD = 1024
_DATA = re.compile(r"data:([\w.+-]{1,127}/[\w.+-]{1,127})?((?:;[\w.=+-]{1,64}){0,8}),", re.IGNORECASE)
_MEDIA = re.compile(r"[\w.+-]{1,127}/[\w.+-]{1,127}", re.ASCII)
_ONE_ALPHABET = bytes.maketrans(b"-_", b"+/")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_STRANGERS = bytes(byte for byte in range(256) if byte not in _ALPHABET)


def textual(value: Json, cuts: Cuts, spec: OutputSpec) -> Output | None:
    """Return *value* as an output: text as it is, all else as JSON; None for null, "", [], {} and what is nested too
    deep to be written.
    """
    if value is None or value in ("", [], {}):
        return None
    if isinstance(value, str):
        cut = cuts.get(value)
        content = encoded(value) if cut is None else _bytes(cut)
        media = spec.content_type or "text/plain; charset=utf-8"
    else:
        text = _written(value)
        if text is None:
            return None
        content = encoded(text)
        media = spec.content_type or "application/json"
    return Output(url="", kind=spec.kind or "text", inline=Inline(content=content, content_type=media))


def _written(value: Json) -> str | None:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):
        return None


def inlined(text: str | memoryview, media: str | None, spec: OutputSpec) -> Inline | None:
    """Return the bytes in a ``data:`` URI, or in base64 where *spec* says so; None for what is neither."""
    head = _DATA.match(text if isinstance(text, str) else str(text[:_HEAD], "latin-1"))
    if head is not None:
        content = _decoded(text[head.end() :], is_base64="base64" in head[2].lower().split(";"))
        return None if content is None else Inline(content=content, content_type=(head[1] or "text/plain").lower())
    if spec.encoding != "base64":
        return None
    content = _decoded(text, is_base64=True)
    return None if not content else Inline(content=content, content_type=_media(media))


def _decoded(text: str | memoryview, *, is_base64: bool) -> bytes | None:
    try:
        raw = text if isinstance(text, memoryview) else memoryview(encoded(text, "strict"))
        if is_base64 and not any(b"%" in piece for piece in _pieces(raw)):
            return _from_base64(raw)
        plain = b"".join(_unquoted(raw))
        return _from_base64(memoryview(plain)) if is_base64 else plain
    except ValueError:
        return None


def _from_base64(text: memoryview) -> bytes:
    """Decode either alphabet, padded or not; line breaks and other strangers are passed over (RFC 2045, 6.8).

    Goes step by step, so that many megabytes do not hold the interpreter's lock in one piece.
    """
    decoded, rest = [], b""
    for piece in _pieces(text):
        bare = rest + piece.translate(_ONE_ALPHABET, _STRANGERS)
        whole = len(bare) // 4 * 4
        decoded.append(b64decode(bare[:whole]))
        rest = bare[whole:]
    if len(rest) > 1:
        decoded.append(b64decode(rest + b"=" * (-len(rest) % 4)))
    return b"".join(decoded)


def _pieces(raw: memoryview) -> Iterator[bytes]:
    return (bytes(raw[start : start + _STEP]) for start in range(0, len(raw), _STEP))


def _bytes(cut: memoryview) -> bytes:
    """Return what was cut out, without a copy where it has been one already."""
    whole = cut.obj
    return whole if isinstance(whole, bytes) and len(whole) == len(cut) else b"".join(_pieces(cut))


def encoded(text: str, errors: str = "replace") -> bytes:
    """Return *text* as UTF-8, step by step."""
    steps = range(0, len(text), _STEP)
    return b"".join([text[start : start + _STEP].encode("utf-8", errors) for start in steps])


def _unquoted(raw: memoryview) -> Iterator[bytes]:
    """Undo percent-encoding step by step, no escape being cut."""
    rest = b""
    for piece in _pieces(raw):
        whole = rest + piece
        cut = whole.rfind(b"%", max(0, len(whole) - 2))
        cut = len(whole) if cut < 0 else cut
        yield unquote_to_bytes(whole[:cut])
        rest = whole[cut:]
    yield unquote_to_bytes(rest)


def _media(media: str | None) -> str:
    return media.lower() if media and _MEDIA.fullmatch(media) else "application/octet-stream"
