"""The schema for editors and the table for readers say what the models take."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from daemon.providers.glossary import SAID
from daemon.providers.schema import definition_schema, reference

SCHEMA = definition_schema()
EXAMPLES = Path(__file__).parents[2] / "docs" / "providers" / "examples"
FILES = [*files("daemon.providers").joinpath("presets").iterdir(), *sorted(EXAMPLES.glob("*.toml"))]


def fits(value, told) -> bool:
    """Whether *value* is what the schema *told* allows, as far as types, keys, words and alternatives go."""
    if "$ref" in told:
        return fits(value, SCHEMA["$defs"][told["$ref"].rpartition("/")[2]])
    if "anyOf" in told:
        return any(fits(value, each) for each in told["anyOf"])
    if "enum" in told and value not in told["enum"]:
        return False
    if "const" in told and value != told["const"]:
        return False
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
    types = told.get("type", [])
    types = types if isinstance(types, list) else [types]
    if types and not any(isinstance(value, kinds[kind]) for kind in types if kind != "null"):
        return False
    if isinstance(value, list) and "items" in told:
        return all(fits(each, told["items"]) for each in value)
    if isinstance(value, dict) and "properties" in told:
        known = told["properties"]
        return all(key in known and fits(each, known[key]) for key, each in value.items())
    return True


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_definition_there_is_fits_the_schema(file):
    tree = tomllib.loads(file.read_text("utf-8"))

    assert fits(tree, SCHEMA)
    assert not fits(tree | {"bose_url": "x"}, SCHEMA)
    assert not fits(tree | {"status": tree["status"] | {"state": 7}}, SCHEMA)


def test_the_glossary_names_no_key_that_is_gone():
    tables = {"Definition": SCHEMA, **SCHEMA["$defs"]}
    known = {f"{model}.{key}" for model, table in tables.items() for key in table.get("properties", {})}

    assert sorted(set(SAID) - known) == []


def test_every_key_of_a_definition_has_a_meaning():
    rows = [line.split(" | ") for line in reference().splitlines()[2:]]

    assert [row[0] for row in rows if not row[-1].strip(" |")] == []


def test_the_table_lists_every_key_of_a_definition_once():
    rows = [line.split("`")[1] for line in reference().splitlines()[2:]]

    assert {"name", "status.from", "status.states.queued", "status.fields.outputs.path", "limits.rate"} <= set(rows)
    assert len(rows) == len(set(rows))
    assert set(SCHEMA["properties"]) <= set(rows)
