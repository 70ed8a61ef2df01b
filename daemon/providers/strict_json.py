"""JSON from strangers: what cannot be carried on unharmed is refused, and nothing but Unreadable is raised.

Refused are NaN and Infinity, numbers past a float's range, integers past Python's digit bound, duplicate keys, and
nesting past the parser's depth.
"""

from __future__ import annotations

import json
from math import isfinite

from daemon.core.observation import Json


class Unreadable(Exception):
    """The text is no JSON we accept; says why, never what it holds."""


def read_json(body: bytes) -> Json:
    """Return the JSON value in *body* (UTF-8, or UTF-16/32 by its first bytes); raise Unreadable."""
    if not body or body.isspace():
        raise Unreadable("an empty body")
    encoding = "utf-8" if body[:1] == b"{" and body[1:2] != b"\0" else json.detect_encoding(body)
    try:
        value: Json = _decoder.decode(body.decode(encoding))
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable("JSON nested too deep") from None
    except ValueError:
        raise Unreadable("a body that is not JSON") from None
    return value


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise Unreadable("JSON with a number past all bounds")
    return number


def _constant(text: str) -> Json:
    raise Unreadable(f"JSON with {text}")


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Unreadable("JSON with a duplicate key")
    return value


_decoder = json.JSONDecoder(parse_float=_number, parse_constant=_constant, object_pairs_hook=_object)
