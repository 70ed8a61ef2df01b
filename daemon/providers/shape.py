"""The shape of a body: its keys and the types of its values, never what it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.core.observation import Json

LIMIT = 400
_DEEPEST, _MOST_KEYS, _LONGEST_KEY = 4, 12, 40
_TYPES: tuple[tuple[type, str], ...] = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "text"))


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an answer could not be read though it is JSON, and its shape."""

    cause: str
    shape: str

    def __str__(self) -> str:
        return f"{self.cause}; the body is {self.shape}"


def shape_of(body: Json, mask: Callable[[str], str] = str) -> str:
    """Return the shape of *body* in at most 400 characters; its keys go through *mask*."""
    text = "".join(char if char.isprintable() else "?" for char in _shape(body, mask, _DEEPEST))
    return text if len(text) <= LIMIT else f"{text[: LIMIT - 1]}…"


def _shape(value: Json, mask: Callable[[str], str], depth: int) -> str:
    if isinstance(value, dict):
        if not depth:
            return "{…}"
        told = [f"{mask(key)[:_LONGEST_KEY]}: {_shape(value[key], mask, depth - 1)}" for key in [*value][:_MOST_KEYS]]
        return f"{{{', '.join([*told, f'…{len(value)}'] if len(value) > _MOST_KEYS else told)}}}"
    if isinstance(value, list):
        if not value or not depth:
            return "[…]" if value else "[]"
        first = _shape(value[0], mask, depth - 1)
        return f"[{first}, …{len(value)}]" if len(value) > 1 else f"[{first}]"
    return next((name for kind, name in _TYPES if isinstance(value, kind)), "null")
