"""Big JSON, parsed slice by slice: the parser in C holds the interpreter's lock as long as one call of it lasts.

The rule guarded here is that no single call sees more than a slice, so that whoever waits for the lock gets it within
milliseconds, and that what is made of an answer is bounded in number, whatever its bytes: the collector of garbage
and the end of a value hold the lock for as long as there are lists and objects in it. The value is the one the
whole text would give; where the whole would be refused, so is this, but for a number longer than a slice, which is
null.

A run of items may be cut at any comma and tried: a cut inside a string or a container cannot be parsed, so that one
which can be stands between two items.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]  # what the decoder itself reads strings with
from typing import Generic, TypeAlias, TypeVar

from daemon.core.observation import Json
from daemon.providers.json_strings import closing, pieces

SLICE = 64 * 1024
MOST = 1_000_000
MOST_NESTED = 250_000
_DEEPEST = 64
_BLANKS = re.compile(rb"[ \t\n\r]*")
_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(rb"[-+0-9.eE]*")
_FAULTS = (StopIteration, ValueError)
_NO_JSON = "a body that is not JSON"
T = TypeVar("T")
_Small: TypeAlias = Callable[[str, int], tuple[T, int]]
_Big: TypeAlias = Callable[[int], tuple[T, int]]


class NotJson(ValueError):
    """The text is no JSON that is read here; says why, never what it holds."""


def read_big(body: bytes, decoder: json.JSONDecoder) -> Json:
    """Return the JSON value in *body*, valid UTF-8; raise NotJson or RecursionError."""
    text = _Text(body, decoder.scan_once)  # type: ignore[attr-defined]  # the decoder's own, in C
    value, at = text.value(0, 0)
    if text.past_blanks(at) != len(body):
        raise NotJson(_NO_JSON)
    return value


@dataclass(frozen=True, slots=True)
class _Kind(Generic[T]):
    """An array or an object: its marks, and what it is made of."""

    opening: str
    closing: bytes
    unwrapped: Callable[[Json], list[T]]


class _Text:
    """A text, read from places in it; every method returns what it read and the place behind it."""

    def __init__(self, body: bytes, scan: Callable[[str, int], tuple[Json, int]]) -> None:
        self._body = body
        self._scan = scan
        self._count = 0
        self._nested = 0

    def value(self, at: int, depth: int) -> tuple[Json, int]:
        """Read the value at *at*: by one call where it is small, else by its parts."""
        at = self.past_blanks(at)
        window = self._window(at)
        try:
            value, end = self._scan(window, 0)
        except _FAULTS:
            return self._parts(at, depth)
        if end == len(window) and at + SLICE < len(self._body):
            return self._parts(at, depth)
        return value, at + self._taken(window, end)

    def past_blanks(self, at: int) -> int:
        """Return the place behind the blanks at *at*."""
        while True:
            found = _BLANKS.match(self._body, at, at + SLICE)
            end = at if found is None else found.end()
            if end < at + SLICE:
                return end
            at = end

    def _parts(self, at: int, depth: int) -> tuple[Json, int]:
        if depth > _DEEPEST:
            raise NotJson("JSON nested too deep")
        first = self._body[at : at + 1]
        if first == b'"':
            return self._string(at + 1)
        if first == b"[":
            return self._array(at + 1, depth + 1)
        if first == b"{":
            return self._object(at + 1, depth + 1)
        return None, self._past_number(at)

    def _array(self, at: int, depth: int) -> tuple[Json, int]:
        return self._all(at, _Kind("[", b"]", _items), self._item, lambda place: self.value(place, depth))

    def _object(self, at: int, depth: int) -> tuple[Json, int]:
        pairs, at = self._all(at, _Kind("{", b"}", _pairs), self._pair, lambda place: self._big_pair(place, depth))
        return dict(pairs), at

    def _all(self, at: int, kind: _Kind[T], small: _Small[T], big: _Big[T]) -> tuple[list[T], int]:
        """Read all items up to the closing mark: many by one call, else one by one, else by the parts of one."""
        items: list[T] = []
        at = self.past_blanks(at)
        if self._body[at : at + 1] == kind.closing:
            return items, at + 1
        is_even = True
        while True:
            run: list[T]
            run, at = self._at_once(at, kind) if is_even else self._one_by_one(at, small)
            is_even = is_even and bool(run)
            items += run
            if run:
                continue
            item, at = big(at)
            items.append(item)
            at = self.past_blanks(at)
            mark = self._body[at : at + 1]
            at += 1
            if mark == kind.closing:
                return items, at
            if mark != b",":
                raise NotJson(_NO_JSON)

    def _at_once(self, at: int, kind: _Kind[T]) -> tuple[list[T], int]:
        """Read the items up to the last comma of the window; none where it stands inside one of them."""
        window = self._window(at)
        cut = window.rfind(",")
        wrapped = f"{kind.opening}{window[: max(cut, 0)]}{kind.closing.decode()}"
        try:
            found, end = self._scan(wrapped, 0)
        except _FAULTS:
            return [], at
        if end != len(wrapped) or not found:
            return [], at
        return kind.unwrapped(found), at + self._taken(window, cut + 1)

    def _one_by_one(self, at: int, small: _Small[T]) -> tuple[list[T], int]:
        """Read the items that stand whole in the window, each with the comma behind it."""
        window, items, end = self._window(at), [], 0
        while True:
            try:
                item, past = small(window, _past(window, end))
            except _FAULTS:
                break
            past = _past(window, past)
            if window[past : past + 1] != ",":
                break
            items.append(item)
            end = past + 1
        return items, at + self._taken(window, end)

    def _item(self, window: str, at: int) -> tuple[Json, int]:
        return self._scan(window, at)

    def _pair(self, window: str, at: int) -> tuple[tuple[str, Json], int]:
        if window[at : at + 1] != '"':
            raise NotJson(_NO_JSON)
        key, at = scanstring(window, at + 1, True)
        at = _past(window, at)
        if window[at : at + 1] != ":":
            raise NotJson(_NO_JSON)
        value, at = self._scan(window, _past(window, at + 1))
        return (key, value), at

    def _big_pair(self, at: int, depth: int) -> tuple[tuple[str, Json], int]:
        at = self.past_blanks(at)
        if self._body[at : at + 1] != b'"':
            raise NotJson(_NO_JSON)
        key, at = self._string(at + 1)
        at = self.past_blanks(at)
        if self._body[at : at + 1] != b":":
            raise NotJson(_NO_JSON)
        value, at = self.value(at + 1, depth)
        return (key, value), at

    def _string(self, at: int) -> tuple[str, int]:
        """Read the string whose text begins at *at*."""
        end = closing(self._body, at)
        if end < 0:
            raise NotJson(_NO_JSON)
        return "".join(pieces(self._body, at, end)), end + 1

    def _past_number(self, at: int) -> int:
        """Return the place behind a number that is longer than a slice."""
        begin = at
        while (found := _NUMBER.match(self._body, at, at + SLICE)) is not None and found.end() > at:
            at = found.end()
        if at - begin < SLICE:
            raise NotJson(_NO_JSON)
        return at

    def _window(self, at: int) -> str:
        return self._body[at : at + SLICE].decode("utf-8", "ignore")

    def _taken(self, window: str, count: int) -> int:
        """Return how many bytes the first *count* characters of *window* are, whose values are counted."""
        nested = window.count("[", 0, count) + window.count("{", 0, count)
        self._count += nested + window.count(",", 0, count)
        self._nested += nested
        if self._count > MOST or self._nested > MOST_NESTED:
            raise NotJson(f"JSON of more than {MOST:,} values or {MOST_NESTED:,} lists and objects")
        return count if window.isascii() else len(window[:count].encode("utf-8"))


def _items(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _pairs(value: Json) -> list[tuple[str, Json]]:
    return list(value.items()) if isinstance(value, dict) else []


def _past(window: str, at: int) -> int:
    found = _BLANK.match(window, at)
    return at if found is None else found.end()
