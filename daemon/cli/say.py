"""Printing: tables for people, JSON lines for programs, complaints on stderr.

What came from outside (a provider's message, a metadata text) is printed without control characters, so that it
cannot drive the terminal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.cli.complaint import Complaint
from daemon.core.observation import Json

Object = dict[str, Json]
NOTHING = "-"
ROOMY, SPARE, KEPT = 100, ("polls", "registered", "attempts"), 11
"""A terminal of fewer columns than the first shows no column of the second; cells as short as the third stay whole."""

MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
Column = tuple[str, Callable[[Object], Json]]


def json_line(value: Json) -> None:
    """Print *value* as one line of JSON, at once."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def json_block(value: Json) -> None:
    """Print *value* as indented JSON."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def rows(found: Iterable[Object], columns: Sequence[Column], *, as_json: bool, empty: str) -> None:
    """Print a list: JSON lines as they come, or a table; *empty* is said (on stderr) of a list without entries."""
    if as_json:
        for item in found:
            json_line(item)
        return
    drawn = [[cell(read(item)) for _, read in columns] for item in found]
    if drawn:
        _table([name for name, _ in columns], drawn)
    else:
        print(empty, file=sys.stderr)


def facts(pairs: Iterable[tuple[str, Json]]) -> None:
    """Print names and values one below the other, leaving out what is null or empty."""
    kept = [(name, cell(value)) for name, value in pairs if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        print(f"{name:<{width}}  {value}")


def complain(complaint: Complaint) -> None:
    """Print a complaint on stderr, without what looks like a secret: terminals and journals of cron keep it."""
    from daemon.observe.redactor import Redactor  # noqa: PLC0415 (only a command that fails pays for it)

    without_secrets = Redactor().text
    print(clean(without_secrets(f"pollhook: {complaint.text}")), file=sys.stderr)
    for hint in complaint.hints:
        print(clean(without_secrets(f"  {hint}")), file=sys.stderr)


def note(text: str) -> None:
    """Print a remark that is not part of the answer, on stderr."""
    print(clean(text), file=sys.stderr)


def cell(value: Json) -> str:
    """Return a JSON value as a person would write it."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return clean(", ".join(str(item) for item in value))
    return clean(json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value))


def clean(text: str) -> str:
    """Return *text* on one line, without control characters."""
    return "".join(mark if mark.isprintable() else "�" for mark in text)


def moment(text: Json) -> str:
    """Return an RFC 3339 time without its fraction, in the reader's own time zone."""
    if not isinstance(text, str):
        return NOTHING
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text


def field(name: str) -> Callable[[Object], Json]:
    """Return a column's reader: the member *name*."""
    return lambda item: item.get(name)


def time_of(name: str) -> Callable[[Object], Json]:
    """Return a column's reader: the member *name*, a time."""
    return lambda item: moment(item.get(name))


def _table(names: Sequence[str], drawn: Sequence[Sequence[str]]) -> None:
    if not sys.stdout.isatty():
        _plain_table(names, drawn)
        return
    console = Console()
    today = datetime.now().astimezone().strftime("%Y-%m-%d ")
    shown = [place for place, name in enumerate(names) if console.width >= ROOMY or name not in SPARE]
    table = Table(box=None, header_style="bold", pad_edge=False)
    cells = [[_shortened(line[place], today) for place in shown] for line in drawn]
    for place, column in zip(shown, zip(*cells, strict=True), strict=True):
        is_kept = names[place] == "id" or max(map(len, column)) <= KEPT
        table.add_column(_one_line(names[place]), no_wrap=is_kept)
    for line in cells:
        table.add_row(*map(_one_line, line))
    console.print(table)


def _one_line(text: str) -> Text:
    """Return a cell that is cut with an ellipsis where the terminal is too narrow, so that a row stays one line."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def _shortened(value: str, today: str) -> str:
    """Return a time without its date where that is today's, else without year and seconds; anything else as it is."""
    if not MOMENT.fullmatch(value):
        return value
    return value.removeprefix(today) if value.startswith(today) else value[5:16]


def _plain_table(names: Sequence[str], drawn: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(names, *drawn, strict=True)]
    for line in (names, *drawn):
        print("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())
