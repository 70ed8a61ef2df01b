"""Output URLs assembled from an answer's fields: ``/view?filename={filename}&type={type}``.

The rule guarded here is that a field can never change the origin or the shape of the URL: ``{name}`` is
percent-encoded with all reserved characters, ``{+name}`` keeps its slashes, neither is a ``.`` or ``..`` segment, and
no field stands before the path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from pydantic import BeforeValidator, WithJsonSchema

from daemon.core.observation import Json
from daemon.providers.expression import Expression, compiled
from daemon.providers.words import text_of

_SLOT = re.compile(r"\{(\+?)([A-Za-z_][A-Za-z0-9_.]*)\}")
_LITERAL = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?%\[\]]*")
_HEAD = re.compile(r"(?:https?://[A-Za-z0-9.-]+(?::\d{1,5})?)?/(?!/)")
_VALUE_LIMIT = 4096
_DOTS = ("", ".", "..")


@dataclass(frozen=True, slots=True)
class Piece:
    """A field's place in a URL; in the query it may be empty."""

    field: Expression | None
    is_raw: bool
    in_query: bool

    def filled(self, item: Json) -> str | None:
        """Return the field of *item* encoded, None where it has none that fits; may raise ExpressionFailed."""
        value = item if self.field is None else self.field.of(item)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None
        text = text_of(value)
        segments = text.split("/") if self.is_raw else [text]
        if len(text) > _VALUE_LIMIT or (not self.in_query and any(segment in _DOTS for segment in segments)):
            return None
        try:
            return quote(text, safe="/" if self.is_raw else "")
        except UnicodeEncodeError:
            return None


@dataclass(frozen=True, slots=True)
class OutputTemplate:
    """A URL with places for fields; without a scheme and a host it lies below the definition's base URL."""

    text: str
    parts: tuple[str | Piece, ...]

    def filled(self, item: Json, base: str) -> str | None:
        """Return the absolute URL for *item*, None where a field is missing; may raise ExpressionFailed."""
        told = [part if isinstance(part, str) else part.filled(item) for part in self.parts]
        if None in told:
            return None
        return (base if self.text.startswith("/") else "") + "".join(part for part in told if part)


def output_template(text: object) -> OutputTemplate:
    """Parse *text*; raise ValueError that says what is wrong with it."""
    if isinstance(text, OutputTemplate):
        return text
    if not isinstance(text, str) or not _HEAD.match(text):
        raise ValueError(
            f'an output template reads "/path?name={{field}}" or "https://host/path/{{field}}", got {text!r:.120}'
        )
    parts: list[str | Piece] = []
    end = 0
    for slot in _SLOT.finditer(text):
        field = None if slot[2] == "value" else compiled(slot[2])
        parts += [text[end : slot.start()], Piece(field, slot[1] == "+", "?" in text[: slot.start()])]
        end = slot.end()
    parts.append(text[end:])
    if not all(_LITERAL.fullmatch(part) for part in parts if isinstance(part, str)):
        raise ValueError(f"an output template holds no blanks, '#' or stray braces: {text!r:.120}")
    return OutputTemplate(text, tuple(part for part in parts if part))


OutputUrl = Annotated[OutputTemplate, BeforeValidator(output_template), WithJsonSchema({"type": "string"})]
