"""The line of a TOML file on which a setting stands, found by eye rather than by a second parser.

Good enough for an error message: tables, arrays of tables by their number, dotted and quoted keys; a value inside an
inline table or a list is at the key that holds it. What stands inside a longer string is never taken for a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_HEADER = re.compile(r"\s*(?P<open>\[\[?)\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""\s*(?P<name>(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[A-Za-z0-9_-]+|"([^"]*)"|'([^']*)'""")
_TOKEN = re.compile(
    r"'''.*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'|#[^\n]*|[\[{]|[\]}]|\n", re.DOTALL
)
_Path = tuple[str, ...]


def line_of(text: str, path: Sequence[str]) -> int | None:
    """Return the number of the line that names *path*, or the longest beginning of it that a line names.

    The parts of *path* that are numbers count the entries of a list; where the file has a single table in place of
    the list, they are passed over.
    """
    wanted = tuple(path)
    spellings = (wanted, tuple(part for part in wanted if not part.isdigit()))
    best: tuple[int, int | None] = (0, None)
    for number, here in _names(text):
        size = sum(not part.isdigit() for part in here) * 2 + (here == wanted)
        if size > best[0] and any(here == spelling[: len(here)] for spelling in spellings):
            best = (size, number)
    return best[1]


def _names(text: str) -> Iterator[tuple[int, _Path]]:
    """Every line that names something, and the path it names."""
    table: _Path = ()
    counts: dict[_Path, int] = {}
    for number, line in _statements(text):
        if header := _HEADER.match(line):
            table = _table(_split(header["name"]), counts, is_entry=header["open"] == "[[")
            yield number, table
        elif key := _KEY.match(line):
            yield number, (*table, *_split(key["name"]))


def _table(name: _Path, counts: dict[_Path, int], *, is_entry: bool) -> _Path:
    """Return a header's path with the number of the entry behind each array of tables."""
    path: _Path = ()
    for part in name[:-1]:
        path = (*path, part)
        path = (*path, str(counts[path])) if path in counts else path
    path = (*path, *name[-1:])
    if is_entry:
        counts[path] = counts.get(path, -1) + 1
    return (*path, str(counts[path])) if path in counts else path


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The lines at which a statement begins, and not the middle of a string or a list."""
    lines = text.split("\n")
    number, depth, begins = 1, 0, True
    for token in _TOKEN.finditer(text + "\n"):
        if token[0] == "\n":
            if begins:
                yield number, lines[number - 1].rstrip("\r")
            number, begins = number + 1, depth <= 0
        elif token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
        elif (breaks := token[0].count("\n")) and begins:
            yield number, lines[number - 1]
            number, begins = number + breaks, False
        else:
            number += breaks


def _split(name: str) -> _Path:
    return tuple(found[0].strip("\"'") for found in _PART.finditer(name))
