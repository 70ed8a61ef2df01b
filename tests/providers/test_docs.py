"""The page that adds a provider in ten minutes says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from daemon.providers.schema import reference

FOLDER = Path(__file__).parents[2] / "docs" / "providers"
PAGE = (FOLDER / "README.md").read_text("utf-8")
TABLE = PAGE.partition("<!-- keys: begin")[2]


def _keys(table: str) -> set[str]:
    return {found[1] for found in re.finditer(r"^\| `([a-z_.]+)` \|", table, re.MULTILINE)}


def test_every_key_on_the_page_is_one_of_the_language():
    assert len(_keys(TABLE)) > 50
    assert sorted(_keys(TABLE) - _keys(reference())) == []


def test_every_worked_example_is_on_the_page_and_there():
    linked = set(re.findall(r"\]\(examples/([a-z]+\.toml)\)", PAGE))

    assert linked == {path.name for path in FOLDER.glob("examples/*.toml")}
