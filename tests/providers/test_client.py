"""The client against a real server on loopback: weather is a value, the second request is sent when it should be."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp import web

from daemon.core.errors import NoResult
from daemon.core.observation import Ended, Missed, Observation, Pending
from daemon.core.task import Miss, Status
from daemon.providers.client import HttpProvider

KEY = "sk-very-secret-0123456789"


def answer(body: object, status: int = 200, **headers: str) -> web.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(body=raw, status=status, headers=named, content_type="application/json")


def missed(seen: Observation, miss: Miss) -> Missed:
    assert isinstance(seen, Missed), seen
    assert seen.miss is miss, seen
    assert KEY not in repr(seen)
    return seen


def succeeded(seen: Observation) -> Ended:
    assert isinstance(seen, Ended), seen
    assert seen.outcome is Status.SUCCEEDED
    assert KEY not in repr(seen)
    return seen


async def test_a_poll_sends_the_key_to_the_templates_path(connect, server, make_task) -> None:
    server.answers = [answer({"status": "in_progress"})]

    seen = await connect("amux").poll(make_task("abc/../x?y#z"))

    assert isinstance(seen, Pending)
    assert server.asked == ["/v1/video/generations/abc%2F..%2Fx%3Fy%23z"]
    assert server.authorized == [f"Bearer {KEY}"]


async def test_a_base64_id_reaches_the_server_percent_encoded(connect, server, make_task) -> None:
    server.answers = [answer({"status": "IN_QUEUE"})]

    await connect("modelmax").poll(make_task("Z2Vt+/a==", model="veo-3"))

    assert server.asked == ["/v1/queue/veo-3/requests/Z2Vt%2B%2Fa%3D%3D/status"]


async def test_a_status_url_is_asked_verbatim(connect, server, make_task) -> None:
    server.answers = [answer({"status": "in_progress"})]

    await connect("amux").poll(make_task(status_url=server.url + "/v1/videos/a%2Fb?x=%2B"))

    assert server.asked == ["/v1/videos/a%2Fb?x=%2B"]


async def test_a_status_url_elsewhere_is_never_asked(connect, server, make_task) -> None:
    seen = await connect("amux").poll(make_task(status_url="https://evil.example/x"))

    assert missed(seen, Miss.UNCONFIGURED).unsent
    assert server.asked == []


@pytest.mark.parametrize(
    ("http", "headers", "miss", "retry_after"),
    [
        (429, {"Retry_After": "12"}, Miss.THROTTLED, 12.0), (503, {"Retry_After": "3"}, Miss.SERVER_ERROR, 3.0),
        (500, {}, Miss.SERVER_ERROR, None), (502, {}, Miss.SERVER_ERROR, None), (401, {}, Miss.UNAUTHORIZED, None),
        (403, {}, Miss.FORBIDDEN, None), (404, {}, Miss.NOT_FOUND, None), (302, {"Location": "/elsewhere"}, Miss.UNREADABLE, None),
        (307, {"Location": "https://evil.example/"}, Miss.UNREADABLE, None),
    ],
)  # fmt: skip
async def test_http_weather_is_a_value(connect, server, make_task, http, headers, miss, retry_after) -> None:
    server.answers = [answer({"error": {"message": f"your key is {KEY}"}}, http, **headers)]

    seen = await connect("amux").poll(make_task())

    assert missed(seen, miss).retry_after == retry_after
    assert len(server.asked) == 1


async def test_html_is_no_news(connect, server, make_task) -> None:
    server.answers = [web.Response(text="<html>oops</html>", content_type="text/html")]

    missed(await connect("amux").poll(make_task()), Miss.UNREADABLE)


async def test_a_page_too_long_to_read_says_nothing_of_a_task(connect, server, make_task) -> None:
    server.answers = [web.Response(text="<p>" * 200_000, status=404, content_type="text/html")]

    missed(await connect("amux").poll(make_task()), Miss.UNREADABLE)


async def test_a_wish_to_wait_is_heard_where_the_body_breaks_off(connect, server, make_task) -> None:
    server.answers = [answer(b"x" * 400_000, 429, Retry_After="12")]

    assert missed(await connect("amux").poll(make_task()), Miss.THROTTLED).retry_after == 12.0


async def test_answers_are_asked_for_unpacked(connect, server, make_task) -> None:
    told: list[str | None] = []

    async def answering(request: web.Request) -> web.StreamResponse:
        told.append(request.headers.get("Accept-Encoding"))
        return answer({"status": "in_progress"})

    server.answers = [answering]

    await connect("amux").poll(make_task())

    assert told == ["identity"]


@pytest.mark.parametrize(("size", "is_on_loop"), [(1000, True), (40_000, False), (250_000, False)])
async def test_an_answer_past_32_kib_is_read_off_the_loop(
    connect, server, make_task, size: int, is_on_loop: bool
) -> None:
    class Words(dict[str, object]):
        def get(self, key: str, default: object = None) -> object:
            threads.append(threading.current_thread())
            return super().get(key, default)

    threads: list[threading.Thread] = []
    provider: HttpProvider = connect("amux")
    spec = provider.account.definition.status
    vars(spec)["meanings"] = Words(spec.meanings)
    server.answers = [answer({"status": "in_progress", "list": [0] * (size // 3)})]

    assert isinstance(await provider.poll(make_task()), Pending)

    assert [thread is threading.main_thread() for thread in threads] == [is_on_loop]


@pytest.mark.parametrize(
    ("preset", "bills"),
    [("modelmax", True), ("seacloud", False), ("mixroute", False), ("token360", False), ("amux", False)],
)
async def test_a_provider_says_whether_its_result_bills(connect, preset: str, bills: bool) -> None:
    assert connect(preset).bills is bills


async def test_a_hanging_provider_is_a_timeout(connect, server, make_task) -> None:
    never = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await never.wait()
        raise AssertionError

    server.answers = [hang]

    seen = await connect("amux", timeout="50ms").poll(make_task())

    missed(seen, Miss.TIMEOUT)
    never.set()


async def test_a_dripping_body_is_a_timeout(connect, server, make_task) -> None:
    never = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"status": ')
        await never.wait()
        return response

    server.answers = [drip]

    missed(await connect("amux", timeout="100ms").poll(make_task()), Miss.TIMEOUT)
    never.set()


async def test_a_refused_connection_is_network_and_unsent(connect, server, make_task) -> None:
    probe = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()

    seen = await connect("amux", base_url=f"http://127.0.0.1:{port}").poll(make_task())

    assert missed(seen, Miss.NETWORK).unsent


async def test_cancelling_a_poll_cancels_it(connect, server, make_task) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        reached.set()
        await never.wait()
        raise AssertionError

    server.answers = [hang]
    polling = asyncio.create_task(connect("amux").poll(make_task()))
    await reached.wait()

    polling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await polling
    never.set()


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_past_max_bytes_is_too_large(connect, server, make_task, packed: bool) -> None:
    raw = json.dumps({"status": "completed", "pad": "x" * 3_000_000}).encode()
    body = gzip.compress(raw) if packed else raw
    headers = {"Content_Encoding": "gzip"} if packed else {}
    server.answers = [answer(body, **headers), answer(body, **headers)]

    seen = await connect("amux", max_bytes=1_000_000).poll(make_task())

    missed(seen, Miss.TOO_LARGE)


async def test_a_body_past_a_small_bound_is_asked_once_only(connect, server, make_task) -> None:
    server.answers = [answer({"status": "completed", "pad": "x" * 10_000})]

    missed(await connect("amux", max_bytes=5000).poll(make_task()), Miss.TOO_LARGE)

    assert len(server.asked) == 1


async def test_an_endless_error_page_is_told_by_its_status_and_asked_once(connect, server, make_task) -> None:
    server.answers = [answer(b"x" * 400_000, 503)]

    missed(await connect("amux").poll(make_task()), Miss.SERVER_ERROR)

    assert len(server.asked) == 1


async def test_a_data_uri_of_many_megabytes_becomes_an_inline_output(connect, server, make_task) -> None:
    content = bytes(range(256)) * 30_000
    body = {"task_id": "x", "status": "succeeded", "url": "data:video/mp4;base64," + base64.b64encode(content).decode()}
    server.answers = [answer(body), answer(body)]

    ended = succeeded(await connect("mixroute").poll(make_task("x")))

    (output,) = ended.outputs
    assert output.inline is not None
    assert output.inline.content == content
    assert len(json.dumps(ended.response.body)) < 1000
    assert ended.response.body["task_id"] == "x"  # type: ignore[index, call-overload]


PIXELS = bytes(range(256)) * 4 * 1024
URI = "data:Video/MP4;base64," + base64.b64encode(PIXELS).decode()


@pytest.mark.parametrize(
    ("raw", "outputs"),
    [
        (json.dumps({"status": "succeeded", "url": URI}), 1),
        (json.dumps({"status": "succeeded", "pad": "x" * 1_100_000, "url": URI, "end": [0] * 400_000}), 1),
        (json.dumps({"status": "succeeded", "url": [URI, URI]}), 2),
        (json.dumps({"status": "succeeded", "url": URI.replace("/", "%2F")}).replace("%2FMP4", "/MP4"), 1),
        (json.dumps({"status": "succeeded", "url": URI}).replace("/", "\\/"), 1),
        (json.dumps({"status": "succeeded", "note": 'a "quoted" ' + "A" * 1_500_000 + ' "word', "url": URI}), 1),
        (json.dumps({"status": "succeeded", "url": URI, "note": "A" * 1_048_576}), 1),
        (json.dumps({"url": URI, "n": [1] * 900_000, "status": "succeeded"}), 1),
    ],
    ids=["plain", "amid", "two", "percent", "escaped", "quoted", "base64", "numbers"],
)
async def test_long_inline_outputs_are_read_wherever_they_stand(
    connect, server, make_task, raw: str, outputs: int
) -> None:
    server.answers = [answer(raw.encode()), answer(raw.encode())]

    ended = succeeded(await connect("mixroute").poll(make_task("x")))

    told = [(output.inline and (output.inline.content, output.inline.content_type)) for output in ended.outputs]
    assert told == [(PIXELS, "video/mp4")] * outputs
    assert "left out" in str(ended.response.body["url"])  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    "raw", ["A" * 3_000_000, '"' + "A" * 3_000_000, '{"a": "' + "A" * 3_000_000, '"a"' + "A" * 3_000_000 + '"b"']
)
async def test_what_is_broken_round_long_bytes_is_no_news(connect, server, make_task, raw: str) -> None:
    server.answers = [answer(raw.encode()), answer(raw.encode())]

    missed(await connect("mixroute").poll(make_task("x")), Miss.UNREADABLE)


async def test_several_big_bodies_at_once_are_all_read(connect, server, make_task) -> None:
    body = json.dumps({"status": "succeeded", "url": "data:video/mp4;base64," + "A" * 8_000_000}).encode()
    server.answers = [answer(body) for _ in range(8)]
    provider = connect("mixroute")

    seen = await asyncio.gather(*(provider.poll(make_task(str(n))) for n in range(4)))

    assert [succeeded(one).outputs[0].kind for one in seen] == ["video"] * 4


async def test_a_success_without_url_names_the_authenticated_download(connect, server, make_task) -> None:
    server.answers = [answer({"status": "succeeded"}), answer({"status": "completed"}), answer({"status": "failed"})]

    sora = succeeded(await connect("mixroute").poll(make_task("a/b&c")))
    proxied = succeeded(await connect("amux").poll(make_task("a/b")))
    failed = await connect("amux").poll(make_task("a/b"))

    assert [(o.url, o.kind, o.needs_auth) for o in sora.outputs] == [
        (f"{server.url}/v1/video/generations/download?id=a%2Fb%26c", "video", True)
    ]
    assert [o.url for o in proxied.outputs] == [f"{server.url}/v1/videos/a%2Fb/content"]
    assert isinstance(failed, Ended)
    assert failed.outputs == ()


async def test_a_billing_result_is_never_sent_by_a_poll(connect, server, make_task) -> None:
    provider = connect("modelmax")
    for fetch_result, is_due in ((None, False), (False, False), (True, True)):
        server.answers = [answer({"status": "COMPLETED"})]

        ended = succeeded(await provider.poll(make_task("1", model="veo", fetch_result=fetch_result)))

        assert ended.result_due is is_due
    assert [path.endswith("/status") for path in server.asked] == [True, True, True]


async def test_a_result_is_sent_once_and_told_with_its_outputs(connect, server, make_task) -> None:
    server.answers = [answer({"status": "COMPLETED", "data": [{"url": "/v1/queue/veo/requests/1/content/0"}]})]

    ended = succeeded(await connect("modelmax").result(make_task("1", model="veo")))

    assert [(o.url, o.needs_auth) for o in ended.outputs] == [(f"{server.url}/v1/queue/veo/requests/1/content/0", True)]
    assert server.asked == ["/v1/queue/veo/requests/1"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (answer({"status": "IN_PROGRESS"}), Pending), (answer({}, 202), Pending), (answer({}, 502), Missed),
        (answer(b"<html>"), Missed), (answer({"status": "FAILED", "error": "x"}), Ended), (answer({"status": "HUH"}), Missed),
    ],
)  # fmt: skip
async def test_a_result_answer_is_ended_not_yet_or_no_news(connect, server, make_task, told, expected) -> None:
    server.answers = [told]

    assert isinstance(await connect("modelmax").result(make_task("1", model="veo")), expected)
    assert len(server.asked) == 1


async def test_a_result_that_never_left_says_so(connect, make_task) -> None:
    seen = await connect("modelmax").result(make_task("1"))

    assert missed(seen, Miss.UNCONFIGURED).unsent


async def test_a_dead_kept_connection_does_not_repeat_a_result(connect, server, make_task) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        raise asyncio.CancelledError

    server.answers = [answer({"status": "COMPLETED"}), cut, answer({"status": "COMPLETED", "data": [{"url": "/x"}]})]
    provider = connect("modelmax")
    await provider.poll(make_task("1", model="veo"))

    seen = await provider.result(make_task("1", model="veo"))

    assert not missed(seen, Miss.NETWORK).unsent
    assert len(server.asked) == 2


async def test_a_provider_without_a_result_request_says_so(connect, make_task) -> None:
    with pytest.raises(NoResult):
        await connect("amux").result(make_task())


async def test_a_free_result_is_fetched_in_the_same_poll(connect, server, make_task) -> None:
    outputs = [{"type": "image", "url": "https://cdn.example/1.png"}]
    server.answers = [answer({"status": "COMPLETED"}), answer({"request_id": "1", "outputs": outputs})]

    ended = succeeded(await connect("seacloud").poll(make_task("1", model="nano")))

    assert [o.url for o in ended.outputs] == ["https://cdn.example/1.png"]
    assert ended.response.body == {"request_id": "1", "outputs": outputs}
    assert server.asked == ["/v1/queue/nano/requests/1/status", "/v1/queue/nano/requests/1/response"]


@pytest.mark.parametrize(
    ("told", "http", "retry_after"),
    [
        (answer({"status": "IN_PROGRESS"}, 202), None, None), (answer({}, 504, Retry_After="4"), 504, 4.0),
        (answer({"detail": "Request not found"}, 404), 404, None), (answer(b"<html>"), 200, None),
        (answer({"request_id": "1"}), 200, None), (answer({}, 401), 401, None),
    ],
)  # fmt: skip
async def test_a_result_that_is_missing_keeps_the_known_end(
    connect, server, make_task, told, http, retry_after
) -> None:
    server.answers = [answer({"status": "COMPLETED"}), told]

    seen = missed(await connect("seacloud").poll(make_task("1", model="nano")), Miss.RESULT_MISSING)

    assert seen.known is not None
    assert seen.known.outcome is Status.SUCCEEDED
    assert (seen.http_status, seen.retry_after) == (http, retry_after)


async def test_a_result_that_says_failed_is_a_failure(connect, server, make_task) -> None:
    result = {"error": "blocked", "error_type": "CONTENT_BLOCKED"}
    server.answers = [answer({"status": "COMPLETED"}), answer(result)]

    seen = await connect("seacloud").poll(make_task("1", model="nano"))

    assert isinstance(seen, Ended)
    assert seen.outcome is Status.FAILED
    assert seen.error is not None
    assert seen.error.kind == "content_blocked"


async def test_a_result_not_wanted_or_a_failure_is_not_followed_by_a_second_request(connect, server, make_task) -> None:
    failure = {"status": "COMPLETED", "error": "x", "error_type": "CANCELED"}
    server.answers = [answer({"status": "COMPLETED"}), answer(failure)]
    provider = connect("seacloud")

    succeeded(await provider.poll(make_task("1", model="nano", fetch_result=False)))
    seen = await provider.poll(make_task("1", model="nano"))

    assert isinstance(seen, Ended)
    assert seen.outcome is Status.CANCELED
    assert len(server.asked) == 2


async def test_an_unknown_word_is_logged_once_and_kept(connect, server, make_task, logged) -> None:
    server.answers = [answer({"status": word}) for word in ("sleeping", "sleeping", "dreaming")]
    provider: HttpProvider = connect("amux")

    for _ in range(3):
        missed(await provider.poll(make_task()), Miss.UNKNOWN_WORD)

    assert [(line["event"], line["lane"], line["word"]) for line in logged] == [
        ("provider.unknown_word", "lane", "sleeping"),
        ("provider.unknown_word", "lane", "dreaming"),
    ]
    assert provider.unknown_words == ("sleeping", "dreaming")


async def test_only_the_last_20_unknown_words_are_kept(connect, server, make_task) -> None:
    server.answers = [answer({"status": f"w{n}"}) for n in range(25)]
    provider: HttpProvider = connect("amux")

    for _ in range(25):
        await provider.poll(make_task())

    assert provider.unknown_words == tuple(f"w{n}" for n in range(5, 25))


async def test_a_key_that_the_provider_echoes_is_masked(connect, server, make_task) -> None:
    server.answers = [answer({"status": "completed", "url": f"https://cdn.example/?k={KEY}", "you": f"Bearer {KEY}"})]

    ended = succeeded(await connect("amux").poll(make_task()))

    assert ended.response.body["you"] == "Bearer [redacted]"  # type: ignore[index, call-overload]


async def test_auth_follows_the_lane(connect: Callable[..., HttpProvider], server, make_task) -> None:
    server.answers = [answer({"status": "IN_QUEUE"})]

    await connect("seacloud", auth={"format": "Key {key}"}).poll(make_task("1", model="nano"))

    assert server.authorized == [f"Key {KEY}"]


async def test_a_closed_session_is_a_bug_not_weather(connect, session: aiohttp.ClientSession, make_task) -> None:
    provider = connect("amux")
    await session.close()

    with pytest.raises(RuntimeError):
        await provider.poll(make_task())


async def test_an_answer_that_cannot_be_read_is_told_by_its_shape_and_logged_once(
    connect, server, make_task, logged
) -> None:
    server.answers = [answer({"state": secret, "n": n}) for n, secret in enumerate(("private", "words", "here"))]
    provider: HttpProvider = connect("amux")

    for _ in range(3):
        missed(await provider.poll(make_task()), Miss.UNREADABLE)

    assert provider.reading_troubles == (
        "HTTP 200 without a status word; the body is {state: text, n: integer}",
    )  # fmt: skip
    assert [(line["event"], line["shape"]) for line in logged] == [("provider.unreadable", "{state: text, n: integer}")]


async def test_only_the_last_5_reading_troubles_are_kept(connect, server, make_task) -> None:
    server.answers = [answer({"code": 1}, status=http) for http in (200, 201, 202, 203, 206, 207, 208)]
    provider: HttpProvider = connect("amux")

    for _ in range(7):
        await provider.poll(make_task())

    assert [told[5:8] for told in provider.reading_troubles] == ["202", "203", "206", "207", "208"]
