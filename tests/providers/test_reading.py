"""Reading: no input raises, nothing but a recognised final answer ends a task, nothing secret passes."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from daemon.core.event import encode
from daemon.core.observation import Ended, Missed, Observation, Pending
from daemon.core.task import Miss, Status
from daemon.core.wall import rfc3339
from daemon.providers.catalog import Catalog
from daemon.providers.definition import Definition
from daemon.providers.masking import Mask
from daemon.providers.reading import Reader, Reading, Reply

KEY = "sk-very-secret-0123456789"
ODD_KEY = "sk-a/b+c==dEfGh12345"
PRESETS = ("amux", "mixroute", "modelmax", "seacloud", "token360")
DEFINITIONS = {name: Catalog().definition(name) for name in PRESETS}
WORDS = sorted({word for d in DEFINITIONS.values() for word in d.status.states.table})
NAMES = ["status", "data", "error", "error_type", "code", "message", "url", "video_url", "content", "outputs", "progress",
         "metadata", "result_url", "fail_reason", "created_at", "updated_at", "task_result", "videos", "type",
         "last_frame_url", "queue_position", "data_url", "base64", "detail", "content_type"]  # fmt: skip

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=20),
    st.sampled_from([*WORDS, "data:video/mp4;base64,AAAA", "data:,x%zz", "/v1/x", "//host/x", "http://[", "https://a.example/v.mp4", "100%", "2026-11-21T20:10:05Z"]),
)  # fmt: skip
bodies = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip
statuses = st.sampled_from(
    [200, 201, 202, 204, 301, 302, 400, 401, 403, 404, 408, 409, 410, 422, 425, 429, 500, 502, 503]
)
headers = st.dictionaries(
    st.sampled_from(["retry-after", "openai-poll-after-ms", "retry-after-ms"]), st.text(max_size=20)
)


def reading(definition: Definition, body: object, http: int = 200, *, result: bool = False, **headers: str) -> Reading:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lower = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = URL("https://api.example.com/v1/tasks/1")
    reply = Reply(status=http, headers=lower, body=raw, asked=asked, now_at=1_750_000_000.0)
    reader = Reader(definition=definition, mask=Mask((KEY,)))
    return reader.result(reply) if result else reader.status(reply)


def seen(definition: Definition, body: object, http: int = 200, **headers: str) -> Observation:
    return reading(definition, body, http, **headers).seen


def holds_no_key(observation: Observation) -> bool:
    return KEY not in repr(observation)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("is_result", [False, True])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200) | bodies.map(lambda body: json.dumps(body).encode()), http=statuses, told=headers)
def test_no_answer_makes_the_reading_raise(name: str, is_result: bool, body: bytes, http: int, told: dict) -> None:
    definition = DEFINITIONS[name]
    if is_result and definition.result is None:
        return
    reply = Reply(status=http, headers=told, body=body, asked=URL("https://a.example/x"), now_at=1e9)
    reader = Reader(definition=definition)

    told_by = (reader.result(reply) if is_result else reader.status(reply)).seen

    assert isinstance(told_by, Pending | Ended | Missed)
    if isinstance(told_by, Ended):
        assert 200 <= http < 300
        encode(told_by.response.body)
        for at in (told_by.created_at, told_by.started_at, told_by.finished_at):
            assert at is None or rfc3339(at)
    if isinstance(told_by, Pending) and told_by.progress is not None:
        assert 0 <= told_by.progress <= 1


@pytest.mark.parametrize("name", PRESETS)
@settings(max_examples=200, deadline=None)
@given(
    word=st.text(max_size=80) | st.integers() | st.booleans(),
    rest=st.dictionaries(st.sampled_from(NAMES), bodies, max_size=3),
)
def test_an_unknown_word_never_ends_a_task(name: str, word: object, rest: dict) -> None:
    definition = DEFINITIONS[name]
    if str(word) in definition.status.states.table:
        return

    told = reading(definition, rest | {"status": word})

    assert isinstance(told.seen, Missed)
    if word != "":
        assert told.seen.miss is Miss.UNKNOWN_WORD
        assert told.word is not None
        assert len(told.word) <= 60


@pytest.mark.parametrize("name", PRESETS)
@settings(max_examples=100, deadline=None)
@given(body=bodies, http=st.integers(300, 599))
def test_an_answer_that_is_no_2xx_never_ends_a_task(name: str, body: object, http: int) -> None:
    assert isinstance(seen(DEFINITIONS[name], body, http), Missed)


@pytest.mark.parametrize(
    ("http", "miss"),
    [
        (401, Miss.UNAUTHORIZED), (403, Miss.FORBIDDEN), (404, Miss.NOT_FOUND), (410, Miss.NOT_FOUND),
        (429, Miss.THROTTLED), (408, Miss.TIMEOUT), (409, Miss.CONFLICT), (425, Miss.CONFLICT), (500, Miss.SERVER_ERROR),
        (502, Miss.SERVER_ERROR), (503, Miss.SERVER_ERROR), (599, Miss.SERVER_ERROR), (400, Miss.REFUSED),
        (402, Miss.REFUSED), (422, Miss.REFUSED), (302, Miss.UNREADABLE),
    ],
)  # fmt: skip
def test_the_http_status_goes_before_the_body(http: int, miss: Miss) -> None:
    told = seen(DEFINITIONS["amux"], {"status": "completed", "url": "https://a.example/v.mp4"}, http)

    assert isinstance(told, Missed)
    assert told.miss is miss
    assert told.http_status == http


@pytest.mark.parametrize("http", [200, 429, 503, 401, 404])
def test_retry_after_is_told_on_any_status(http: int) -> None:
    told = seen(DEFINITIONS["amux"], b"", http, retry_after="17")

    assert isinstance(told, Missed)
    assert told.retry_after == 17.0


def test_hints_of_a_pending_answer_are_told() -> None:
    by_header = seen(DEFINITIONS["amux"], {"status": "queued"}, 202, retry_after="9")
    by_milliseconds = seen(DEFINITIONS["amux"], {"status": "queued"}, openai_poll_after_ms="2500")

    assert isinstance(by_header, Pending)
    assert isinstance(by_milliseconds, Pending)
    assert (by_header.hint, by_milliseconds.hint) == (9.0, 2.5)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"  \n", b"<html>Bad gateway</html>", b'{"status": "completed"', b"[" * 100_000, b'{"a":' * 50_000,
        b'{"status": "completed", "n": }', b'{"status": NaN}', b'{"status": 1e999}', b"\xff\xfe\x00", b"null",
        b'"completed"', b"[]", b"{}", b'{"status": null}', b'{"status": ""}', b'{"status": {"a": 1}}',
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_trusted_is_unreadable(body: bytes) -> None:
    told = seen(DEFINITIONS["amux"], body)

    assert isinstance(told, Missed)
    assert told.miss is Miss.UNREADABLE


@pytest.mark.parametrize(
    ("odd", "read"),
    [
        (b"NaN", None), (b"-Infinity", None), (b"1e999", None), (b"9" * 5000, None), (b'1, "n": 2', 2),
        (b'"caf\xe9"', "caf\ufffd"), (b"1e-999", 0.0), (b"9" * 30, int("9" * 30)),
    ],
    ids=["nan", "infinity", "over-range", "huge", "duplicate", "latin-1", "under-range", "long"],
)  # fmt: skip
def test_an_odd_value_beside_the_result_does_not_hide_it(odd: bytes, read: object) -> None:
    told = seen(DEFINITIONS["amux"], b'{"status": "completed", "url": "https://a.example/v.mp4", "n": ' + odd + b"}")

    assert isinstance(told, Ended)
    assert told.outputs[0].url == "https://a.example/v.mp4"
    assert isinstance(told.response.body, dict)
    assert told.response.body["n"] == read
    assert encode(told.response.body)


PAGES = [b"<html>nginx</html>", b" \r\n<!DOCTYPE html>", b"\xef\xbb\xbf<p>", b"<?xml version='1.0'?><Error/>"]


@pytest.mark.parametrize("http", [403, 404, 410])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_nothing_of_a_task_whatever_its_status(http: int, page: bytes) -> None:
    definition = DEFINITIONS["amux"]

    told = [seen(definition, page, http), seen(definition, b"{}", http, content_type="Text/HTML; charset=utf-8")]

    assert [(one.miss, one.http_status) for one in told if isinstance(one, Missed)] == [(Miss.UNREADABLE, http)] * 2


@pytest.mark.parametrize(("http", "miss"), [(403, Miss.FORBIDDEN), (404, Miss.NOT_FOUND), (410, Miss.NOT_FOUND)])
@pytest.mark.parametrize("body", [b"", b"{}", b'"<b>no such task</b>"', b"no such task"])
def test_without_a_page_such_a_status_is_about_the_task(http: int, miss: Miss, body: bytes) -> None:
    told = seen(DEFINITIONS["amux"], body, http)

    assert isinstance(told, Missed)
    assert told.miss is miss


def test_a_page_is_no_unknown_task_where_the_definition_has_other_codes_for_it() -> None:
    status = {"request": "GET /{id}", "from": "http", "http": {"200": "succeeded", "404": "expired"}}

    by_code = seen(DEFINITIONS["modelmax"], b"<html>", 400)
    by_state = seen(custom(status=status), b"<html>", 404)

    assert isinstance(by_code, Missed)
    assert isinstance(by_state, Missed)
    assert (by_code.miss, by_state.miss) == (Miss.UNREADABLE, Miss.UNREADABLE)


@pytest.mark.parametrize("http", [200, 400, 409, 422])
def test_a_result_that_is_not_ready_yet_in_words_is_running(http: int) -> None:
    body = {"error": {"message": "Video is not ready yet. Current status: in_progress"}}

    told = reading(DEFINITIONS["token360"], body, http, result=True, retry_after="3").seen

    assert isinstance(told, Pending)
    assert (told.status, told.hint) == (Status.RUNNING, 3.0)


@pytest.mark.parametrize("http", [401, 403, 429, 500, 503])
def test_words_do_not_make_weather_a_result_that_is_not_ready(http: int) -> None:
    told = reading(DEFINITIONS["token360"], {"error": {"message": "not ready"}}, http, result=True).seen

    assert isinstance(told, Missed)


ECHOES = [quote(ODD_KEY, safe=""), quote(ODD_KEY), quote(ODD_KEY, safe="").lower().replace("defgh", "dEfGh"),
          base64.b64encode(ODD_KEY.encode()).decode(), ODD_KEY.encode().hex(), ODD_KEY.replace("/", "\\/"), ODD_KEY]  # fmt: skip


@pytest.mark.parametrize("echo", ECHOES)
def test_a_key_echoed_in_another_spelling_leaves_by_no_way(echo: str) -> None:
    mask = Mask((ODD_KEY,))
    error = {"error": {"code": echo, "message": f"bad {echo}"}}
    bodies = [
        ({"status": "completed", "url": f"https://a.example/v.mp4?k={echo}", "you": {echo: [echo]}}, 200),
        ({"status": "failed", **error}, 200), (error, 400), ({"status": echo}, 200),
    ]  # fmt: skip

    for body, http in bodies:
        reply = Reply(
            status=http, headers={}, body=json.dumps(body).encode(), asked=URL("https://a.example/x"), now_at=1.0
        )
        told = Reader(definition=DEFINITIONS["amux"], mask=mask).status(reply)
        assert echo not in repr(told).replace("\\\\", "\\")
        assert "[redacted]" in repr(told)


def test_inline_bytes_leave_by_no_error_message() -> None:
    told = seen(DEFINITIONS["amux"], {"status": "failed", "error": "data:image/png;base64," + "A" * 3000})

    assert isinstance(told, Ended)
    assert told.error is not None
    assert told.error.message == "[data: URI, 3022 characters, left out]"


def test_many_megabytes_inside_an_answer_cost_no_more_than_twice_their_size_beside_it() -> None:
    raw = json.dumps({"status": "succeeded", "url": "data:video/mp4;base64," + "A" * 12_000_000}).encode()

    tracemalloc.start()
    told = seen(DEFINITIONS["mixroute"], raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(told, Ended)
    assert told.outputs[0].inline is not None
    assert peak < 2 * len(raw)


LONG_HEADS = "data:" + "a" * 254


@pytest.mark.parametrize(
    ("body", "http"),
    [
        ({"error": {"message": LONG_HEADS * 240}}, 404), ({"error": {"message": ";base64," + LONG_HEADS * 240}}, 400),
        ({"status": "completed", "p": ";base64," + LONG_HEADS * 1000}, 200), ({"status": ";base64," + LONG_HEADS * 1000}, 200),
        ({"status": "failed", "error": ";base64," + LONG_HEADS * 1000}, 200),
    ],
)  # fmt: skip
def test_no_text_an_answer_holds_takes_long_to_read(body: object, http: int) -> None:
    raw, times = json.dumps(body).encode(), []

    for _ in range(3):
        begun = time.thread_time()
        seen(DEFINITIONS["amux"], raw, http)
        times.append(time.thread_time() - begun)

    assert min(times) < 0.02


def test_a_key_that_the_answer_echoes_is_masked_everywhere() -> None:
    escaped = "".join(f"\\u{ord(char):04x}" for char in KEY)
    body = (
        f'{{"status": "failed", "error": {{"code": "{KEY}", "message": "no {KEY}"}}, "{KEY}": ["{escaped}"],'
        f' "url": "https://a.example/?key={KEY}"}}'
    )

    told = seen(DEFINITIONS["amux"], body.encode())

    assert isinstance(told, Ended)
    assert holds_no_key(told)
    assert "[redacted]" in repr(told.response)


@pytest.mark.parametrize(
    ("body", "http"),
    [
        ({"status": KEY}, 200), ({"error": {"message": KEY, "code": KEY}}, 400), ({"error": KEY}, 404),
        ({"status": "x" * 50 + KEY}, 200), ({"message": "y" * 190 + KEY}, 403),
    ],
)  # fmt: skip
def test_a_key_is_masked_in_no_news_and_in_unknown_words(body: object, http: int) -> None:
    told = reading(DEFINITIONS["amux"], body, http)

    assert holds_no_key(told.seen)
    assert KEY[:12] not in repr(told)


def test_an_unknown_word_is_shown_cut_and_printable() -> None:
    told = reading(DEFINITIONS["amux"], {"status": "a\n\x1b[31m\ud800" + "b" * 500})

    assert told.word is not None
    assert len(told.word) <= 60
    assert told.word.isprintable()
    assert isinstance(told.seen, Missed)
    assert "\n" not in told.seen.detail


def test_a_data_uri_becomes_an_inline_output_and_leaves_the_response() -> None:
    content = bytes(range(256)) * 40
    url = "data:video/mp4;base64," + base64.b64encode(content).decode()

    told = seen(DEFINITIONS["mixroute"], {"status": "succeeded", "url": url})

    assert isinstance(told, Ended)
    (output,) = told.outputs
    assert output.url == ""
    assert output.inline is not None
    assert (output.inline.content, output.inline.content_type, output.kind) == (content, "video/mp4", "video")
    assert "base64," not in json.dumps(told.response.body)


def test_relative_outputs_are_resolved_and_only_allowed_origins_need_the_key() -> None:
    body = {"status": "COMPLETED", "data": [
        {"url": "/v1/c/0"}, {"url": "https://evil.example/v.mp4"}, {"url": "//evil.example/w.mp4"},
        {"url": "https://api.modelmax.io@evil.example/x.mp4"}, {"url": "javascript:alert(1)"}, {"url": "https://a b/"},
        {"url": "https://api.modelmax.io/v1/c/1"},
    ]}  # fmt: skip
    asked = URL("https://api.modelmax.io/v1/queue/veo/requests/1")
    reply = Reply(status=200, headers={}, body=json.dumps(body).encode(), asked=asked, now_at=1e9)

    told = Reader(definition=DEFINITIONS["modelmax"]).result(reply).seen

    assert isinstance(told, Ended)
    assert [(output.url, output.needs_auth) for output in told.outputs] == [
        ("https://api.modelmax.io/v1/c/0", True),
        ("https://evil.example/v.mp4", False),
        ("https://evil.example/w.mp4", False),
        ("https://api.modelmax.io@evil.example/x.mp4", False),
        ("https://api.modelmax.io/v1/c/1", True),
    ]


def test_output_urls_are_told_exactly_as_the_provider_wrote_them() -> None:
    url = "https://CDN.example.com:443/a%2Fb/视频.mp4?X-Sig=a+b%3D&x=1#frag"

    told = seen(DEFINITIONS["amux"], {"status": "completed", "url": url})

    assert isinstance(told, Ended)
    assert told.outputs[0].url == url


@pytest.mark.parametrize(
    ("name", "body", "error"),
    [
        ("modelmax", {"status": "FAILED"}, (None, "the provider gave no reason", "provider")),
        ("modelmax", {"status": "FAILED", "error": ""}, (None, "the provider gave no reason", "provider")),
        ("seacloud", {"status": "COMPLETED", "error": "x", "error_type": "INFERENCE_TIMEOUT"}, ("INFERENCE_TIMEOUT", "x", "timeout")),
        ("seacloud", {"status": "COMPLETED", "error_type": "INTERNAL_SERVER_ERROR"}, ("INTERNAL_SERVER_ERROR", "code INTERNAL_SERVER_ERROR", "provider")),
        ("seacloud", {"status": "COMPLETED", "error": {"message": "m", "code": 7}}, ("7", "m", "provider")),
        ("amux", {"status": "failed", "error": [{"msg": "first", "code": "c"}, {"msg": "second"}]}, (None, "first", "provider")),
        ("amux", {"data": {"status": "FAILURE", "fail_reason": "task timed out"}}, (None, "task timed out", "provider")),
        ("token360", {"status": "failed", "error": {"unforeseen": 1}}, (None, '{"unforeseen": 1}', "provider")),
    ],
)  # fmt: skip
def test_errors_are_read_as_text_object_or_list(name: str, body: object, error: tuple) -> None:
    told = seen(DEFINITIONS[name], body)

    assert isinstance(told, Ended)
    assert told.outcome is Status.FAILED
    assert told.error is not None
    assert (told.error.code, told.error.message, told.error.kind) == error


@pytest.mark.parametrize("unset", [None, "", 0, {}, [], False])
def test_an_error_that_is_not_set_is_no_failure(unset: object) -> None:
    told = seen(DEFINITIONS["seacloud"], {"status": "COMPLETED", "error": unset, "error_type": unset})

    assert isinstance(told, Ended)
    assert told.outcome is Status.SUCCEEDED


def custom(**tables: object) -> Definition:
    base = {"name": "custom", "base_url": "https://api.example.com"}
    status = {"request": "GET /{id}", "state": "s", "states": {"running": ["r"], "succeeded": ["ok"], "failed": ["no"]}}
    return Definition.model_validate(base | {"status": status} | tables)


@pytest.mark.parametrize(
    ("value", "progress"),
    [
        (0, 0.0), (1, 0.01), (40, 0.4), (100, 1.0), (250, 1.0), (-3, 0.0), (0.4, 0.4), (1.0, 1.0), (40.5, 0.405),
        ("78%", 0.78), ("78 %", 0.78), ("78.18", 0.7818), ("0.5", 0.5), ("done", None), (True, None), (None, None),
        ([1], None), (10**400, None),
    ],
)  # fmt: skip
def test_progress_is_read_tolerantly(value: object, progress: float | None) -> None:
    fields = {"progress": "p"}
    status = {"request": "GET /{id}", "state": "s", "states": {"running": ["r"]}, "fields": fields}

    told = seen(custom(status=status), {"s": "r", "p": value})

    assert isinstance(told, Pending)
    assert told.progress == pytest.approx(progress) if progress is not None else told.progress is None


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (1776352017, 1776352017.0), (1776352017123, 1776352017.123), ("1776352017", 1776352017.0), (0, None),
        ("2026-11-21T20:10:05Z", 1795291805.0), ("2026-11-21T21:10:05+01:00", 1795291805.0), ("2026-11-21 20:10:05", 1795291805.0),
        ("yesterday", None), (-5, None), (10**30, None), (None, None), (True, None), ({}, None),
    ],
)  # fmt: skip
def test_times_are_read_from_seconds_milliseconds_and_dates(value: object, at: float | None) -> None:
    fields = {"created_at": "t"}
    status = {"request": "GET /{id}", "state": "s", "states": {"running": ["r"]}, "fields": fields}

    told = seen(custom(status=status), {"s": "r", "t": value})

    assert isinstance(told, Pending)
    assert told.created_at == at


@pytest.mark.parametrize(("value", "word"), [(True, "true"), (False, "false"), (280, "280"), ("x", "x")])
def test_states_are_read_from_booleans_and_numbers(value: object, word: str) -> None:
    status = {"request": "GET /{id}", "state": ["a.b", "s"], "states": {"running": [word]}}

    assert isinstance(seen(custom(status=status), {"s": value}), Pending)


def test_one_is_not_true() -> None:
    status = {"request": "GET /{id}", "state": "s", "states": {"succeeded": [True], "running": ["r"]}}

    assert isinstance(seen(custom(status=status), {"s": 1}), Missed)


def test_the_http_code_can_be_the_state() -> None:
    status = {"request": "GET /{id}", "from": "http", "http": {"202": "running", "200": "succeeded", "404": "expired"}}
    definition = custom(status=status)

    told = [seen(definition, b"", http) for http in (202, 200, 404, 500, 204)]

    assert isinstance(told[0], Pending)
    assert [type(one) for one in told[1:]] == [Ended, Ended, Missed, Missed]
    assert isinstance(told[2], Ended)
    assert told[2].outcome is Status.EXPIRED


def test_an_error_code_can_name_the_outcome() -> None:
    definition = custom(
        status={"request": "GET /{id}", "state": "s", "states": {"failed": ["no"]}, "fields": {"error_code": "e"}},
        errors={"outcomes": {"USER_CANCELED": "canceled", "TTL": "expired"}},
    )

    outcomes = [seen(definition, {"s": "no", "e": code}) for code in ("USER_CANCELED", "TTL", "X")]

    assert [told.outcome for told in outcomes if isinstance(told, Ended)] == ["canceled", "expired", "failed"]


def test_words_can_say_that_the_task_is_unknown() -> None:
    status = {"request": "GET /{id}", "state": "s", "states": {"running": ["r"], "not_found": ["UNKNOWN"]}}

    told = seen(custom(status=status), {"s": "UNKNOWN"})

    assert isinstance(told, Missed)
    assert told.miss is Miss.NOT_FOUND


def test_an_expression_that_fails_makes_the_answer_no_news() -> None:
    definition = custom(status={"request": "GET /{id}", "rules": [{"when": "starts_with(s, 'x')", "state": "failed"}]})

    told = seen(definition, {"s": 5})

    assert isinstance(told, Missed)
    assert told.miss is Miss.UNREADABLE
    assert "starts_with" in told.detail


def test_a_failing_complaint_hides_no_http_status() -> None:
    definition = custom(errors={"code": "starts_with(s, 'x')", "message": "starts_with(s, 'x')"})

    told = seen(definition, {"s": 5}, 401)

    assert isinstance(told, Missed)
    assert told.miss is Miss.UNAUTHORIZED


def test_a_body_of_the_largest_small_size_is_read_in_well_under_50_ms() -> None:
    body = json.dumps({"status": "completed", "list": [{"url": f"https://a.example/{n}.mp4"} for n in range(5000)]})
    assert len(body) < 256 * 1024

    started = time.thread_time()
    for definition in DEFINITIONS.values():
        seen(definition, body.encode())

    assert (time.thread_time() - started) / len(DEFINITIONS) < 0.05


@given(content=st.binary(max_size=50), spaced=st.booleans(), is_urlsafe=st.booleans(), is_padded=st.booleans())
def test_base64_is_decoded_in_either_alphabet_padded_or_not(
    content: bytes, spaced: bool, is_urlsafe: bool, is_padded: bool
) -> None:
    text = (base64.urlsafe_b64encode if is_urlsafe else base64.b64encode)(content).decode()
    text = text if is_padded else text.rstrip("=")
    text = "\n".join(text[n : n + 5] for n in range(0, len(text), 5)) if spaced else text

    told = seen(DEFINITIONS["mixroute"], {"status": "succeeded", "url": f"data:video/mp4;base64,{text}"})

    assert isinstance(told, Ended)
    assert told.outputs[0].inline is not None
    assert told.outputs[0].inline.content == content


def test_a_body_in_any_unicode_encoding_is_read() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
        assert isinstance(seen(DEFINITIONS["amux"], '{"status": "queued"}'.encode(encoding)), Pending)
