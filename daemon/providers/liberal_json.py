"""JSON from strangers, read liberally: a finished job must not be lost over one odd byte beside its result.

The last of duplicate keys counts; NaN, Infinity, numbers past a float's range and integers of thousands of digits are
null; bytes that are no text are replaced. What is no JSON at all, or nested past the parser's depth, is
refused, and nothing but Unreadable is raised.
"""

from __future__ import annotations

import json
import sys
from math import isfinite

from daemon.core.observation import Json


class Unreadable(Exception):
    """The text is no JSON; says why, never what it holds."""


def read_json(body: bytes) -> Json:
    """Return the JSON value in *body* (UTF-8, or UTF-16/32 by its first bytes); raise Unreadable."""
    if not body or body.isspace():
        raise Unreadable("an empty body")
    encoding = "utf-8" if body[:1] == b"{" and body[1:2] != b"\0" else json.detect_encoding(body)
    text = body.decode(encoding, "replace")
    try:
        return _decoded(text)
    except RecursionError:
        raise Unreadable("JSON nested too deep") from None
    except ValueError:
        raise Unreadable("a body that is not JSON") from None


def _decoded(text: str) -> Json:
    try:
        value: Json = _decoder.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        value = _patient.decode(text)
    return value


def _number(text: str) -> float | None:
    number = float(text)
    return number if isfinite(number) else None


def _integer(text: str) -> int | None:
    return int(text) if len(text) < sys.int_info.default_max_str_digits else None


def _nothing(_constant: str) -> None:
    return None


_decoder = json.JSONDecoder(parse_float=_number, parse_constant=_nothing)
_patient = json.JSONDecoder(parse_float=_number, parse_constant=_nothing, parse_int=_integer)
