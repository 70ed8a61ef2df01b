"""The reading side of the definition language: each odd case of the field, told by data alone."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from yarl import URL

from daemon.core.observation import Ended, Missed, Observation, Pending
from daemon.core.task import Status
from daemon.providers.definition import Definition
from daemon.providers.masking import Mask
from daemon.providers.reading import Reader, Reading, Reply

KEY = "sk-very-secret-0123456789"
WORDS = {"running": ["r"], "succeeded": ["ok"], "failed": ["no"]}


def defined(**tables: object) -> Definition:
    status = {"request": "GET /{id}", "state": "s", "states": WORDS} | dict(tables.pop("status", {}))
    base = {"name": "custom", "base_url": "https://api.example.com/v1", "status": status}
    return Definition.model_validate(base | tables)


def read(definition: Definition, body: object, http: int = 200, *, result: bool = False, **headers: str) -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = URL("https://api.example.com/v1/tasks/1")
    reply = Reply(status=http, headers=told, body=raw, asked=asked, now_at=1_750_000_000.0)
    reader = Reader(definition=definition, mask=Mask((KEY,)))
    return reader.result(reply) if result else reader.status(reply)


def seen(definition: Definition, body: object, http: int = 200, *, result: bool = False, **headers: str) -> Observation:
    return read(definition, body, http, result=result, **headers).seen


def said(observation: Observation) -> str:
    match observation:
        case Pending():
            return str(observation.status)
        case Ended():
            return str(observation.outcome)
        case Missed():
            return str(observation.miss)


def error_of(observation: Observation) -> tuple[str | None, str, str]:
    assert isinstance(observation, Ended)
    assert observation.error is not None
    return observation.error.code, observation.error.message, observation.error.kind


def urls_of(observation: Observation) -> list[str]:
    assert isinstance(observation, Ended)
    return [output.url for output in observation.outputs]


def test_words_are_compared_without_case_where_the_definition_says_so() -> None:
    definition = defined(status={"ignore_case": True, "states": {"succeeded": ["Completed"], "running": ["Staged"]}})

    assert [said(seen(definition, {"s": word})) for word in ("COMPLETED", "completed", "staged")] == [
        "succeeded", "succeeded", "running",
    ]  # fmt: skip
    assert said(seen(defined(), {"s": "OK"})) == "unknown_word"


def test_words_that_differ_in_case_alone_cannot_mean_two_things_without_case() -> None:
    with pytest.raises(ValidationError, match="stands under"):
        defined(status={"ignore_case": True, "states": {"succeeded": ["Done"], "failed": ["DONE"]}})


@pytest.mark.parametrize("state", ["queued", "running", "not_found", "no_news"])
@pytest.mark.parametrize("body", [{}, {"s": None}, {"s": ""}, {"other": 1}])
def test_absence_can_be_a_state(state: str, body: object) -> None:
    told = seen(defined(status={"missing": state}), body)

    assert said(told) == {"no_news": "unknown_word"}.get(state, state)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"r"', b"3", b"<html>", {"s": {"a": 1}}, {"s": []}])
def test_only_an_object_can_lack_a_state(body: object) -> None:
    assert said(seen(defined(status={"missing": "running"}), body)) == "unreadable"


@pytest.mark.parametrize("state", ["succeeded", "failed", "canceled", "expired"])
@pytest.mark.parametrize("key", ["missing", "empty"])
def test_a_gap_can_never_mean_an_end(key: str, state: str) -> None:
    with pytest.raises(ValidationError):
        defined(status={key: state})


@pytest.mark.parametrize(("http", "body", "told"), [
    (202, b"", "running"), (200, b" \r\n", "running"), (204, b"", "running"), (404, b"", "not_found"), (500, b"", "server_error"),
])  # fmt: skip
def test_an_empty_2xx_can_be_a_state(http: int, body: bytes, told: str) -> None:
    assert said(seen(defined(status={"empty": "running"}), body, http)) == told


def test_a_success_can_be_the_presence_of_a_path() -> None:
    rules = [{"when": "!s && video.url", "state": "succeeded"}]
    definition = defined(status={"rules": rules, "fields": {"outputs": "video.url"}})

    assert urls_of(seen(definition, {"video": {"url": "https://a.example/v.mp4"}})) == ["https://a.example/v.mp4"]


@pytest.mark.parametrize(("body", "told"), [
    ({"s": "END"}, "succeeded"), ({"s": "END", "e": "x"}, "failed"), ({"s": "END", "e": ""}, "succeeded"),
    ({"s": "END", "e": {"code": 0, "message": "", "detail": None}}, "succeeded"),
    ({"s": "END", "e": {"code": "USER"}}, "canceled"), ({"s": "END", "e": [{"msg": "m"}]}, "failed"),
])  # fmt: skip
def test_a_terminal_word_is_decided_by_the_error(body: object, told: str) -> None:
    fields = {"error_message": "e", "error_code": "e"}
    definition = defined(
        status={"states": {"running": ["r"], "terminal": ["END"]}, "fields": fields},
        errors={"outcomes": {"USER": "canceled"}},
    )

    assert said(seen(definition, body)) == told


@pytest.mark.parametrize(("unset", "told"), [
    ({"code": 0, "message": ""}, "succeeded"), ({"a": {"b": [None, "", 0]}}, "succeeded"), ({"code": 7}, "failed"),
])  # fmt: skip
def test_an_error_object_of_empty_values_is_not_set(unset: object, told: str) -> None:
    rules = [{"when": "is_set(e)", "state": "failed"}]

    assert said(seen(defined(status={"rules": rules}), {"s": "ok", "e": unset})) == told


def test_a_guard_fails_a_success_with_its_kind_and_message() -> None:
    guard = {"that": "moderated != `true`", "kind": "content_blocked", "message": "reasons", "code": "'blocked'"}
    definition = defined(status={"require": [guard]})

    assert said(seen(definition, {"s": "ok"})) == "succeeded"
    assert error_of(seen(definition, {"s": "ok", "moderated": True, "reasons": ["nudity", "x"]})) == (
        "blocked", "nudity", "content_blocked",
    )  # fmt: skip


def test_a_guard_leaves_other_states_alone() -> None:
    definition = defined(status={"require": "urls"})

    assert [said(seen(definition, {"s": word})) for word in ("r", "no", "ok")] == ["running", "failed", "failed"]
    assert said(seen(definition, {"s": "ok", "urls": ["x"]})) == "succeeded"


@pytest.mark.parametrize(("otherwise", "told"), [
    ("failed", "failed"), ("canceled", "canceled"), ("expired", "expired"), ("running", "running"), ("no_news", "unknown_word"),
    ("wait", "result_missing"),
])  # fmt: skip
def test_a_success_without_outputs_is_told_as_the_guard_says(otherwise: str, told: str) -> None:
    definition = defined(status={"require": [{"outputs": True, "otherwise": otherwise}], "fields": {"outputs": "u"}})

    assert said(seen(definition, {"s": "ok", "u": "https://a.example/v"})) == "succeeded"
    assert said(seen(definition, {"s": "ok", "u": "javascript:x"})) == told


def test_a_success_that_waits_for_its_outputs_is_known_and_masked() -> None:
    definition = defined(status={"require": [{"outputs": True, "otherwise": "wait"}]})

    told = seen(definition, {"s": "ok", "note": KEY})

    assert isinstance(told, Missed)
    assert told.known is not None
    assert told.known.outcome is Status.SUCCEEDED
    assert KEY not in repr(told)


def test_a_rule_can_say_why_a_task_failed() -> None:
    rules = [{"when": "filtered > `0`", "state": "failed", "kind": "content_blocked", "message": "why[0]"}]

    told = seen(defined(status={"rules": rules}), {"s": "ok", "filtered": 1, "why": ["unsafe"]})

    assert error_of(told) == (None, "unsafe", "content_blocked")


ENVELOPE = {"path": "code", "ok": [0, "success", True]}
CODES = {
    "message": "msg",
    "throttled": [1302],
    "not_found": [1200],
    "unauthorized": [1004],
    "no_news": [99],
    "failed": [1301],
}


@pytest.mark.parametrize(("code", "told"), [
    (0, "succeeded"), ("0", "succeeded"), ("success", "succeeded"), (True, "succeeded"), (None, "succeeded"),
    (1302, "throttled"), ("1302", "throttled"), (1200, "not_found"), (1004, "unauthorized"), (99, "refused"), (5000, "refused"),
    (1301, "failed"), (False, "refused"), ({"x": 1}, "succeeded"),
])  # fmt: skip
def test_an_envelope_that_is_not_ok_is_about_the_request(code: object, told: str) -> None:
    definition = defined(envelope=ENVELOPE, errors=CODES)

    observed = seen(definition, {"code": code, "s": "ok", "msg": "blocked"})

    assert said(observed) == told
    if told == "failed":
        assert error_of(observed) == ("1301", "blocked", "provider")


@pytest.mark.parametrize("otherwise", ["no_news", "not_found", "failed"])
def test_a_definition_says_what_other_envelope_codes_mean(otherwise: str) -> None:
    definition = defined(envelope=ENVELOPE | {"otherwise": otherwise})

    told = said(seen(definition, {"code": 50511, "s": "ok"}))

    assert told == {"no_news": "refused"}.get(otherwise, otherwise)


@pytest.mark.parametrize(("http", "code", "told"), [
    (400, "1302", "throttled"), (404, "1302", "throttled"), (400, "1004", "unauthorized"), (404, "99", "refused"), (400, "1200", "not_found"),
    (400, "1301", "failed"), (504, "1301", "failed"), (429, "1301", "throttled"), (401, "1301", "unauthorized"), (403, "1301", "forbidden"),
    (429, "1200", "throttled"), (503, "1200", "server_error"),
])  # fmt: skip
def test_codes_of_a_request_error_mean_the_same_in_a_4xx(http: int, code: str, told: str) -> None:
    definition = defined(errors=CODES | {"code": "error.code"})

    assert said(seen(definition, {"error": {"code": code}}, http)) == told


def test_codes_of_a_request_error_are_read_in_a_200_without_a_state() -> None:
    definition = defined(errors=CODES | {"code": "error.code"}, status={"missing": "running"})

    told = [said(seen(definition, {"error": {"code": code}})) for code in (1302, 1200, 1301, 7)]

    assert told == ["throttled", "not_found", "failed", "running"]


def test_a_code_cannot_mean_two_things() -> None:
    with pytest.raises(ValidationError, match="stands under"):
        defined(errors={"throttled": ["1"], "failed": ["1"]})


def test_an_error_code_of_a_failed_task_can_mean_no_news() -> None:
    definition = defined(status={"fields": {"error_code": "e"}}, errors={"outcomes": {"429": "no_news"}})

    assert [said(seen(definition, {"s": "no", "e": code})) for code in (429, 500)] == ["unknown_word", "failed"]


def test_a_result_request_can_carry_the_failure() -> None:
    definition = defined(result={"request": "GET /{id}/r", "failed_http": [422]}, errors={"message": "detail"})

    told = seen(definition, {"detail": [{"loc": ["x"], "msg": "bad prompt"}]}, 422, result=True)

    assert error_of(told) == (None, "bad prompt", "provider")
    assert said(seen(definition, b"<html>", 422, result=True)) != "failed"
    assert said(seen(definition, {"detail": "x"}, 422)) == "refused"


def test_the_first_alternative_with_an_output_wins_under_wildcard_keys() -> None:
    fields = {"outputs": [{"path": ["none", "*.outputs.*.images[][]", "later"]}]}
    body = {
        "s": "ok",
        "id1": {"outputs": {"9": {"images": [{"url": "https://a.example/1.png"}]}}},
        "later": "https://a.example/2",
    }

    assert urls_of(seen(defined(status={"fields": fields}), body)) == ["https://a.example/1.png"]


def test_every_url_below_a_path_is_collected() -> None:
    body = {"s": "ok", "out": {"a": [{"b": "https://a.example/1.mp4"}, "http://a.example/2.png"], "n": 5, "t": "no url", "r": "/x",
            "d": "data:image/png;base64,AAAA", "same": "https://a.example/1.mp4", "js": "javascript:1"}}  # fmt: skip

    told = seen(defined(status={"fields": {"outputs": {"path": "out", "collect": True}}}), body)

    assert urls_of(told) == ["https://a.example/1.mp4", "http://a.example/2.png", ""]
    assert isinstance(told, Ended)
    assert [output.kind for output in told.outputs] == ["video", "image", "image"]


def test_collecting_is_bounded() -> None:
    deep: object = "https://a.example/deep"
    for _ in range(60):
        deep = [deep]
    body = {"s": "ok", "out": [deep, *(f"https://a.example/{n}" for n in range(5000))]}

    told = urls_of(seen(defined(status={"fields": {"outputs": {"path": "out", "collect": True}}}), body))

    assert len(told) == 100
    assert "https://a.example/deep" not in told


def test_an_output_url_is_built_from_fields() -> None:
    spec = {
        "path": "images",
        "template": "/view?filename={filename}&subfolder={subfolder}&type={meta.type}",
        "kind": "image",
    }
    image = {"filename": "a b&c=../d.png", "subfolder": "", "meta": {"type": "output"}}

    told = urls_of(
        seen(defined(status={"fields": {"outputs": spec}}), {"s": "ok", "images": [image, {"filename": "x"}]})
    )

    assert told == ["https://api.example.com/v1/view?filename=a%20b%26c%3D..%2Fd.png&subfolder=&type=output"]


@pytest.mark.parametrize("value", ["file-1", 7, 2**60])
def test_an_output_url_is_built_from_a_bare_id(value: object) -> None:
    spec = {"path": "gens[].id", "template": "/files/{value}/content", "needs_auth": True}

    told = seen(defined(status={"fields": {"outputs": spec}}), {"s": "ok", "gens": [{"id": value}]})

    assert urls_of(told) == [f"https://api.example.com/v1/files/{value}/content"]
    assert isinstance(told, Ended)
    assert told.outputs[0].needs_auth


@pytest.mark.parametrize("value", ["", "..", ".", None, True, {}, "x" * 5000, "\ud800"])
def test_no_field_can_change_the_shape_of_a_built_url(value: object) -> None:
    spec = {"path": "o", "template": "/files/{f}/content"}

    assert urls_of(seen(defined(status={"fields": {"outputs": spec}}), {"s": "ok", "o": {"f": value}})) == []


@pytest.mark.parametrize("text", ["view?x={a}", "//evil/{a}", "https://{host}/x", "/a b/{c}", "/a/{", "ftp://x/{a}", 5])
def test_a_template_that_could_lead_astray_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        defined(status={"fields": {"outputs": {"path": "o", "template": text}}})


def test_outputs_are_read_from_json_inside_text() -> None:
    fields = {"outputs": "parse_json(data.resultJson).resultUrls"}

    told = [urls_of(seen(defined(status={"fields": fields}), {"s": "ok", "data": {"resultJson": text}}))
            for text in ('{"resultUrls": ["https://a.example/1"]}', "no json", None, 5, "[" * 100_000)]  # fmt: skip

    assert told == [["https://a.example/1"], [], [], [], []]


@pytest.mark.parametrize(("value", "content", "media"), [
    ("Guten Tag", b"Guten Tag", "text/plain; charset=utf-8"), ({"text": "ü"}, '{"text": "ü"}'.encode(), "application/json"),
    (["a"], b'["a"]', "application/json"),
])  # fmt: skip
def test_a_text_answer_is_an_output_of_its_own(value: object, content: bytes, media: str) -> None:
    fields = {"outputs": {"path": "result.text", "encoding": "text"}}

    told = seen(defined(status={"fields": fields}), {"s": "ok", "result": {"text": value}})

    assert isinstance(told, Ended)
    (output,) = told.outputs
    assert output.inline is not None
    assert (output.inline.content, output.inline.content_type, output.kind, output.url) == (content, media, "text", "")


def test_a_text_answer_holds_no_key_and_no_lone_surrogate() -> None:
    fields = {"outputs": {"path": "t", "encoding": "text"}}

    told = [
        seen(defined(status={"fields": fields}), {"s": "ok", "t": value}) for value in (f"{KEY}\ud800", {KEY: [KEY]})
    ]

    for one in told:
        assert isinstance(one, Ended)
        assert one.outputs[0].inline is not None
        assert KEY.encode() not in one.outputs[0].inline.content


def test_a_text_too_large_to_carry_is_left_out_of_the_response_and_says_so() -> None:
    fields = {"outputs": {"path": "t", "encoding": "text"}}

    told = seen(defined(status={"fields": fields}), {"s": "ok", "t": "a b " * 300_000})

    assert isinstance(told, Ended)
    assert told.response.body == {"s": "ok", "t": "[text, 1200000 characters, left out; no. 1]"}
    assert told.outputs[0].inline is not None
    assert len(told.outputs[0].inline.content) == 1_200_000


@pytest.mark.parametrize(("body", "at"), [
    ({"o": {"url": "https://a.example/1", "exp": 1776352017}}, 1776352017.0), ({"o": {"url": "https://a.example/1", "exp": "2026-11-21T20:10:05Z"}}, 1795291805.0),
    ({"o": {"url": "https://a.example/1"}, "exp": 1776352017123}, 1776352017.123), ({"o": "https://a.example/1", "exp": 1776352017}, 1776352017.0),
    ({"o": "https://a.example/1", "exp": "soon"}, None),
])  # fmt: skip
def test_the_expiry_of_an_output_is_told(body: dict, at: float | None) -> None:
    fields = {"outputs": {"path": "o", "expires_at": "exp"}}

    told = seen(defined(status={"fields": fields}), {"s": "ok"} | body)

    assert isinstance(told, Ended)
    assert told.outputs[0].expires_at == at


@pytest.mark.parametrize(("fields", "body", "progress"), [
    ({"progress_scale": 20}, {"p": 5}, 0.25), ({"progress_scale": 20}, {"p": "5"}, 0.25), ({"progress_total": "n"}, {"p": 3, "n": 4}, 0.75),
    ({"progress_total": "n"}, {"p": 3, "n": 0}, None), ({"progress_total": "n"}, {"p": 9, "n": 3}, 1.0), ({"progress_total": "n"}, {"p": 3}, None),
    ({}, {"p": "78.18"}, 0.7818), ({}, {"p": "78 %"}, 0.78), ({"progress_scale": "percent"}, {"p": 0.5}, 0.005),
])  # fmt: skip
def test_progress_is_read_on_any_scale(fields: dict, body: dict, progress: float | None) -> None:
    told = seen(defined(status={"fields": {"progress": "p"} | fields}), {"s": "r"} | body)

    assert isinstance(told, Pending)
    assert told.progress == (None if progress is None else pytest.approx(progress))


@pytest.mark.parametrize("value", [1776352017, 1776352017000, 1776352017000000, 1776352017000000000, "1776352017000"])
def test_times_are_read_in_any_unit_down_to_nanoseconds(value: object) -> None:
    told = seen(defined(status={"fields": {"created_at": "t"}}), {"s": "r", "t": value})

    assert isinstance(told, Pending)
    assert told.created_at == 1776352017.0


HINTS = [{"header": "x-poll-after", "unit": "ms"}, {"path": "poll_after_seconds"}, {"path": "wait_ms", "unit": "ms"}]


@pytest.mark.parametrize(("body", "headers", "hint"), [
    ({"poll_after_seconds": 20}, {}, 20.0), ({"wait_ms": "1500"}, {}, 1.5), ({}, {"x_poll_after": "2500"}, 2.5),
    ({"poll_after_seconds": 20}, {"x_poll_after": "2500"}, 2.5), ({"poll_after_seconds": -4}, {"retry_after": "9"}, 9.0),
    ({"poll_after_seconds": "soon"}, {}, None), ({"poll_after_seconds": True}, {}, None), ({"expected_duration": 90}, {}, None),
    ({"poll_after_seconds": 10**400}, {}, None), ({"wait_ms": 0}, {"openai_poll_after_ms": "3000"}, 3.0),
])  # fmt: skip
def test_hints_are_read_from_headers_and_bodies_in_their_units(body: dict, headers: dict, hint: float | None) -> None:
    told = seen(defined(status={"hints": HINTS}), {"s": "r"} | body, **headers)

    assert isinstance(told, Pending)
    assert told.hint == hint


def jobs(*words: object) -> dict:
    return {"jobs": [{"s": word} for word in words]}


@pytest.mark.parametrize(("body", "every", "some"), [
    (jobs("ok", "ok"), "succeeded", "succeeded"), (jobs("ok", "r"), "running", "running"), (jobs("r", "no"), "running", "running"),
    (jobs("ok", "no"), "failed", "succeeded"), (jobs("no", "no"), "failed", "failed"), (jobs("q", "q"), "queued", "queued"),
    (jobs("q", "ok"), "running", "running"), (jobs("c", "c"), "canceled", "canceled"), (jobs("c", "no"), "failed", "failed"),
    (jobs("ok", "?"), "unknown_word", "unknown_word"), (jobs("ok", None), "unreadable", "unreadable"), (jobs("ok", "x"), "expired", "succeeded"),
    ({"jobs": []}, "unreadable", "unreadable"), ({"jobs": "ok"}, "unreadable", "unreadable"), ({}, "unreadable", "unreadable"),
    (jobs("ok", "lost"), "not_found", "not_found"), ({"s": "ok", "jobs": [{"s": "r"}]}, "running", "running"),
])  # fmt: skip
def test_a_fan_out_ends_when_all_of_it_has(body: dict, every: str, some: str) -> None:
    states = WORDS | {"queued": ["q"], "canceled": ["c"], "expired": ["x"], "not_found": ["lost"]}

    told = [
        said(seen(defined(status={"each": "jobs", "enough": enough, "states": states}), body))
        for enough in ("all", "any")
    ]

    assert told == [every, some]


def test_a_fan_out_may_lack_its_array() -> None:
    assert said(seen(defined(status={"each": "jobs", "missing": "queued"}), {"jobs": []})) == "queued"


def test_partial_success_is_a_success_and_none_at_all_a_failure() -> None:
    guard = {"that": "counts.succeeded > `0`", "message": "'no request succeeded'"}
    definition = defined(status={"states": {"running": ["r"], "succeeded": ["ended"]}, "require": [guard]})
    some, none = {"succeeded": 1, "errored": 9}, {"succeeded": 0, "errored": 10}

    told = seen(definition, {"s": "ended", "counts": some})

    assert isinstance(told, Ended)
    assert (told.outcome, told.error, told.response.body) == (Status.SUCCEEDED, None, {"s": "ended", "counts": some})
    assert error_of(seen(definition, {"s": "ended", "counts": none})) == (None, "no request succeeded", "provider")


def test_an_expression_that_fails_is_told_with_the_shape_of_the_body_alone() -> None:
    definition = defined(status={"rules": [{"when": "starts_with(name, 'x')", "state": "failed"}]})

    told = read(definition, {"name": 5, "prompt": "my private words", "l": [{"a": None}, True], KEY: 1.5})

    assert told.trouble is not None
    assert told.trouble.cause == "the expression \"starts_with(name, 'x')\" failed (JMESPathTypeError)"
    assert told.trouble.shape == "{name: integer, prompt: text, l: [{a: null}, …2], [redacted]: number}"
    assert said(told.seen) == "unreadable"


@pytest.mark.parametrize("depth", [*range(880, 1000, 4), 5000])
def test_a_text_answer_of_any_depth_is_read(depth: int) -> None:
    fields = {"outputs": {"path": "t", "encoding": "text"}, "error_message": "t"}
    rules = [{"when": "is_set(t) && s == 'no'", "state": "failed", "message": "t"}]
    definition = defined(status={"fields": fields, "rules": rules})

    for word in (b"ok", b"no"):
        told = seen(definition, b'{"s": "%s", "t": %s1%s}' % (word, b"[" * depth, b"]" * depth))
        assert isinstance(told, Ended | Missed)


def test_a_number_too_long_to_write_is_no_state() -> None:
    digits = b"9" * 4300
    body = b'{"n": [%s, %s]}' % (digits, digits)

    for state in ("sum(n)", "n[0]"):
        definition = defined(status={"state": state, "fields": {"error_code": "sum(n)"}})
        assert isinstance(seen(definition, body), Missed)


def test_an_answer_without_a_state_is_told_with_its_shape() -> None:
    told = read(defined(), {"status": "done", "data": {}})

    assert told.trouble is not None
    assert told.trouble.shape == "{status: text, data: {}}"


def test_an_answer_that_reads_is_no_trouble() -> None:
    assert read(defined(), {"s": "r"}).trouble is None
    assert read(defined(), {"s": "new word"}).trouble is None
    assert read(defined(), b"", 503).trouble is None


EVERYTHING = defined(
    envelope={"path": "code", "ok": [0]},
    errors={"code": ["error", "code"], "message": ["error", "message"], "throttled": [1], "failed": [2], "not_found": [3]},
    status={
        "state": ["s", "data.status"], "ignore_case": True, "missing": "running", "empty": "running",
        "states": WORDS | {"terminal": ["end"]}, "require": [{"outputs": True, "otherwise": "wait"}],
        "rules": [{"when": "starts_with(message, 'x')", "state": "no_news"}],
        "hints": [{"path": "progress"}, {"header": "retry-after-ms", "unit": "ms"}],
        "fields": {
            "progress": "progress", "progress_total": "total", "error_message": "error", "error_code": "error.code", "created_at": "t",
            "outputs": [
                {"path": "data", "collect": True, "expires_at": "t"}, {"path": ["out", "out[]"], "template": "/f/{url}?x={+t}"},
                {"path": "parse_json(text)"}, {"path": "text", "encoding": "text"}, {"path": "out", "encoding": "base64"},
            ],
        },
    },
    result={"request": "GET /{id}/r", "failed_http": [422], "require": "outputs"},
)  # fmt: skip
FANNED = defined(status={"each": "data", "state": "s", "missing": "queued"})
NAMES = ["s", "data", "status", "code", "error", "message", "progress", "total", "t", "text", "out", "url", "jobs"]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=12),
    st.sampled_from(["r", "ok", "no", "END", "0", 0, 1, 2, 3, "https://a.example/v.mp4", "data:video/mp4;base64,AAAA", '{"a": 1}', 10**30, "\ud800"]),
)  # fmt: skip
bodies = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)
answers = st.binary(max_size=100) | bodies.map(lambda body: json.dumps(body).encode())


@pytest.mark.parametrize("definition", [EVERYTHING, FANNED], ids=["everything", "fan-out"])
@settings(max_examples=400, deadline=None)
@given(raw=answers, http=st.integers(100, 599) | st.just(200), told=st.dictionaries(st.sampled_from(["retry-after-ms", "retry-after", "content-type"]), st.text(max_size=12)))  # fmt: skip
def test_no_answer_makes_the_whole_language_raise(definition: Definition, raw: bytes, http: int, told: dict) -> None:
    reply = Reply(status=http, headers=told, body=raw, asked=URL("https://a.example/x"), now_at=1e9)
    reader = Reader(definition=definition)

    def read() -> list[Observation]:
        return [reader.status(reply).seen, *([reader.result(reply).seen] if definition.result else [])]

    begun = time.thread_time()
    observed = read()
    took = time.thread_time() - begun
    if took > 0.05:
        begun = time.thread_time()
        read()
        took = time.thread_time() - begun

    assert all(isinstance(one, Pending | Ended | Missed) for one in observed)
    assert took < 0.05


@settings(max_examples=200, deadline=None)
@given(
    word=st.text(max_size=30) | st.integers() | st.booleans(),
    rest=st.dictionaries(st.sampled_from(NAMES[5:]), bodies, max_size=4),
)
def test_an_unknown_word_never_ends_a_task_whatever_else_the_language_says(word: object, rest: dict) -> None:
    if str(word).casefold() in ("r", "ok", "no", "end"):
        return

    for definition, body in ((EVERYTHING, rest | {"s": word}), (FANNED, {"data": [{"s": "ok"}, {"s": word}]})):
        assert not isinstance(seen(definition, body), Ended)


LARGE = 32 * 1024
HEAVY = [
    {"s": "ok", "data": {"x": ["https://a.example/" + "a" * 40] * (LARGE // 64)}}, {"s": "ok", "data": "https://a.example/" + "b" * LARGE},
    {"s": "ok", "out": [{"url": "x" * 20, "t": n} for n in range(LARGE // 40)]}, {"s": "ok", "text": '{"url": "https://a.example/"}' * 900},
    {"s": "ok", "data": [[[[[[[[n]]]]]]] for n in range(LARGE // 20)]}, {"s": "no", "error": [{"message": "m" * LARGE}]},
    {"s": "ok", "text": "[" * LARGE}, {str(n): n for n in range(LARGE // 14)}, {"message": 1} | {str(n): {"a": n} for n in range(LARGE // 20)},
    {"data": [{"s": "r"}] * (LARGE // 12)},
]  # fmt: skip


@pytest.mark.parametrize("body", HEAVY, ids=range(len(HEAVY)))
@pytest.mark.parametrize("definition", [EVERYTHING, FANNED], ids=["everything", "fan-out"])
def test_no_body_read_on_the_loop_takes_50_ms(definition: Definition, body: object) -> None:
    times = []

    for _ in range(3):
        begun = time.thread_time()
        seen(definition, body)
        times.append(time.thread_time() - begun)

    assert min(times) < 0.05


def test_a_definition_says_which_of_its_facts_no_source_confirms() -> None:
    definition = defined(evidence="third-party", unverified=["urls are removed after 30 days"])

    assert (definition.evidence, definition.unverified) == ("third-party", ("urls are removed after 30 days",))


def test_the_language_has_a_json_schema() -> None:
    schema = json.dumps(Definition.model_json_schema())

    assert all(
        f'"{key}"' in schema for key in ("ignore_case", "require", "collect", "progress_total", "hints", "otherwise")
    )
