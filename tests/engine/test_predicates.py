"""Predicates over events: true of what they say, refused or ended where they cost too much."""

from __future__ import annotations

import time

import pytest

from daemon.engine.predicates import PredicateFailed, holds, predicate_complaint

EVENT = {
    "type": "task.succeeded",
    "data": {
        "model": "veo",
        "metadata": {"tier": "gold", "n": 0},
        "outputs": [{"kind": "video", "url": 'https://x.example/"q"'}] * 10,
        "response": {"items": [{"a": n, "b": [n, n]} for n in range(8_000)]},
    },
}


@pytest.mark.parametrize(
    ("text", "is_true"),
    [
        ("data.metadata.tier == 'gold'", True),
        ("data.metadata.n", True),
        ("data.metadata.missing", False),
        ("data.outputs[?kind == 'audio']", False),
        ("contains(['veo', 'sora', 'kling', 'wan', 'ltx', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'], data.model)", True),
        ("[data.model, data.metadata.tier] == ['veo', 'gold']", True),
        ("contains(to_string(data.metadata), 'gold')", True),
        ("length(data.response.items) > `100`", True),
    ],
)  # fmt: skip
def test_a_predicate_is_true_of_what_it_says(text, is_true):
    assert predicate_complaint(text) is None
    assert holds(text, EVENT) is is_true


@pytest.mark.parametrize(
    "text",
    [
        "data.outputs" + "|[@,@][]" * 20,
        "[@,@]|" * 21 + "to_string(@)=='x'",
        "(" + "[@,@]|" * 21 + "@) == (" + "[@,@]|" * 21 + "@)",
        "{a: @, b: @} | {a: @, b: @} | {a: @, b: @} | {a: @, b: @} | {a: @, b: @} | to_string(@)",
        "map(&[@, @, @, @, @], map(&[@, @, @, @, @], data.outputs))",
        "to_string([to_string([to_string([to_string([to_string([@])])])])])",
    ],
)
def test_a_predicate_that_multiplies_what_it_reads_is_refused_with_the_bound(text):
    complaint = predicate_complaint(text)

    assert complaint is not None
    assert "up to 16 times" in complaint


def test_an_unknown_function_is_named_with_those_there_are():
    complaint = predicate_complaint("lowercase(data.model) == 'veo'")

    assert complaint is not None
    assert "lowercase()" in complaint
    assert "starts_with" in complaint


@pytest.mark.parametrize(
    "text",
    [
        "data.response.items[?a == `7`] && data.response.items[?a == `8`]",
        " || ".join(["data.response.items[?b[?@ == `-1`]]"] * 20),
        "sort_by(data.response.items, &a)[0].a == `1`",
        " || ".join(["contains(to_string(data.response), 'nothing of that')"] * 4),
        "data.response.items[].b[] | map(&to_string(@), @) | contains(join('" + "x" * 800 + "', @), 'y')",
    ],
)
def test_a_predicate_that_takes_long_on_an_event_is_ended_before_it_stalls_the_loop(text):
    assert predicate_complaint(text) is None
    began = time.thread_time()

    with pytest.raises(PredicateFailed, match="steps"):
        holds(text, EVENT)

    assert time.thread_time() - began < 0.1
