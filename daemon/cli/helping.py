"""How ``--help`` reads: plain lines that fit 80 columns and a pipe, option names whole, commands under headings."""

from __future__ import annotations

from collections import defaultdict
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol, get_args

import typer
from typer.core import TyperGroup
from typer.main import get_command

WHOLE = 1000


class Sheet(Protocol):
    """What help is written on: click's formatter, as far as it is used."""

    def section(self, name: str) -> AbstractContextManager[None]: ...  # noqa: D102 (as in click)
    def write_dl(self, rows: list[tuple[str, str]]) -> None: ...  # noqa: D102 (as in click)


class Grouped(TyperGroup):
    """A group that lists its commands under the headings (``rich_help_panel``) they were registered with."""

    def format_commands(self, ctx: typer.Context, formatter: Sheet) -> None:  # type: ignore[override]  # click's formatter is vendored
        """Write the commands, heading by heading, in the order of their registration."""
        panels: dict[str, list[tuple[str, str]]] = defaultdict(list)
        shown = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        width = max(len(name) for name, _ in shown)
        for name, command in shown:
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                heading = panel if isinstance(panel, str) else "Commands"
                panels[heading].append((name.ljust(width), command.get_short_help_str(WHOLE)))
        for heading, rows in panels.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


class Runnable(Protocol):
    """A command line that can be run: it exits."""

    def __call__(self, *, prog_name: str) -> object: ...  # noqa: D102 (as in click)


def command_of(app: typer.Typer) -> Runnable:
    """Return the command that *app* amounts to, every one in it with plain help and every value named."""
    _make_plain(app)
    command = get_command(app)
    _name_values(command)
    return command


def _make_plain(app: typer.Typer) -> None:
    app.rich_markup_mode, app.info.cls = None, Grouped
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _make_plain(group.typer_instance)


def _name_values(command: object) -> None:
    """Name the value of each parameter that has no metavar: its choices, a number, or the parameter's own name."""
    for parameter in getattr(command, "params", ()):
        if parameter.metavar is None and not getattr(parameter, "is_flag", False):
            annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", str)
            parameter.metavar = _named(next(iter(get_args(annotation)), annotation), str(parameter.name))
    for each in getattr(command, "commands", {}).values():
        _name_values(each)


def _named(kind: object, name: str) -> str:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "|".join(kind)
    if kind in (int, float):
        return "N" if kind is int else "NUMBER"
    return name.upper().replace("_", "-")
