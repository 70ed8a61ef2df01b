"""Big JSON in slices is the same value as the whole at once, and bounded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.providers import big_json, json_strings
from daemon.providers.big_json import NotJson, read_big

DECODER = json.JSONDecoder()
TEXT = st.text(st.characters() | st.sampled_from('\\"é😀,[]{}:\ud83d\ude00'), max_size=30)
SCALAR = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.sampled_from([0.5, -1e20, 2e-7]) | TEXT
JSON = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXT, inner, max_size=6))
STYLES = [{}, {"ensure_ascii": False}, {"indent": 1}, {"separators": (",", ":")}]


def written(value, style):
    return json.dumps(value, **style).encode("utf-8", "replace")


@pytest.mark.parametrize("width", [30, 41, 64])
@given(value=JSON, style=st.sampled_from(STYLES))
@settings(deadline=None)
def test_a_value_read_in_slices_is_the_value(width, value, style):
    body = written(value, style)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(big_json, "SLICE", width)
        patch.setattr(json_strings, "STEP", width)
        found, _ = _either(lambda: read_big(body, DECODER))

    wanted, _ = _either(lambda: DECODER.decode(body.decode()))
    assert json.dumps(found) == json.dumps(wanted)


@pytest.mark.parametrize("width", [30, 64])
@given(value=JSON, style=st.sampled_from(STYLES), at=st.integers(0), junk=st.sampled_from([b"", b",", b"]", b"}", b'"', b"x", b"\\", b"1", b" ", b":"]))  # fmt: skip
@settings(deadline=None)
def test_what_the_whole_refuses_is_refused_in_slices_and_nothing_else(width, value, style, at, junk):
    body = written(value, style)
    at %= len(body) + 1
    body = body[:at].decode("utf-8", "ignore").encode() + junk + body[at + 1 :].decode("utf-8", "ignore").encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(big_json, "SLICE", width)
        patch.setattr(json_strings, "STEP", width)
        found, fault = _either(lambda: read_big(body, DECODER))

    wanted, refusal = _either(lambda: DECODER.decode(body.decode()))
    if refusal is None:
        assert json.dumps(found) == json.dumps(wanted)
        assert fault is None
    else:
        assert fault is not None


def _either(read):
    try:
        return read(), None
    except ValueError as fault:
        return None, fault


@pytest.mark.parametrize("digits", ["9" * 300_000, "-" + "1" * 300_000, "0." + "3" * 300_000])
def test_a_number_longer_than_a_slice_is_null(digits):
    assert read_big(f'{{"a": {digits}, "b": [{digits}, 1]}}'.encode(), DECODER) == {"a": None, "b": [None, 1]}


@pytest.mark.parametrize("item", [b"0,", b"{},", b"[],", b'{"a":1},', b"[[[[[]]]]],"])
def test_more_values_than_the_bound_are_refused_with_the_bound(item):
    with pytest.raises(NotJson, match="JSON of more than 1,000,000 values or 250,000 lists and objects"):
        read_big(b"[" + item * 1_100_000 + b"0]", DECODER)


@pytest.mark.parametrize("body", [b"[" * 5_000_000, b'{"a":' * 2_000_000, b"[0," * 2_000_000, b" " * 1_000_000, b"[" + b"\\" * 900_000])  # fmt: skip
def test_what_is_nested_or_empty_without_end_is_refused(body):
    with pytest.raises((NotJson, RecursionError)):
        read_big(body, DECODER)


def test_big_values_within_big_values_are_read_by_their_parts():
    value = {"a": [{"b": "x\n\u00e9" * 100_000, "c": [1] * 50_000}], "d": {str(n): {"n": n} for n in range(20_000)}}

    assert read_big(json.dumps(value).encode(), DECODER) == value
    assert read_big(json.dumps(value, ensure_ascii=False, indent=2).encode(), DECODER) == value
