"""A reading explained: the same observation as the reader's, the deciding place named, nothing secret, no fault."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from daemon.providers.catalog import Catalog
from daemon.providers.check import NOW_AT
from daemon.providers.doubts import doubts
from daemon.providers.masking import Mask
from daemon.providers.reading import Reader, Reply
from daemon.providers.trace import traced

CATALOG = Catalog()
NAMES = [entry.name.removesuffix(".toml") for entry in files("daemon.providers").joinpath("presets").iterdir()]
KEY = "key-that-must-not-show"
ASKED = URL("https://api.example.com/x")


def trace_of(name: str, body: bytes, status: int = 200, *, is_result: bool = False):
    reader = Reader(definition=CATALOG.definition(name), mask=Mask((KEY,)))
    reply = Reply(status=status, headers={}, body=body, asked=ASKED, now_at=NOW_AT)
    return traced(reader, reply, is_result=is_result), reader, reply


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_explained_with_the_reader_s_own_reading_and_at_most_one_decision(name):
    for example in CATALOG.definition(name).examples:
        if example.of == "submission":
            continue
        is_result = example.of == "result"

        trace, reader, reply = trace_of(name, example.body.encode(), example.http, is_result=is_result)

        assert trace.seen == (reader.result(reply) if is_result else reader.status(reply)).seen
        assert sum(step.decides for step in trace.steps) <= 1
        assert trace.steps[0].what.endswith(f"HTTP {example.http}")


def test_a_rule_that_decides_is_named_and_the_word_behind_it_is_not():
    body = json.dumps({"status": "COMPLETED", "error": f"no {KEY}", "error_type": "CANCELED"})

    trace, _, _ = trace_of("seacloud", body.encode())

    (deciding,) = [step for step in trace.steps if step.decides]
    assert deciding.what.startswith("status.rules[")
    assert any(step.what == "word COMPLETED" and not step.decides for step in trace.steps)
    assert KEY not in repr(trace.steps)


def test_an_unknown_word_is_told_with_the_nearest_known_one():
    trace, _, _ = trace_of("seacloud", b'{"status": "IN_PROGRES"}')

    assert any('did you mean "IN_PROGRESS"?' in step.found for step in trace.steps)
    assert not any(step.decides for step in trace.steps)


@given(st.sampled_from(NAMES), st.binary(max_size=200) | st.text(max_size=60).map(str.encode), st.integers(200, 599))
def test_no_answer_whatever_makes_the_explanation_fail(name, body, status):
    trace, _, _ = trace_of(name, body, status)

    assert trace.steps


@pytest.mark.parametrize("name", NAMES)
def test_no_preset_has_a_rule_or_a_phrase_that_can_never_decide(name):
    assert [each.text for each in doubts(CATALOG.definition(name)) if "never" in each.text] == []
