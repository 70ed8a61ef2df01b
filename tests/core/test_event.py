"""An event's bytes are frozen once, bounded, UTF-8, and carry no inline bytes."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.event import BODY_LIMIT, RESPONSE_LIMIT, encode, ending_event, fitted, progress_event
from daemon.core.ids import EventId, TaskId
from daemon.core.observation import Ended, Output, Response, TaskError
from daemon.core.record import TaskRecord
from daemon.core.redaction import without_bytes, without_keys
from daemon.core.task import LaneName, Status

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def record(**changes) -> TaskRecord:
    made = TaskRecord(
        id=TaskId("tsk_1"),
        provider=LaneName("amux"),
        remote_id="abcd1234efgh",
        model="seedance-2.0",
        params=(),
        status_url=None,
        fetch_result=None,
        wishes=frozenset(),
        metadata={"order": 17},
        target=None,
        status=Status.RUNNING,
        progress=None,
        queue_position=None,
        outputs=(),
        error=None,
        created_at=1.0,
        registered_at=1763755805.0,
        updated_at=1.0,
        started_at=None,
        finished_at=None,
        ended_at=None,
        deadline_at=2.0,
        polls=0,
        next_poll_at=None,
        next_poll_reason=None,
        last_miss=None,
        event_id=None,
    )
    return replace(made, **changes)


def frozen(ended: Ended, **changes):
    return ending_event(EventId("msg_1"), record(**changes), fitted(ended), detected_at=1763755900.512, polls=7)


def test_a_terminal_event_has_exactly_the_shape_the_design_shows():
    video = Output(url="https://cdn.example.com/r.mp4", kind="video")
    event = frozen(Ended(outcome=Status.SUCCEEDED, outputs=(video,), response=Response(body={"status": "completed"})))

    assert event.type == "task.succeeded"
    assert json.loads(event.body) == {
        "type": "task.succeeded",
        "timestamp": "2025-11-21T20:11:40.512Z",
        "data": {
            "task_id": "tsk_1",
            "provider": "amux",
            "remote_id": "abcd1234efgh",
            "model": "seedance-2.0",
            "status": "succeeded",
            "outputs": [
                {"url": "https://cdn.example.com/r.mp4", "kind": "video", "needs_auth": False, "expires_at": None}
            ],
            "error": None,
            "metadata": {"order": 17},
            "timing": {
                "registered_at": "2025-11-21T20:10:05.000Z",
                "started_at": None,
                "finished_at": None,
                "detected_at": "2025-11-21T20:11:40.512Z",
                "polls": 7,
            },
            "response": {"status": "completed"},
            "response_omitted": None,
        },
    }


def test_a_running_event_says_running_and_has_no_response():
    event = progress_event(EventId("msg_2"), record(), "running", progress=0.4, polls=2, seen_at=1763755900.0)

    body = json.loads(event.body)
    assert (event.type, body["data"]["status"], body["data"]["progress"]) == ("task.running", "running", 0.4)


@given(json_values, st.text(max_size=50), st.lists(st.text(max_size=30), max_size=5))
def test_whatever_a_provider_said_the_body_is_bounded_utf8_json(body, message, urls):
    ended = Ended(
        outcome=Status.FAILED,
        outputs=tuple(Output(url=url, kind="file") for url in urls),
        error=TaskError(code=message, message=message, kind="provider"),
        response=Response(body=without_bytes(body)),
    )

    event = frozen(ended)

    assert len(event.body) <= BODY_LIMIT
    assert isinstance(json.loads(event.body.decode("utf-8"))["data"], dict)


def test_a_lone_surrogate_cannot_break_the_encoding():
    ended = Ended(outcome=Status.FAILED, error=TaskError(code=None, message="bad \ud800 text", kind="provider"))

    assert json.loads(frozen(ended).body.decode("utf-8"))["data"]["error"]["message"] == "bad ? text"


def test_a_response_over_64_kib_is_left_out_and_says_so():
    event = frozen(Ended(outcome=Status.SUCCEEDED, response=Response(body={"text": "x" * RESPONSE_LIMIT})))

    data = json.loads(event.body)["data"]
    assert (data["response"], data["response_omitted"]) == (None, "too_large")


def test_an_event_can_never_outgrow_256_kib():
    many = tuple(Output(url="https://e.example/" + "y" * 8000, kind="file") for _ in range(200))
    event = frozen(Ended(outcome=Status.SUCCEEDED, outputs=many, response=Response(body={"text": "x" * 60_000})))

    data = json.loads(event.body)["data"]
    assert len(event.body) <= BODY_LIMIT
    assert data["response_omitted"] == "event_too_large"
    assert data["outputs"]


@given(st.binary(min_size=800, max_size=3000), json_values)
def test_neither_data_uris_nor_long_base64_survive_into_a_copy(raw, other):
    long = base64.b64encode(raw).decode()
    body = {
        "url": f"data:video/mp4;base64,{long}",
        "b": [long],
        "text": f"see data:image/png;base64,{long} there",
        "o": other,
    }

    copy = json.dumps(without_bytes(body))

    assert long not in copy


def test_a_key_is_masked_however_often_it_stands_in_a_text():
    assert without_keys("a sk-123 b sk-123", ["sk-123", ""]) == "a [redacted] b [redacted]"


def test_outputs_of_many_byte_characters_give_way_until_the_event_fits():
    wide = tuple(Output(url="https://e.example/" + "\U0001f3ac" * 8000, kind="file") for _ in range(40))

    event = frozen(Ended(outcome=Status.SUCCEEDED, outputs=wide))

    assert len(event.body) <= BODY_LIMIT
    assert json.loads(event.body)["data"]["outputs"]


@given(body=st.recursive(st.none() | st.booleans() | st.integers() | st.integers(-(10**200), 10**200) | st.text(max_size=40), lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=8), inner, max_size=8), max_leaves=60), limit=st.integers(0, 600))  # fmt: skip
def test_a_body_is_left_out_exactly_where_it_is_too_large(body, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.core.event.RESPONSE_LIMIT", limit)
        kept = fitted(Ended(outcome=Status.SUCCEEDED, response=Response(body=body))).response

    assert (kept.omitted == "too_large") == (body is not None and len(encode(body)) > limit)


def test_a_body_of_millions_of_values_is_left_out_without_being_written():
    wide = {"a": [0] * 3_000_000, "b": dict.fromkeys(map(str, range(300_000)))}
    deep: list = []
    for _ in range(200_000):
        deep = [deep, 0]

    for body in (wide, deep):
        assert fitted(Ended(outcome=Status.SUCCEEDED, response=Response(body=body))).response.omitted == "too_large"
