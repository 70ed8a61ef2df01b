"""What is wrong with a configuration, said so that it can be mended: every problem, where it stands, what is allowed.

A value is quoted only where it cannot be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic_core import ErrorDetails

from daemon.config.shape import hint
from daemon.core.errors import Fault
from daemon.core.redaction import without_secret_shapes

_LONGEST_QUOTE = 80
_MAY_HOLD_SECRETS = ("providers", "endpoints")
_EXPECTED = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "path_type": "must be a path",
    "no_number": "must be a number",
    "no_span": 'must be a span of time such as "90s", "1h30m", "7d" or plain seconds',
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}
_BOUNDS = {
    "greater_than": ("gt", "must be more than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
    "literal_error": ("expected", "must be"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend: its dotted path (empty for a whole file), where it was read, and what is wrong."""

    path: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ConfigError(Fault):
    """The configuration cannot be used; the text lists every problem, one to a line."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that *name* was most likely meant to be, if any is near."""
    by_plain = {_plain(candidate): candidate for candidate in known}
    found = get_close_matches(_plain(name), by_plain, n=1, cutoff=0.6)
    return by_plain[found[0]] if found else None


def problem(error: ErrorDetails, origin: Callable[[Sequence[str]], str]) -> Problem:
    """Return what pydantic found in our words; *origin* names where the value of a path was read."""
    loc = [part for part in error["loc"] if part != "[key]"]
    path = [str(part) for part in loc]
    if error["type"] == "extra_forbidden":
        message = f"{spot(loc)} is unknown{hint(path, nearest)}"
    elif error["type"] == "missing":
        message = f"{spot(loc)} is missing"
    else:
        message = f"{spot(loc)} {_complaint(error, path)}"
    return Problem(path=".".join(path), where=origin(path), message=without_secret_shapes(message))


def spot(path: Sequence[str | int]) -> str:
    """Return a path as it stands in the file: ``[polling] max_tasks``, ``[polling]``, ``[delivery] schedule[2]``."""
    names = [part for part in path if isinstance(part, str)]
    places = "".join(f"[{part}]" for part in path if isinstance(part, int))
    if len(names) == 1:
        return names[0] if names[0] == "providers_dir" else f"[{names[0]}]"
    return f"[{'.'.join(names[:-1])}] {names[-1]}{places}"


def _complaint(error: ErrorDetails, path: Sequence[str]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "too_long":
        return f"must have at most {context['max_length']} entries, got {context['actual_length']}"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        expected = f"{words} {context[key]}".replace("'", '"')
    else:
        expected = _EXPECTED.get(kind, "cannot be read")
    return f"{expected}, got {_found(error['input'], path)}"


def _found(value: object, path: Sequence[str]) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) and path[0] not in _MAY_HOLD_SECRETS:
        return f'"{value[:_LONGEST_QUOTE]}"'
    if isinstance(value, dict):
        return "a table"
    return "text" if isinstance(value, str) else "a list" if isinstance(value, list) else f"a {type(value).__name__}"


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
