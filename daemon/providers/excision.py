"""Excision: strings of a megabyte and more are taken out of an answer before it is parsed.

A parser would copy them several times over and hold the interpreter's lock meanwhile, to the cost of every lane.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from daemon.providers.json_strings import closing, pieces

LONG = 1024 * 1024
_BEGINS = re.compile(rb"[dD][aA][tT][aA]:|[A-Za-z0-9+/_-]{512}")
_BEHIND = frozenset(bytes([byte]) for byte in b',:]} \t\n\r"{[\\') | {b""}
_FARTHEST_BACK = 1000
_ESCAPES = 4096
Cuts: TypeAlias = Mapping[str, memoryview]


def excised(body: bytes) -> tuple[bytes, Cuts]:
    """Return *body* with names for its strings of a megabyte and more, and by those names what was cut out.

    A string of 1 MiB covers a multiple of 1 MiB, so only there is looked. What follows a quotation mark and is none of
    the marks and blanks that can follow a string stands inside one. JSON inside a string is left for expressions.
    """
    if len(body) < LONG or b"\0" in body[:4]:
        return body, {}
    cuts: dict[str, memoryview] = {}
    parts: list[bytes] = []
    kept, at = 0, LONG
    while at < len(body):
        begin = _opening(body, kept, at)
        end = closing(body, at) if begin else body.find(b'"', at)
        cut = _cut(body, begin, end) if begin and end - begin >= LONG else None
        if cut is not None:
            name = f"[{_kind(body, begin)}, {end - begin} characters, left out; no. {len(cuts) + 1}]"
            cuts[name] = cut
            parts += [body[kept:begin], name.encode("ascii")]
            kept = end
        at = max(at, end if end > 0 else len(body)) // LONG * LONG + LONG
    return b"".join([*parts, body[kept:]]), cuts


def _opening(body: bytes, kept: int, at: int) -> int:
    """Return where the text begins of the string that *at* stands in; 0 where it surely stands in none."""
    for _ in range(_FARTHEST_BACK):
        mark = body.rfind(b'"', kept, at)
        before = body[max(kept, mark - _ESCAPES) : max(mark, 0)]
        if (len(before) - len(before.rstrip(b"\\"))) % 2 == 0:
            return mark + 1 if mark >= 0 and body[mark + 1 : mark + 2] not in _BEHIND else 0
        at = mark
    return 0


def _cut(body: bytes, begin: int, end: int) -> memoryview | None:
    """Return the text from *begin* to *end* as UTF-8, its escapes undone; None where it cannot be read."""
    if body.find(b"\\", begin, end) < 0:
        return memoryview(body)[begin:end]
    try:
        return memoryview(b"".join([piece.encode("utf-8", "replace") for piece in pieces(body, begin, end)]))
    except ValueError:
        return None


def _kind(body: bytes, begin: int) -> str:
    return "inline bytes" if _BEGINS.match(body, begin) else "text"
