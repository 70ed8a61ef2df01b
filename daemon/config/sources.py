"""Where settings come from: each source read into one tree, which remembers where its values stood.

A source only reads; whether a value is good is the models' business.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from daemon.config.lines import line_of
from daemon.config.problems import ConfigError, Problem, nearest
from daemon.config.shape import ANY, SETTINGS, Leaf, Table, node_at
from daemon.core.redaction import names_secret

Tree: TypeAlias = dict[str, object]
PREFIX = "POLLHOOK_"
LARGEST_FILE = 4 * 1024 * 1024
_OTHERS = re.compile(r"config|server|secret|token|url|service_(?:host|port.*)|port(?:_\d+.*)?")


@dataclass(frozen=True, slots=True)
class Source:
    """One source: its values as a tree, and a way to say where the value of a path stands."""

    tree: Tree
    locate: Callable[[Sequence[str]], str]

    def holds(self, path: Sequence[str]) -> bool:
        """Whether this source says anything at *path*."""
        here: object = self.tree
        for part in path:
            if not isinstance(here, dict):
                return isinstance(here, list | tuple)
            if part not in here:
                return False
            here = here[part]
        return True


def from_overrides(overrides: Mapping[str, object]) -> Source:
    """Read the command line's words: dotted paths or nested tables; None means not given."""
    tree: Tree = {}
    for name, value in overrides.items():
        if value is not None:
            _plant(tree, name.split("."), value)
    return Source(tree, lambda _: "command line")


def from_environment(environ: Mapping[str, str]) -> Source:
    """Read ``POLLHOOK_`` and a path joined by ``__``; an empty variable counts as absent.

    What is said to the command line alone (``POLLHOOK_SERVER``, ``…_TOKEN``, ``…_SECRET``, ``…_URL``) is no setting.
    """
    named = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value and not _OTHERS.fullmatch(name.removeprefix(PREFIX).lower())
    }
    return _from_names(named, lambda path: PREFIX + "__".join(path).upper(), "environment")


SEALING_CREDENTIAL = "store_key"
"""The key that seals what the store keeps: no setting, read by whoever opens the store."""


def from_credentials(directory: Path) -> Source:
    """Read the files of systemd's credentials directory; a name outside our scheme is somebody else's, and unread.

    A name may begin with ``pollhook_``, as those do that ``LoadCredential=pollhook:FOLDER`` makes.
    """
    named: dict[str, str] = {}
    try:
        files = sorted(directory.iterdir()) if directory.is_dir() else []
    except OSError as error:
        raise _unreadable(directory, error) from None
    for file in files:
        name = file.name.removeprefix(PREFIX.lower())
        if _is_ours(name) and not file.is_dir():
            named[name] = _text(file).rstrip("\r\n")
    return _from_names(named, lambda path: f"credential {'__'.join(path)}", "credentials")


def _is_ours(name: str) -> bool:
    """Whether a credential's name lies in our scheme, or so near that it is a slip worth telling."""
    if name == SEALING_CREDENTIAL:
        return False
    group = name.split("__", maxsplit=1)[0]
    return group in SETTINGS.keys if "__" in name else group in SETTINGS.keys or _meant(name) is not None


def from_file(file: Path) -> Source:
    """Read a TOML file; raise ConfigError with line and column where it is none."""
    text = _text(file)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"^(.*) \(at line (\d+), column (\d+)\)$", str(error))
        where = f"{file}:{found[2]}:{found[3]}" if found else str(file)
        reason = found[1] if found else str(error)
        raise ConfigError([Problem(path="", where=where, message=f"not TOML: {reason}")]) from None
    except RecursionError:
        raise ConfigError([Problem(path="", where=str(file), message="is nested too deep")]) from None

    def locate(path: Sequence[str]) -> str:
        line = line_of(text, path)
        return str(file) if line is None else f"{file}:{line}"

    return Source(tree, locate)


def _from_names(named: Mapping[str, str], write: Callable[[Sequence[str]], str], kind: str) -> Source:
    tree: Tree = {}
    problems: list[Problem] = []
    names: dict[tuple[str, ...], str] = {}
    for name in sorted(named, key=lambda text: (text.count("__"), text)):
        path = tuple(name.split("__"))
        if len(path) == 1 and node_at(path) is None:
            meant = _meant(name)
            if meant is not None:
                message = f"{write(path)} is unknown; did you mean {write(meant)}?"
                problems.append(Problem(path=name, where=kind, message=message))
            continue
        names[path] = name
        _plant(tree, path, _decoded(named[name], path))
    if problems:
        raise ConfigError(problems)
    return Source(tree, lambda path: write(_longest(tuple(path), names)))


def _longest(path: tuple[str, ...], names: Mapping[tuple[str, ...], str]) -> tuple[str, ...]:
    return next((path[:n] for n in range(len(path), 0, -1) if path[:n] in names), path)


def _meant(name: str) -> tuple[str, ...] | None:
    for group in ("providers", "endpoints"):
        if name.startswith(f"{group}_"):
            inner, _, key = name.removeprefix(f"{group}_").partition("_")
            return (group, inner, key) if key else (group, inner)
    flat = {"_".join(path): path for path in _plain_paths()}
    near = nearest(name, flat)
    return flat[near] if near is not None and abs(len(near) - len(name)) <= 2 else None


def _plain_paths() -> Iterator[tuple[str, ...]]:
    for group, inner in SETTINGS.keys.items():
        if isinstance(inner, Table) and ANY not in inner.keys:
            yield from ((group, key) for key in inner.keys)
        elif inner is Leaf.ONE:
            yield (group,)


def _decoded(text: str, path: Sequence[str]) -> object:
    """Return a list or table where one may stand and the text is JSON, a list of comma-separated words, or text."""
    node = node_at(path)
    if node is None or node is Leaf.ONE or (names_secret(path[-1]) and node is Leaf.FREE):
        return text
    if text.lstrip()[:1] in ("[", "{"):
        try:
            return cast("object", json.loads(text))
        except (ValueError, RecursionError):
            return text
    return [part.strip() for part in text.split(",") if part.strip()] if node is Leaf.LIST else text


def _plant(tree: Tree, path: Sequence[str], value: object) -> None:
    *groups, last = path
    here = tree
    for group in groups:
        inner = here.setdefault(group, {})
        if not isinstance(inner, dict):
            return
        here = inner
    here[last] = value


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise _unreadable(file, error) from None
    if len(content) > LARGEST_FILE:
        raise ConfigError([Problem(path="", where=str(file), message="is larger than 4 MiB")])
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError([Problem(path="", where=str(file), message="is not UTF-8 text")]) from None


def _unreadable(file: Path, error: OSError) -> ConfigError:
    return ConfigError([Problem(path="", where=str(file), message=f"cannot be read: {error.strerror or error}")])
