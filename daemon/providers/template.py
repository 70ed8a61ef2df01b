"""Request templates: ``GET /v1/queue/{model}/requests/{id}/status``.

The rule guarded here is that a variable can never change the shape of the request: ``{id}`` is percent-encoded with
all reserved characters, ``{+id}`` keeps its slashes, and neither may be or hold a ``.`` or ``..`` segment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated
from urllib.parse import quote, unquote

from pydantic import BeforeValidator, WithJsonSchema

METHODS = ("GET", "POST")
_SLOT = re.compile(r"\{(\+?)([A-Za-z_][A-Za-z0-9_]*)\}")
_LITERAL = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?%\[\]]*")
_RAW_SAFE = "/:@!$&'()*+,;="
_DOTS = ("", ".", "..")


class Unbuildable(Exception):
    """A request cannot be built for a task; the text says why."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A variable's place; ``is_raw`` keeps slashes."""

    name: str
    is_raw: bool

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the variable's value, encoded; raise Unbuildable where there is none or it is no safe segment."""
        value = values.get(self.name)
        if value is None:
            raise Unbuildable(f"the request needs {self.name}")
        segments = value.split("/") if self.is_raw else (value,)
        if any(segment in _DOTS for segment in segments):
            raise Unbuildable(f"{self.name} must not be empty nor have an empty, '.' or '..' segment")
        try:
            return quote(value, safe=_RAW_SAFE if self.is_raw else "")
        except UnicodeEncodeError as failure:
            raise Unbuildable(f"{self.name} is not valid Unicode") from failure


@dataclass(frozen=True)
class Template:
    """A method and a path with variables, below the definition's base URL."""

    text: str
    method: str
    parts: tuple[str | Slot, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The variables, in order, each once."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, Slot)))

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the path and query for *values*; may raise Unbuildable."""
        return "".join([part if isinstance(part, str) else part.filled(values) for part in self.parts])

    def part(self, name: str) -> Slot:
        """Return the first place of the variable *name*."""
        return next(part for part in self.parts if isinstance(part, Slot) and part.name == name)

    def variables_in(self, path: str) -> dict[str, str]:
        """Read the variables back from a raw *path* this template could have made; empty where it could not."""
        found = self._pattern.fullmatch(path)
        if found is None:
            return {}
        return {name: unquote(value) for name, value in found.groupdict().items()}

    def matches(self, path: str) -> bool:
        """Whether the ``plain_path`` *path*, below the base URL, is one this template could have made."""
        return self._pattern.fullmatch(path) is not None

    @cached_property
    def weight(self) -> int:
        """How many characters of the path are the template's own: of two that match, the heavier is meant."""
        before_query = self.text.partition(" ")[2].partition("?")[0]
        return len(_SLOT.sub("", before_query))

    @cached_property
    def query_names(self) -> frozenset[str]:
        """The names in the query."""
        return frozenset(name for name, _ in self.query_pairs)

    @property
    def query_pairs(self) -> tuple[tuple[str, str], ...]:
        """The names and values in the query, as they are written."""
        parts = [part.partition("=") for part in self.text.partition("?")[2].split("&") if part]
        return tuple((name, value) for name, _, value in parts)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("".join(_pattern_parts(self.parts)))


def template(text: object) -> Template:
    """Parse ``METHOD /path?query``; raise ValueError that says what is wrong."""
    if isinstance(text, Template):
        return text
    if not isinstance(text, str):
        raise ValueError(f'a request reads "GET /path/{{id}}", got {text!r:.60}')  # noqa: TRY004 (pydantic's field error)
    method, _, target = text.strip().partition(" ")
    if method not in METHODS or not target.startswith("/") or target.startswith("//"):
        raise ValueError(f'a request reads "GET /path/{{id}}" ({" or ".join(METHODS)}), got {text!r:.120}')
    return Template(text, method, _parsed(target))


def plain_path(path: str) -> str:
    """Return a raw *path* as servers take it: dot segments resolved, no empty segments, nothing encoded needlessly."""
    segments: list[str] = []
    for segment in map(unquote, path.split("/")):
        if segment == "..":
            del segments[-1:]
        elif segment not in _DOTS:
            segments.append(quote(segment, safe=_RAW_SAFE.replace("/", "")))
    return "".join(f"/{segment}" for segment in segments)


def target_template(text: object) -> Template:
    """Parse a bare path, which is fetched with GET by whoever is given the URL."""
    return text if isinstance(text, Template) else template(f"GET {text}")


Request = Annotated[Template, BeforeValidator(template), WithJsonSchema({"type": "string"})]
Target = Annotated[Template, BeforeValidator(target_template), WithJsonSchema({"type": "string"})]


def _parsed(target: str) -> tuple[str | Slot, ...]:
    parts: list[str | Slot] = []
    end = 0
    for slot in _SLOT.finditer(target):
        parts += [target[end : slot.start()], Slot(slot[2], slot[1] == "+")]
        end = slot.end()
    parts.append(target[end:])
    for literal in parts:
        if isinstance(literal, str) and not _LITERAL.fullmatch(literal):
            raise ValueError(
                f"a path holds no blanks, '#' or stray braces, and variables read {{name}}: {target!r:.120}"
            )
    if any(isinstance(part, Slot) and part.is_raw for part in _after_mark(parts)):
        raise ValueError(f"a raw variable {{+name}} stands in a path only, not in a query: {target!r:.120}")
    if any(segment in (".", "..") for segment in unquote(target).split("?")[0].split("/")):
        raise ValueError(f"a path has no '.' or '..' segments: {target!r:.120}")
    return tuple(part for part in parts if part)


def _after_mark(parts: list[str | Slot]) -> list[str | Slot]:
    """Return what stands after the question mark."""
    marks = (place for place, part in enumerate(parts) if isinstance(part, str) and "?" in part)
    return parts[next(marks, len(parts)) :]


def _pattern_parts(parts: tuple[str | Slot, ...]) -> Iterator[str]:
    seen: set[str] = set()
    for part in parts:
        if isinstance(part, str):
            path, mark, _ = part.partition("?")
            yield re.escape(path)
            if mark:
                return
        elif part.name in seen:
            yield "[^/]+"
        else:
            seen.add(part.name)
            yield f"(?P<{part.name}>{'.+' if part.is_raw else '[^/]+'})"
