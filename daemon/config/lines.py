"""The line of a TOML file on which a setting stands, found by eye rather than by a second parser.

Good enough for an error message: tables, dotted and quoted keys; a value inside an inline table is at its table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"\s*\[\[?\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""\s*(?P<name>(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"([^"]*)"|'([^']*)'""")


def line_of(text: str, path: Sequence[str]) -> int | None:
    """Return the number of the line that names *path*, or the longest beginning of it that a line names."""
    wanted = tuple(path)
    table: tuple[str, ...] = ()
    best: tuple[int, int | None] = (0, None)
    for number, line in enumerate(text.splitlines(), 1):
        here, table = _named(line, table)
        if len(here) > best[0] and here == wanted[: len(here)]:
            best = (len(here), number)
    return best[1]


def _named(line: str, table: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a line names, and the table that the next line stands in."""
    if header := _HEADER.match(line):
        name = _split(header["name"])
        return name, name
    if key := _KEY.match(line):
        return (*table, *_split(key["name"])), table
    return (), table


def _split(name: str) -> tuple[str, ...]:
    return tuple(found[0].strip("\"'") for found in _PART.finditer(name))
