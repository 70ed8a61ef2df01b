"""Guesses for a draft: good on what providers really answer, harmless on everything else."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.providers.check import misread
from daemon.providers.definition import Definition
from daemon.providers.draft import Sample, Unguessable, draft
from daemon.providers.guess import leaves, meaning, presentable, state_path
from daemon.providers.words import State

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIXTURES = [
    each
    for each in json.loads((Path(__file__).parent / "fixtures.json").read_text())
    if each["kind"] == "status" and isinstance(each["body"], dict) and each["http_status"] == 200
]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("IN_QUEUE", State.QUEUED),
        ("Processing", State.RUNNING),
        ("JOB_STATE_SUCCEEDED", State.SUCCEEDED),
        ("TASK_STATUS_FAILED", State.FAILED),
        ("cancelled", State.CANCELED),
        ("TIMEOUT_EXCEEDED", State.EXPIRED),
        ("cooking", None),
        ("", None),
    ],
)
def test_a_word_means_what_it_says(word, state):
    assert meaning(word) is state


def test_signed_queries_credentials_and_long_lists_stay_out_of_a_draft():
    body = {"url": "https://x.example/a.png?sig=1", "api_key": "sk-123", "list": [1, 2, 3, 4], "n": 1}

    assert presentable(body) == {"url": "https://x.example/a.png", "api_key": "...", "list": [1, 2, 3], "n": 1}


def test_most_real_answers_are_understood_without_help_and_none_is_misread():
    understood = []
    for each in FIXTURES:
        try:
            made = draft(
                "any", "https://api.example.com/v1/{id}", "X-Key: {key}", [Sample(each["body"], None, "s.json")]
            )
        except Unguessable:
            continue
        definition = Definition.model_validate(tomllib.loads(made.text))
        assert misread(definition) == []
        understood.append((each["state"], str(definition.examples[0].state)))

    right = sum(told == guessed for told, guessed in understood)
    assert len(understood) >= 0.6 * len(FIXTURES)
    assert right >= 0.8 * len(understood), understood


def test_a_flag_that_is_set_beside_an_error_is_no_success():
    done, broken = {"name": "op/1", "done": True}, {"done": True, "error": {"code": 3, "message": "no"}}

    made = draft("any", "https://a.example.com/{+id}", "X: {key}", [Sample(each, None, "s") for each in (done, broken)])

    definition = Definition.model_validate(tomllib.loads(made.text))
    assert misread(definition) == []
    assert [example.state for example in definition.examples] == [State.SUCCEEDED, State.FAILED]
    assert definition.examples[1].expect.error_message == "no"


@given(st.lists(JSON, min_size=1, max_size=3))
def test_whatever_the_samples_are_a_draft_holds_or_says_what_is_missing(bodies):
    samples = [Sample(body, State.SUCCEEDED, "s.json") for body in bodies]

    try:
        made = draft("any", "https://api.example.com/v1/{id}", "X-Key: {key}", samples)
    except Unguessable:
        return

    assert Definition.model_validate(tomllib.loads(made.text)).name == "any"


@given(JSON)
def test_leaves_and_state_of_any_json_are_found_without_a_fault(body):
    paths = [leaf.path for leaf in leaves(body)]
    path = state_path([body])

    assert path is None or path in paths


@pytest.mark.parametrize("key", ["task_status_msg", "fail_reason", "error_msg"])
def test_the_reason_of_a_failure_is_found_under_the_names_of_the_field(key: str) -> None:
    broken = {"code": 0, "data": {"task_id": "1", "task_status": "failed", key: "content policy"}, "message": "ok"}

    made = draft("any", "https://a.example.com/v1/1", "X: {key}", [Sample(broken, None, "s")])

    definition = Definition.model_validate(tomllib.loads(made.text))
    assert definition.examples[0].expect.error_message == "content policy"
