"""No secret leaves by the log: known values, telling names, telling shapes, and the query of every URL are masked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from math import isfinite
from typing import TypeAlias

from daemon.core.redaction import MASK, masking, names_secret, without_secret_shapes

Clean: TypeAlias = "bool | int | float | str | list[Clean] | dict[str, Clean] | None"
SHORTEST_SECRET = 6
LONGEST_TEXT = 16_384
DEEPEST = 8
TOGETHER = 4
"""Secrets that are looked for at once: a new one costs no more to learn however many there are, and the patterns that
``re`` remembers stay small."""
_URL = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,15}://)(?:[^\s/?#\"'<>@]*@)?(?P<rest>[^\s?#\"'<>]*)[^\s\"'<>]*", re.IGNORECASE
)


class Redactor:
    """A structlog processor that lets through only plain values without secrets.

    A secret shorter than six characters is not masked by value, since it would mask half of every line.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known: dict[str, None] = {}
        self._masks: list[Callable[[str], str]] = []
        for secret in known:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Mask *secret* from now on, in whichever spelling it stands there, also without its prefix."""
        bare = re.sub(r"^whs(?:ec|k)_", "", secret.strip())
        if len(bare) < SHORTEST_SECRET or bare in self._known:
            return
        self._known[bare] = None
        first = (len(self._known) - 1) // TOGETHER * TOGETHER
        self._masks[first // TOGETHER :] = [masking(list(self._known)[first:], SHORTEST_SECRET)]

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, object]) -> Mapping[str, Clean]:
        """Return the event with every value cleaned."""
        return self._table(event, 0)

    def text(self, text: str) -> str:
        """Return *text* without secrets, at most 16,384 characters of it."""
        for masked in self._masks:
            text = masked(text)
        text = without_secret_shapes(text)
        if "://" in text:
            text = _URL.sub(r"\g<scheme>\g<rest>", text)
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"

    def _value(self, value: object, depth: int) -> Clean:
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if isfinite(value) else str(value)
        if depth < DEEPEST and isinstance(value, Mapping):
            return self._table(value, depth + 1)
        if depth < DEEPEST and isinstance(value, list | tuple | set | frozenset):
            return [self._value(item, depth + 1) for item in value]
        return self.text(_spelled(value))

    def _table(self, table: Mapping[str, object], depth: int) -> dict[str, Clean]:
        return {
            self.text(str(name)): MASK if names_secret(str(name)) and value else self._value(value, depth)
            for name, value in table.items()
        }


def _spelled(value: object) -> str:
    if isinstance(value, str | BaseException):
        return str(value)
    return f"[{len(value)} bytes]" if isinstance(value, bytes | bytearray) else repr(value)
