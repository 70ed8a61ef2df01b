"""Excision: inline bytes of a megabyte and more are taken out of an answer before it is parsed.

A parser would copy them several times over and hold the interpreter's lock meanwhile, to the cost of every lane.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

LONG = 1024 * 1024
_BEGINS = re.compile(rb"[dD][aA][tT][aA]:|[A-Za-z0-9+/_-]{512}")
Cuts: TypeAlias = Mapping[str, memoryview]


def excised(body: bytes) -> tuple[bytes, Cuts]:
    """Return *body* with names for its long ``data:`` URIs and base64 strings, and by those names what was cut out.

    A string of 1 MiB covers a multiple of 1 MiB, so only there is looked. What begins with a letter or digit right
    behind a quotation mark stands inside a string, because in JSON nothing of the kind follows the end of one.
    """
    if len(body) < LONG or b"\0" in body[:4]:
        return body, {}
    cuts: dict[str, memoryview] = {}
    parts: list[bytes] = []
    kept, at, view = 0, LONG, memoryview(body)
    while at < len(body):
        begin, end = body.rfind(b'"', kept, at) + 1, body.find(b'"', at)
        if begin and end - begin >= LONG and _is_inline(body, begin, end):
            name = f"[inline bytes, {end - begin} characters, left out; no. {len(cuts) + 1}]"
            cuts[name] = view[begin:end]
            parts += [body[kept:begin], name.encode("ascii")]
            kept = end
        at = max(at, end if end > 0 else len(body)) // LONG * LONG + LONG
    return b"".join([*parts, body[kept:]]), cuts


def _is_inline(body: bytes, begin: int, end: int) -> bool:
    is_escaped = body[begin - 2 : begin - 1] == b"\\" or body.find(b"\\", begin, end) >= 0
    return not is_escaped and _BEGINS.match(body, begin, end) is not None
