"""Faults in provider definitions, each with the file and line it stands on.

Whoever finds a fault knows tables and keys, not files; here its text gets the line on which it can be mended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from daemon.config.lines import line_of
from daemon.config.loading import config_file
from daemon.config.problems import ConfigError

_LANE = re.compile(r"(?:\[providers\.(?P<table>[^\]\s]+)\]|provider (?P<lane>\S+) has )")
_FILE = re.compile(r"(?P<file>\S.*?\.toml): ")
_SYNTAX = re.compile(r" \(at line (?P<line>\d+), column (?P<column>\d+)\)")
_LARGEST = 4 * 1024 * 1024
Faults = Iterable[tuple[str, Sequence[str]]]


def located(faults: Faults, config: Path | None, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the texts of *faults* with ``file:line`` in front.

    A fault is a text and the path of the key to blame. A text that begins with a definition's file is found in it;
    one that names ``[providers.NAME]`` in the config file, *config* or what *environ* says, if the table stands there.
    """
    file = _config(config, environ or {})
    return [_located(text, tuple(path), file) for text, path in faults]


def _located(text: str, path: tuple[str, ...], config: Path | None) -> str:
    if found := _FILE.match(text):
        file = Path(found["file"])
        rest = text[found.end() :]
        if syntax := _SYNTAX.search(rest):
            return f"{file}:{syntax['line']}:{syntax['column']}: {_SYNTAX.sub('', rest)}"
        return f"{_place(file, [path])}: {rest}"
    lane = _LANE.match(text)
    if lane is None or config is None:
        return text
    table = ("providers", lane["table"] or lane["lane"])
    flat = path[1:] if path[:1] == ("limits",) else path
    place = _place(config, [(*table, *path), (*table, *flat)], table)
    return text if place == str(config) else f"{place}: {text}"


def _place(file: Path, paths: Sequence[tuple[str, ...]], default: tuple[str, ...] = ()) -> str:
    """Return ``file:line`` of what the first of *paths* names, as deep as the file goes; the file alone for none."""
    text = _text(file)
    lines = [line for path in paths if path and (line := line_of(text, path)) is not None]
    own = line_of(text, default) if default else None
    deeper = [line for line in lines if line != own]
    line = next(iter((*deeper, *lines)), own)
    return str(file) if line is None else f"{file}:{line}"


def _config(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    try:
        return config_file(config, environ)
    except ConfigError:
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8") if file.stat().st_size <= _LARGEST else ""
    except (OSError, UnicodeDecodeError):
        return ""
