"""Ids, spans of time, and what a status says of itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.ids import crockford, delivery_id, event_id, task_id, uuid7
from daemon.core.span import seconds, spoken
from daemon.core.task import Status
from daemon.core.wall import rfc3339


@given(st.floats(0, 4e9), st.floats(0, 4e9), st.integers(0, (1 << 74) - 1), st.integers(0, (1 << 74) - 1))
def test_ids_sort_by_the_millisecond_they_were_made_in(one, other, first, second):
    a, b = task_id(one, first), task_id(other, second)

    assert re.fullmatch(r"tsk_[0-9a-hjkmnp-tv-z]{26}", a)
    if int(one * 1000) != int(other * 1000):
        assert (a < b) == (one < other)


@given(st.floats(0, 4e9), st.integers(0, (1 << 74) - 1))
def test_an_id_is_a_uuid_of_version_7(now_at, entropy):
    number = uuid7(now_at, entropy)

    assert (number >> 76) & 0xF == 7
    assert (number >> 62) & 0b11 == 0b10
    assert number >> 80 == int(now_at * 1000)


def test_event_ids_have_no_full_stop_and_their_own_prefix():
    assert event_id(1.0, 1).startswith("msg_")
    assert "." not in event_id(1.0, 1)
    assert delivery_id(1.0, 1).startswith("dlv_")
    assert crockford((1 << 128) - 1) == "7" + "z" * 25


@pytest.mark.parametrize(
    ("text", "value"),
    [("90s", 90), ("1h30m", 5400), ("250ms", 0.25), ("2.5", 2.5), (7, 7), ("30d", 2592000), ("1H", 3600)],
)
def test_a_span_is_a_number_with_a_unit_or_plain_seconds(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "-1s", "1y", "1 h", "nan", "inf", True, None, float("nan"), -1, "1e3"])
def test_anything_else_is_refused_with_what_is_allowed(text):
    with pytest.raises(ValueError, match="number with a unit"):
        seconds(text)


@given(st.integers(0, 10**8))
def test_spans_of_whole_seconds_are_spoken_so_that_they_read_back(value):
    assert seconds(spoken(float(value))) == value


def test_times_are_shown_in_utc_with_milliseconds():
    assert rfc3339(1763755900.5129) == "2025-11-21T20:11:40.512Z"


@given(st.floats(-1e9, 4e9))
def test_a_time_is_rounded_to_the_microsecond_and_cut_to_the_millisecond(at):
    moment = datetime.fromtimestamp(at, UTC)

    assert rfc3339(at) == moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@pytest.mark.parametrize("status", list(Status))
def test_a_status_knows_whether_it_is_an_end_and_whether_the_provider_said_so(status):
    ends = {"succeeded", "failed", "canceled", "expired", "lost", "timed_out", "stopped"}
    told = {"succeeded", "failed", "canceled", "expired"}

    assert status.is_terminal is (status.value in ends)
    assert status.is_providers_word is (status.value in told)
