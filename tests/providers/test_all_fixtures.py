"""Every public body of the fixture file belongs to a preset whose tests read it as its ``state`` says.

``pytest -s`` prints the exceptions and why.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.providers import test_presets, test_presets_a, test_presets_b, test_presets_c

EVERYTHING = json.loads((Path(__file__).parent / "fixtures.json").read_text("utf-8"))


def test_no_provider_of_the_fixture_file_is_left_without_a_preset() -> None:
    read = {*test_presets.PRESETS, *test_presets.FAMILY}
    read |= {*test_presets_a.BY_FIXTURE, *test_presets_b.READ_BY, *test_presets_c.PRESET_OF}

    assert {fixture["provider"] for fixture in EVERYTHING} <= read


def test_every_exception_has_a_reason() -> None:
    told = [test_presets_a.EXCEPTIONS, test_presets_b.EXCEPTIONS, test_presets_c.EXCEPTIONS]
    for exceptions in told:
        for body, reason in exceptions.items():
            print(body, "-", reason)
            assert len(str(reason)) > 10
    assert sum(map(len, told)) < 10
