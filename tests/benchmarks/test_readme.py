"""The README shows what the last full runs measured, and nothing else."""

from __future__ import annotations

import json

import pytest

from benchmarks.readme import BEGIN, END, NAMES, README, written
from benchmarks.report import RESULTS


def test_the_tables_of_the_readme_are_those_of_the_results() -> None:
    text = README.read_text()

    assert BEGIN in text
    assert END in text
    assert written(text) == text, "make bench-readme writes them anew"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_comes_from_full_runs(name: str) -> None:
    file = RESULTS / f"{name}.json"
    if file.exists():
        assert json.loads(file.read_text())["quick"] is False
