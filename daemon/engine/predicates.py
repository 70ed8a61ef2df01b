"""Predicates over an event, in JMESPath, whose cost is bounded whatever they say and whatever an event holds.

The language has no loops, but its lists and hashes of several expressions repeat what they read and ``to_string``
escapes it, so a hundred characters could ask for 2^50 values. What multiplies is refused when a predicate is written;
what is left is counted while it runs, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import jmespath
import jmespath.exceptions
import jmespath.functions
import jmespath.visitor

from daemon.core.observation import Json

MAX_PREDICATE = 1024
KEPT = 1024
MOST_STEPS = 10_000
"""Visits of a node, each about a microsecond; 32 characters or 8 members of what one finds count as another."""
MOST_GROWTH = 16
Tree: TypeAlias = Mapping[str, Any]

_FAILURES = (
    jmespath.exceptions.JMESPathError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
_SEVERAL = ("multi_select_list", "multi_select_dict")


class PredicateFailed(Exception):
    """A predicate could not be evaluated on an event, or costs too much on it."""


def predicate_complaint(text: str) -> str | None:
    """Return why *text* is no predicate, None where it is one."""
    if not text.strip() or len(text) > MAX_PREDICATE:
        return f"must be a JMESPath expression of 1 to {MAX_PREDICATE} characters"
    try:
        tree = jmespath.compile(text).parsed
        unknown = next((name for name in _functions_in(tree) if name not in _known()), None)
        growth = _growth(tree)
    except (jmespath.exceptions.JMESPathError, RecursionError) as failure:
        return f"must be a JMESPath expression: {str(failure).splitlines()[0]}"
    if unknown is not None:
        return f"calls {unknown}(), which is no function of JMESPath; there are: {', '.join(sorted(_known()))}"
    if growth > MOST_GROWTH:
        return (
            f"may repeat what it reads up to {MOST_GROWTH} times, this one may {growth} times:"
            " use fewer lists and hashes of several expressions, or fewer to_string()"
        )
    return None


def holds(text: str, body: Json) -> bool:
    """Whether the predicate *text* is true of *body*; raise PredicateFailed where that cannot be told cheaply."""
    try:
        return _is_true(_compiled(text)(body))
    except _FAILURES as failure:
        raise PredicateFailed(str(failure)) from failure


@lru_cache(KEPT)
def _compiled(text: str) -> Callable[[Json], Json]:
    if complaint := predicate_complaint(text):
        raise ValueError(complaint)
    tree = jmespath.compile(text).parsed

    def search(body: Json) -> Json:
        found: Json = _Counted().visit(tree, body)
        return found

    return search


class _Counted(jmespath.visitor.TreeInterpreter):  # type: ignore[misc]  # jmespath ships no types
    """The interpreter, ended once it has done MOST_STEPS."""

    def __init__(self) -> None:
        super().__init__()
        self._left = MOST_STEPS

    def visit(self, node: Tree, *values: Json, **named: Json) -> Json:
        found: Json = super().visit(node, *values, **named)
        self._left -= 1 + _bulk(found)
        if self._left < 0:
            raise ValueError(f"it takes more than {MOST_STEPS} steps on this event")
        return found


def _bulk(found: Json) -> int:
    if isinstance(found, str):
        return len(found) // 32
    return len(found) // 8 if isinstance(found, list | dict) else 0


def _growth(tree: Tree) -> int:
    """How many times over the whole of what is read may stand in what is found, escapes included."""
    growth = 1
    for child in tree["children"]:
        growth *= _growth(child)
    if tree["type"] in _SEVERAL:
        growth *= max(1, sum(not _is_constant(child) for child in tree["children"]))
    if tree["type"] == "function_expression" and tree["value"] == "to_string":
        growth *= 2
    return growth


def _is_constant(tree: Tree) -> bool:
    inner = tree["children"][0] if tree["type"] == "key_val_pair" else tree
    return bool(inner["type"] == "literal")


def _functions_in(tree: Tree) -> Iterator[str]:
    if tree["type"] == "function_expression":
        yield str(tree["value"])
    for child in tree["children"]:
        yield from _functions_in(child)


@lru_cache(1)
def _known() -> frozenset[str]:
    return frozenset(jmespath.functions.Functions.FUNCTION_TABLE)


def _is_true(found: Json) -> bool:
    """JMESPath's own truth: null, false and what is empty are false, 0 is true (specification, "or expressions")."""
    return found if isinstance(found, bool) else isinstance(found, int | float) or bool(found)
