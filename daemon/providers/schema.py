"""The JSON Schema of a definition, for editors, and the same words as a table, for the docs.

It describes what may be *written*, which is more than what it is turned into: one expression where a list may stand,
a span of time as text, an example's body as a table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TypeAlias, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from daemon.core.observation import Json
from daemon.providers.definition import Definition
from daemon.providers.glossary import SAID

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Object: TypeAlias = dict[str, Json]
_REF = "#/$defs/"


def definition_schema() -> Object:
    """Return the JSON Schema (2020-12) of a definition file."""
    schema = Definition.model_json_schema(by_alias=True, schema_generator=_AsWritten)
    for model, table in _tables(schema):
        for key, told in _members(table, "properties"):
            if f"{model}.{key}" in SAID:
                told["description"] = SAID[f"{model}.{key}"]
    return {"$schema": DIALECT, **schema, "title": "A Pollhook provider definition"}


def reference() -> str:
    """Return every key of the language as a table in Markdown, table by table, in the order of a definition."""
    schema = definition_schema()
    tables = dict(_tables(schema))
    lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    lines += _rows(tables, "Definition", "", {})
    return "\n".join(lines)


class _AsWritten(GenerateJsonSchema):
    """Tells of a value that is turned into another what may stand in the file."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Widen what the turning function accepts."""
        inner = super().function_before_schema(schema)
        widen = _WIDENED.get(getattr(schema["function"]["function"], "__name__", ""))
        return inner if widen is None else widen(inner)


def _any(*kinds: str) -> Callable[[JsonSchemaValue], JsonSchemaValue]:
    return lambda inner: {"anyOf": [*({"type": kind} for kind in kinds), inner]}


def _items(inner: JsonSchemaValue) -> JsonSchemaValue:
    item = inner.get("items", {})
    several = {"type": "array", "items": {"anyOf": [{"type": "string"}, item]}}
    return {"anyOf": [{"type": "string"}, item, several]}


def _scalar(_inner: JsonSchemaValue) -> JsonSchemaValue:
    return {"type": ["string", "number", "boolean"]}


def _span(inner: JsonSchemaValue) -> JsonSchemaValue:
    return {"anyOf": [{"type": "string", "pattern": r"^\s*[0-9]"}, inner]}


_WIDENED: dict[str, Callable[[JsonSchemaValue], JsonSchemaValue]] = {
    "alternatives": _any("string"),
    "listed": _any("string"),
    "seconds": _span,
    "shifted": _any("string"),
    "text_of": _scalar,
    "_specs": _items,
    "_body_text": _any("object", "array"),
}


def _tables(schema: JsonSchemaValue) -> Iterator[tuple[str, Object]]:
    yield "Definition", schema
    yield from _members(schema, "$defs")


def _members(schema: JsonSchemaValue, name: str) -> Iterator[tuple[str, Object]]:
    found = cast("dict[str, Object]", schema.get(name, {}))
    yield from found.items()


def _rows(tables: dict[str, Object], model: str, place: str, told_at: dict[str, str]) -> Iterator[str]:
    table = tables[model]
    needed = cast("list[str]", table.get("required", []))
    for key, told in _members(table, "properties"):
        inner = next((name for name in _refs(told) if "properties" in tables[name]), None)
        is_list = "array" in json.dumps(told) and inner is not None
        path = f"{place}{key}"
        value = f"[[{path}]]" if is_list else f"[{path}]" if inner else _kind(told)
        default = "required" if key in needed else _default(told)
        elsewhere = f" Its keys are those of `{told_at[inner]}`." if inner in told_at else ""
        yield f"| `{path}` | {value} | {default} | {_cell(str(told.get('description', '')) + elsewhere)} |"
        if inner and inner not in told_at:
            told_at[inner] = path
            yield from _rows(tables, inner, f"{path}.", told_at)


def _refs(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(ref := value.get("$ref"), str):
            yield ref.removeprefix(_REF)
        for inner in value.values():
            yield from _refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _refs(inner)


def _kind(told: Object) -> str:
    if isinstance(words := told.get("enum"), list):
        return " ".join(f"`{word}`" for word in words)
    if isinstance(options := told.get("anyOf"), list):
        kinds = [_kind(option) for option in options if isinstance(option, dict) and option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "$ref" in told:
        return "a word"
    kind = told.get("type", "value")
    names = {"array": "list", "object": "table", "string": "text"}
    each_kind: list[Json] = kind if isinstance(kind, list) else [kind]
    return " or ".join(names.get(str(each), str(each)) for each in each_kind)


def _default(told: Object) -> str:
    value = told.get("default")
    return "" if value in (None, "", [], {}) or isinstance(value, dict) else f"`{json.dumps(value)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
