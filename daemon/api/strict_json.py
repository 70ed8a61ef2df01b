"""JSON that means one thing only: no key twice, no NaN or infinity, no half characters, no bottomless nesting.

What is valid and small on the wire but vast in memory (millions of ``{}``) is refused before it is parsed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from math import isfinite

from daemon.api.problems import rejected
from daemon.core.observation import Json

MAX_DEPTH = 64
MAX_CONTAINERS = 100_000
MAX_COMMAS = 250_000
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class _Refused(ValueError):
    """Raised inside the parser, where the place is not known."""


class _Twice(ValueError):
    """A key that stands twice in one object."""


def parse(body: bytes) -> Json:
    """Return the value of *body*; raise Rejected (``bad_json``, ``duplicate_key``) unless it is strict JSON.

    Also ``too_large`` for one of very many parts. Safe to run in a thread.
    """
    _require_few_parts(body)
    try:
        value: Json = _DECODER.decode(body.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise rejected(
            "bad_json", f"not JSON at line {error.lineno}, column {error.colno}: {error.msg.lower()}"
        ) from None
    except UnicodeDecodeError as error:
        raise rejected("bad_json", f"not UTF-8 at byte {error.start}") from None
    except _Twice as error:
        raise rejected("duplicate_key", str(error)) from None
    except RecursionError:
        raise rejected("bad_json", f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise rejected("bad_json", str(error) if isinstance(error, _Refused) else "a number is too long") from None
    _require_whole_characters(body, value)
    return value


def is_deeper(value: Json, limit: int = MAX_DEPTH) -> bool:
    """Whether arrays and objects nest deeper than *limit* levels in *value*."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limit):
        if not level:
            return False
        level = [child for item in level for child in _children(item) if isinstance(child, (dict, list))]
    return bool(level)


def _children(value: dict[str, Json] | list[Json]) -> Iterable[Json]:
    return value.values() if isinstance(value, dict) else value


def _require_few_parts(body: bytes) -> None:
    """Count what parts a body can have at most; a mark inside a string counts too, which the bounds leave room for."""
    if len(body) <= MAX_CONTAINERS:
        return
    if body.count(b"{") + body.count(b"[") > MAX_CONTAINERS:
        raise rejected(
            "too_large", f"the body must hold at most {MAX_CONTAINERS:,} objects and arrays; send less at once"
        )
    if body.count(b",") > MAX_COMMAS:
        raise rejected("too_large", f"the body must hold at most {MAX_COMMAS:,} commas; send less at once")


def _require_whole_characters(body: bytes, value: Json) -> None:
    """Look at every string by itself: one call over the whole of a large value would hold up every other thread."""
    left: list[Json] = [] if _SURROGATE.search(body) is None else [value]
    while left:
        item = left.pop()
        if isinstance(item, str) and not item.isascii():
            _require_utf8(item)
        elif isinstance(item, dict):
            left.extend(item)
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)


def _require_utf8(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise rejected("bad_json", "a string holds half of a surrogate pair") from None


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _Twice(f"the key {json.dumps(twice[:100])} stands twice in one object")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise _Refused(f"the number {text[:40]} is too large")
    return number


def _no_constant(text: str) -> float:
    raise _Refused(f"{text} is not a JSON value")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
