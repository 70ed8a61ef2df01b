"""The shape of the settings: which tables and keys exist, so that sources are read and typos named by one list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, get_args, get_origin

from pydantic import BaseModel

from daemon.config.settings import Settings

Nearest: TypeAlias = Callable[[str, Iterable[str]], str | None]
ANY = "*"


class Leaf(Enum):
    """What stands at the end of a path: one value, a list of values, or a table free of our rules."""

    ONE = "one"
    LIST = "list"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Table:
    """A table: what stands at each key; ``ANY`` stands for every name."""

    keys: dict[str, Node]


Node: TypeAlias = "Table | Leaf"


def shape_of(model: type[BaseModel]) -> Table:
    """Return the shape of a settings model."""
    return Table({name: _inside(field.annotation) for name, field in model.model_fields.items()})


def node_at(path: Sequence[str]) -> Node | None:
    """Return what stands at *path* in the settings; None where nothing of that name is known."""
    here: Node | None = SETTINGS
    for part in path:
        if isinstance(here, Table):
            here = here.keys.get(part, here.keys.get(ANY))
        elif here is not Leaf.FREE:
            return None
    return here


def hint(path: Sequence[str], nearest: Nearest) -> str:
    """Return what an unknown *path* was likely meant to be, as the end of a sentence."""
    table, name = node_at(path[:-1]), path[-1]
    if not isinstance(table, Table):
        return ""
    near = nearest(name, table.keys)
    if near is not None:
        is_group = table is SETTINGS and isinstance(table.keys[near], Table)
        return f"; did you mean {f'[{near}]' if is_group else near}?"
    homes = (group for group, inner in SETTINGS.keys.items() if isinstance(inner, Table) and name in inner.keys)
    home = next(homes, None)
    return f"; it belongs in [{home}]" if home is not None else f"; known here: {', '.join(sorted(table.keys))}"


def _inside(annotation: object) -> Node:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return shape_of(annotation)
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        return Leaf.LIST
    if origin is dict:
        value = _inside(inner[1])
        return Table({ANY: value}) if isinstance(value, Table) or value is Leaf.FREE else Leaf.FREE
    return Leaf.LIST if any(_inside(part) is Leaf.LIST for part in inner if part is not None) else Leaf.ONE


SETTINGS = shape_of(Settings)
