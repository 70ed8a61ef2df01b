"""The catalog: presets, definitions from a folder, and what a lane's table makes of them.

A definition that is wrong fails here, with file, table and reason, so that nothing wrong ever polls.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from daemon.providers.account import Account
from daemon.providers.definition import RESERVED, Definition
from daemon.providers.limits import Limits
from daemon.providers.mistakes import DefinitionError, explained, nearest

FILE_LIMIT = 1024 * 1024
Tree: TypeAlias = dict[str, object]
_FLATTENED = frozenset(Limits.model_fields)
_UNFIT_KEY = re.compile(r"[^\x21-\x7e]")
_INLINE = frozenset({"base_url", "status"})


class Catalog:
    """Every definition known by name: those of *providers_dir*, and the presets, each read when it is asked for."""

    def __init__(self, providers_dir: Path | None = None) -> None:
        self._presets = {file.name.removesuffix(".toml"): file for file in _preset_files()}
        self._trees = {} if providers_dir is None else _folder(providers_dir)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all definitions, sorted."""
        return tuple(sorted(self._presets.keys() | self._trees.keys()))

    def definition(self, name: str) -> Definition:
        """Return the definition *name* as it ships; raise DefinitionError."""
        where, tree = self._tree(name, f'"{name}"')
        return _definition(where, tree)

    def account(self, name: str, table: Mapping[str, object]) -> Account:
        """Return the account that ``[providers.NAME]`` describes: a preset with its overrides, or a whole definition.

        Raises DefinitionError that names the table and key.
        """
        place = f"[providers.{name}]"
        overrides = _nested(place, table)
        preset = str(table.get("preset", name))
        if "preset" not in table and preset not in self._presets | self._trees and overrides.keys() >= _INLINE:
            tree: Tree = {"name": _slug(name)}
        else:
            tree = self._tree(preset, place)[1]
        definition = _definition(place, _merged(tree, overrides))
        if definition.unset:
            raise DefinitionError(
                f"{place} needs variables.{definition.unset[0]}: base_url reads {definition.base_url}",
                paths=[("variables", definition.unset[0])],
            )
        key = _key(name, definition, table.get("api_key"))
        return Account(name, definition.name, definition, key, sets_deadline="deadline" in table)

    def _tree(self, name: str, place: str) -> tuple[str, Tree]:
        if name in self._presets and name not in self._trees:
            file = self._presets[name]
            self._trees[name] = _parsed(file.name, file.read_text("utf-8"))
        if name in self._trees:
            return f"the definition {name}", self._trees[name]
        raise DefinitionError(
            f'{place} names no known provider definition: "{name}"{nearest(name, self.names)}'
            f" (known: {', '.join(self.names)}); a definition of your own needs at least base_url and [status]"
        )


def load(path: Path) -> Definition:
    """Return the definition in a TOML file; raise DefinitionError that names the file, table and key."""
    return _definition(f"{path}:", _parsed(str(path), _text(path)))


def _preset_files() -> Iterator[Traversable]:
    entries = files("daemon.providers").joinpath("presets").iterdir()
    return (entry for entry in entries if entry.name.endswith(".toml"))


def _folder(folder: Path) -> dict[str, Tree]:
    if not folder.is_dir():
        raise DefinitionError(f"providers_dir is no folder: {folder}")
    trees: dict[str, Tree] = {}
    for path in sorted(folder.glob("*.toml")):
        tree = _parsed(str(path), _text(path))
        definition = _definition(f"{path}:", tree)
        if definition.name in trees:
            raise DefinitionError(f'{path}: another file of {folder} has the name "{definition.name}" too')
        trees[definition.name] = tree
    return trees


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise DefinitionError(f"{path}: larger than {FILE_LIMIT} bytes")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise DefinitionError(f"{path}: cannot be read ({failure})") from failure


def _parsed(where: str, text: str) -> Tree:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as failure:
        raise DefinitionError(f"{where}: not valid TOML ({failure})") from failure


def _definition(where: str, tree: Mapping[str, object]) -> Definition:
    try:
        return Definition.model_validate(tree)
    except ValidationError as error:
        raise explained(where, error) from None


def _nested(place: str, table: Mapping[str, object]) -> Tree:
    """Return a lane's table in a definition's shape: limits gathered, what is the lane's own left out."""
    flat = {key: value for key, value in table.items() if key in _FLATTENED}
    nested = {key: value for key, value in table.items() if key not in _FLATTENED and key not in RESERVED}
    limits = nested.get("limits", {})
    if not isinstance(limits, dict):
        raise DefinitionError(f"{place} limits: must be a table")
    if both := sorted(flat.keys() & limits.keys()):
        raise DefinitionError(f"{place} {both[0]} is set twice, there and in [providers.….limits]")
    return nested | {"limits": {**limits, **flat}} if flat or limits else nested


def _merged(below: Mapping[str, object], above: Mapping[str, object]) -> Tree:
    """Return *below* with *above* laid over it, table by table; lists and values are replaced."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _key(name: str, definition: Definition, value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise DefinitionError(f"[providers.{name}] api_key: must be text")
    key = (value or "").strip()
    if not key and definition.auth.needs_key:
        variable = f"providers__{name}__api_key"
        raise DefinitionError(
            f"provider {name} has no api_key; set [providers.{name}] api_key, "
            f"POLLHOOK_{variable.upper()} or the credential file {variable.lower()}"
        )
    if _UNFIT_KEY.search(key):
        raise DefinitionError(f"[providers.{name}] api_key: holds blanks, control or non-ASCII characters")
    if definition.auth.scheme == "jwt-hs256" and not all(key.partition(":")):
        raise DefinitionError(f'[providers.{name}] api_key: scheme "jwt-hs256" needs both halves, "ACCESS:SECRET"')
    return key


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "-", name.lower()).strip("-_")[:64] or "definition"
