"""JSON from strangers, read liberally: a finished job must not be lost over one odd byte beside its result.

The last of duplicate keys counts; NaN, Infinity, numbers past a float's range and integers of thousands of digits are
null; bytes that are no text are replaced. What is no JSON at all, or nested past the parser's depth, is
refused, and nothing but Unreadable is raised. What is over 256 KiB is parsed slice by slice.
"""

from __future__ import annotations

import codecs
import json
import sys
from math import isfinite

from daemon.core.observation import Json
from daemon.providers.big_json import NotJson, read_big

BIG = 256 * 1024


class Unreadable(Exception):
    """The text is no JSON; says why, never what it holds."""


def read_json(body: bytes) -> Json:
    """Return the JSON value in *body* (UTF-8, or UTF-16/32 by its first bytes); raise Unreadable."""
    is_big = len(body) > BIG
    if not body or (body.isspace() and not is_big):
        raise Unreadable("an empty body")
    encoding = "utf-8" if body[:1] == b"{" and body[1:2] != b"\0" else json.detect_encoding(body)
    try:
        return read_big(_utf8(body, encoding), _patient) if is_big else _decoded(body.decode(encoding, "replace"))
    except RecursionError:
        raise Unreadable("JSON nested too deep") from None
    except NotJson as failure:
        raise Unreadable(str(failure)) from None
    except ValueError:
        raise Unreadable("a body that is not JSON") from None


def _utf8(body: bytes, encoding: str) -> bytes:
    """Return *body* as valid UTF-8, recoded piece by piece."""
    if encoding == "utf-8" and body.isascii():
        return body
    decode = codecs.getincrementaldecoder(encoding)("replace").decode
    pieces = [decode(body[at : at + BIG]).encode("utf-8", "replace") for at in range(0, len(body), BIG)]
    return b"".join([*pieces, decode(b"", final=True).encode("utf-8", "replace")])


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
