"""Strings inside JSON, found and read piece by piece, so that one of many megabytes holds no lock for long.

The rule guarded here is that no piece ends inside a character or an escape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # what the decoder itself reads strings with

STEP = 64 * 1024
_ESCAPE = 12
_PLAIN = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


def closing(body: bytes, at: int) -> int:
    """Return where the quotation mark stands that ends the string whose text goes on at *at*; -1 where none does."""
    while at < len(body):
        found = _PLAIN.match(body, at, at + STEP)
        end = at if found is None else found.end()
        if body[end : end + 1] == b'"' and end < at + STEP:
            return end
        if end == at:
            return -1
        at = end
    return -1


def pieces(body: bytes, at: int, end: int) -> Iterator[str]:
    """Yield the text of the string from *at* to its closing mark at *end*; raise ValueError where it is none."""
    held = ""
    while at < end:
        cut = _cut(body, at, end)
        text = body[at:cut].decode("utf-8") + '"'
        piece, past = scanstring(text, 0, True)
        if past != len(text):
            raise ValueError("a quotation mark inside")
        if held and "\udc00" <= piece[:1] <= "\udfff":
            held, piece = "", (held + piece[0]).encode("utf-16", "surrogatepass").decode("utf-16") + piece[1:]
        if held:
            yield held
        held = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        yield piece[:-1] if held else piece
        at = cut
    if held:
        yield held


def _cut(body: bytes, at: int, end: int) -> int:
    cut = at + STEP
    if cut >= end:
        return end
    first = body.find(b"\\", cut - _ESCAPE, cut)
    if first >= 0:
        before = body[at:first]
        return first + (len(before) - len(before.rstrip(b"\\"))) % 2
    while body[cut] & 0xC0 == 0x80 and cut > at + STEP - 4:
        cut -= 1
    return cut
