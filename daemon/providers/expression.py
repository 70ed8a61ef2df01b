"""JMESPath expressions, compiled once when a definition is loaded.

A plain dotted path is walked directly, which is what most polls of most providers need; everything else runs on the
jmespath interpreter. An expression that fails on an answer raises ExpressionFailed, never anything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

import jmespath
import jmespath.exceptions
import jmespath.functions
import jmespath.visitor
from pydantic import BeforeValidator, WithJsonSchema

from daemon.core.observation import Json
from daemon.providers.liberal_json import Unreadable, read_json

MAX_TEXT = 2048
_DEEPEST_SET = 8
_MOST_BITS = 14_000
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_APPLYING = frozenset({"map", "max_by", "min_by", "sort_by"})  # what takes an expression, as ``&x``
_FAILURES = (
    jmespath.exceptions.JMESPathError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class ExpressionFailed(Exception):
    """An expression could not be evaluated on an answer; the text names the expression, never the answer."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One compiled expression."""

    text: str
    search: Callable[[Json], Json]

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def of(self, body: Json) -> Json:
        """Return what the expression finds in *body*, None for nothing; may raise ExpressionFailed."""
        try:
            found = self.search(body)
        except _FAILURES as failure:
            raise ExpressionFailed(f"the expression {self.text!r} failed ({type(failure).__name__})") from failure
        if isinstance(found, int) and found.bit_length() > _MOST_BITS:
            raise ExpressionFailed(f"the expression {self.text!r} found an integer too long to be written")
        return found


def compiled(text: object) -> Expression:
    """Compile *text*; raise ValueError that says what is wrong with it."""
    if isinstance(text, Expression):
        return text
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT:
        raise ValueError(f"a JMESPath expression is text of 1 to {MAX_TEXT} characters, got {text!r:.60}")
    if _PLAIN.fullmatch(text):
        return Expression(text, _walk(tuple(text.split("."))))
    try:
        tree = jmespath.compile(text).parsed
    except (jmespath.exceptions.JMESPathError, RecursionError) as failure:
        raise ValueError(f"not a JMESPath expression: {text!r} ({str(failure).splitlines()[0]})") from failure
    _refuse_unknown_functions(tree, text)
    _refuse_loose_references({"type": "whole", "children": [tree]}, text)
    return Expression(text, _interpret(tree))


def alternatives(value: object) -> object:
    """Turn one expression into a list of one, so that a field takes either."""
    return value if isinstance(value, list | tuple) else (value,)


def first_present(paths: Iterable[Expression], body: Json) -> Json:
    """Return the first hit that is not null."""
    for path in paths:
        found = path.of(body)
        if found is not None:
            return found
    return None


def first_set(paths: Iterable[Expression], body: Json) -> Json:
    """Return the first hit that is set."""
    for path in paths:
        found = path.of(body)
        if is_set(found):
            return found
    return None


def is_set(value: Json, depth: int = _DEEPEST_SET) -> bool:
    """Whether *value* tells something: not null, "", 0, false, nor a list or object in which nothing is set."""
    if not value or not depth:
        return bool(value)
    if isinstance(value, dict):
        return any(is_set(item, depth - 1) for item in value.values())
    return any(is_set(item, depth - 1) for item in value) if isinstance(value, list) else True


Path = Annotated[Expression, BeforeValidator(compiled), WithJsonSchema({"type": "string"})]
Paths = Annotated[tuple[Path, ...], BeforeValidator(alternatives)]
"""One expression or a list of alternatives, of which the first hit wins."""


class _Functions(jmespath.functions.Functions):  # type: ignore[misc]  # jmespath ships no types
    """The standard functions, ``is_set``, and ``parse_json``: the JSON inside a text, null where there is none."""

    @jmespath.functions.signature({"types": []})  # type: ignore[untyped-decorator]  # jmespath ships no types
    def _func_is_set(self, value: Json) -> bool:
        return is_set(value)

    @jmespath.functions.signature({"types": []})  # type: ignore[untyped-decorator]  # jmespath ships no types
    def _func_parse_json(self, value: Json) -> Json:
        try:
            return read_json(value.encode("utf-8", "replace")) if isinstance(value, str) else None
        except Unreadable:
            return None


def _walk(names: tuple[str, ...]) -> Callable[[Json], Json]:
    def search(body: Json) -> Json:
        for name in names:
            if not isinstance(body, dict):
                return None
            body = body.get(name)
        return body

    return search


def _interpret(tree: object) -> Callable[[Json], Json]:
    interpreter = jmespath.visitor.TreeInterpreter(jmespath.Options(custom_functions=_Functions()))

    def search(body: Json) -> Json:
        found: Json = interpreter.visit(tree, body)
        return found

    return search


def _refuse_unknown_functions(tree: object, text: str) -> None:
    known = _Functions.FUNCTION_TABLE
    for name in _functions_in(tree):
        if name not in known:
            raise ValueError(f"unknown function {name}() in {text!r}; known: {', '.join(sorted(known))}")


def _refuse_loose_references(tree: object, text: str) -> None:
    """Refuse ``&x`` where nothing applies it: its value would be a piece of the interpreter, not of the answer."""
    if not isinstance(tree, dict):
        return
    is_applied = tree.get("type") == "function_expression" and tree["value"] in _APPLYING
    for child in tree.get("children", ()):
        if isinstance(child, dict) and child["type"] == "expref" and not is_applied:
            known = ", ".join(sorted(_APPLYING))
            raise ValueError(f"& in {text!r} refers to an expression that nothing applies; functions that do: {known}")
        _refuse_loose_references(child, text)


def _functions_in(tree: object) -> Iterator[str]:
    if isinstance(tree, dict):
        if tree.get("type") == "function_expression":
            yield str(tree["value"])
        for child in tree.get("children", ()):
            yield from _functions_in(child)
