"""What is wrong with a definition, said so that its writer can mend it: file, table, key, and the nearest known key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from daemon.providers.definition import RESERVED, Definition
from daemon.providers.limits import Limits
from daemon.providers.naming import Misplaced

MOST = 5


class DefinitionError(Exception):
    """A definition or a lane's table that cannot be used; the text says where and why.

    ``faults`` are its lines, each with the path of the key below the definition or table that is to blame, so that
    whoever knows the file can name the line.
    """

    def __init__(self, *faults: str, paths: Sequence[tuple[str, ...]] = ()) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(zip(faults, [*paths, *[()] * len(faults)], strict=False))


def explained(where: str, error: ValidationError) -> DefinitionError:
    """Return *error* with each fault named by its place under *where*, which names a file or a table."""
    details = error.errors()
    faults = [f"{where} {_fault(each)}" for each in details[:MOST]]
    if len(details) > MOST:
        faults.append(f"and {len(details) - MOST} more")
    return DefinitionError(*faults, paths=[tuple(map(str, _path(each))) for each in details[:MOST]])


def nearest(word: str, known: Sequence[str]) -> str:
    """Return ``; did you mean …?`` with the nearest of *known*, or nothing."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def _fault(details: ErrorDetails) -> str:
    path = _path(details)
    place = ".".join(str(part) for part in path)
    if details["type"] == "extra_forbidden":
        known = _known_keys(path[:-1])
        return f'has an unknown key "{place}"{nearest(str(path[-1]), known)}'
    if details["type"] == "missing":
        return f'lacks "{place}"'
    message = details["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _path(details: ErrorDetails) -> list[int | str]:
    blamed = details.get("ctx", {}).get("error")
    inner = blamed.path if isinstance(blamed, Misplaced) else ()
    return [*(part for part in details["loc"] if not str(part).startswith("function-")), *inner]


def _known_keys(path: Sequence[int | str]) -> list[str]:
    """Every key that may stand in the table at *path*; in the outermost also those that a lane flattens."""
    model: type[BaseModel] | None = Definition
    is_named = False
    for part in path:
        if is_named or not isinstance(part, str) or model is None:
            is_named = False
            continue
        is_named = _is_by_name(model, part)
        model = _model_of(model, part)
    if model is None:
        return []
    flattened = [*Limits.model_fields, *RESERVED] if model is Definition else []
    return [*(info.alias or name for name, info in model.model_fields.items()), *flattened]


def _model_of(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    for name, info in model.model_fields.items():
        if key in (name, info.alias):
            return next(_models_in(info.annotation), None)
    return None


def _is_by_name(model: type[BaseModel], key: str) -> bool:
    """Whether tables stand under names of the writer's own at *key*."""
    return any(
        key in (name, info.alias) and get_origin(info.annotation) is dict for name, info in model.model_fields.items()
    )


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
