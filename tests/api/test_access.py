import asyncio
import re

import pytest

from daemon.api.access import Access, digest_of

BASE = b'{"provider":"amux","remote_id":"abcd"}'
SECURITY = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Server": "pollhook"}


def _get(path, *lines, version="1.1"):
    return "\r\n".join([f"GET {path} HTTP/{version}", *lines, "Connection: close", "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    "host",
    [
        "localhost.evil.com",
        "localhost.evil.com:{port}",
        "127.0.0.1.nip.io:{port}",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:1",
        "evil.com:{port}",
        "0.0.0.0:{port}",
        "127.1:{port}",
        "127.0.0.1:{port}.",
        "localhost.:{port}",
        "[::1%25lo]:{port}",
        "2130706433:{port}",
        "[::ffff:127.0.0.1]:{port}",
        "127.0.0.1:0{port}",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/v1/tasks", "/healthz", "/metrics", "/nowhere"])
async def test_another_host_is_misdirected_on_every_path(api, host, path):
    line = f"Host: {host.format(port=api.port)}"

    status, answer = await api.raw(_get(path, line, f"Authorization: Bearer {api.token}"), until_closed=True)

    assert status == 421
    assert b'"code":"misdirected"' in answer


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "[::1]:{port}", "localhost:{port}", "LOCALHOST:{port}"])
async def test_our_own_names_are_answered(api, host):
    status, _ = await api.raw(_get("/healthz", f"Host: {host.format(port=api.port)}"), until_closed=True)

    assert status == 200


async def test_a_further_host_may_be_allowed_exactly(serve):
    api = await serve(hosts=["Pollhook.internal:9000"])

    good, _ = await api.raw(_get("/healthz", "Host: pollhook.internal:9000"), until_closed=True)
    bad, _ = await api.raw(_get("/healthz", "Host: pollhook.internal"), until_closed=True)

    assert (good, bad) == (200, 421)


async def test_two_hosts_or_none_are_refused(api):
    ours = f"Host: 127.0.0.1:{api.port}"

    doubled, answer = await api.raw(_get("/healthz", ours, "Host: evil.com"), until_closed=True)
    twice_ours, _ = await api.raw(_get("/healthz", ours, ours), until_closed=True)
    missing, _ = await api.raw(_get("/healthz"), until_closed=True)
    old, _ = await api.raw(_get("/healthz", version="1.0"), until_closed=True)

    assert (doubled, twice_ours, missing, old) == (421, 421, 421, 421)
    assert b"application/problem+json" in answer
    assert b'"code":"misdirected"' in answer


async def test_a_target_in_absolute_form_must_agree_with_the_host(api):
    ours = f"127.0.0.1:{api.port}"

    good, _ = await api.raw(_get(f"http://{ours}/healthz", f"Host: {ours}"), until_closed=True)
    bad, _ = await api.raw(_get("http://evil.com/healthz", f"Host: {ours}"), until_closed=True)
    worse, _ = await api.raw(_get(f"http://{ours}@evil.com/healthz", f"Host: {ours}"), until_closed=True)

    assert (good, bad, worse) == (200, 421, 421)


@pytest.mark.parametrize(
    "line",
    [
        "Origin: null",
        "Origin: http://127.0.0.1:8710",
        "Origin: ",
        "Referer: http://localhost/",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: same-origin",
    ],
)
async def test_whatever_a_browser_adds_is_refused(api, line):
    head = [f"Host: 127.0.0.1:{api.port}", f"Authorization: Bearer {api.token}", line]

    status, answer = await api.raw(_get("/v1/tasks", *head), until_closed=True)

    assert status == 403
    assert b"access-control" not in answer.lower()


async def test_an_address_typed_into_a_browser_is_no_attack(api):
    assert (await api.call("GET", "/healthz", headers={"Sec-Fetch-Site": "none"}))[0] == 200


async def test_a_preflight_gets_no_leave(api):
    asked = {"Access-Control-Request-Method": "POST"}

    status, problem, headers = await api.call("OPTIONS", "/v1/tasks", headers=asked)
    browser, _, _ = await api.call("OPTIONS", "/v1/tasks", headers=asked | {"Origin": "http://evil.com"})

    assert (status, problem["code"], browser) == (405, "method_not_allowed", 403)
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Bearer t0ken-of-the-test", "Bearer t0ken-of-the-testss",
     "Basic t0ken-of-the-tests", "t0ken-of-the-tests", "Bearer  t0ken-of-the-tests", "Bearer T0KEN-OF-THE-TESTS"],
)  # fmt: skip
async def test_a_missing_and_a_wrong_token_get_the_same_answer(api, authorization):
    status, problem, headers = await api.call("GET", "/v1/tasks", headers={"Authorization": authorization})

    _, missing, _ = await api.call("GET", "/v1/tasks", headers={"Authorization": None})
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert problem == missing
    assert api.denied == ["unauthorized"] * 2


async def test_the_scheme_is_read_in_any_case(api):
    assert (await api.call("GET", "/v1/tasks", headers={"Authorization": f"bEARER {api.token}"}))[0] == 200


@pytest.mark.parametrize("name", ["token", "access_token"])
async def test_a_token_in_the_query_counts_for_nothing(api, name):
    path = f"/v1/tasks?{name}={api.token}"

    without, _, _ = await api.call("GET", path, headers={"Authorization": None})
    beside, _, _ = await api.call("GET", path)

    assert (without, beside) == (401, 422)


async def test_failed_authentication_is_slowed_more_each_time_and_success_is_not(api):
    for _ in range(6):
        await api.call("GET", "/v1/tasks", headers={"Authorization": "Bearer no"})
    await api.call("GET", "/v1/tasks")

    assert api.pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0]


def test_failures_are_forgotten_after_a_calm_minute_and_beyond_a_thousand_peers():
    moment = [0.0]
    failures = Access(digest_of("x"), now=lambda: moment[0])._failures
    failures.delay("a")
    failures.delay("a")

    moment[0] = 61.0
    assert failures.delay("a") == 0.05
    for number in range(2000):
        failures.delay(str(number))
    assert len(failures._seen) == 1024


async def test_unknown_paths_need_the_token_too(api):
    without, _, _ = await api.call("GET", "/nowhere", headers={"Authorization": None})
    with_token, problem, _ = await api.call("GET", "/nowhere")

    assert (without, with_token, problem["code"]) == (401, 404, "not_found")


async def test_health_needs_no_token_and_metrics_do_unless_opened(serve):
    closed, opened = await serve(), await serve(open_metrics=True)
    bare = {"Authorization": None}

    assert (await closed.call("GET", "/healthz", headers=bare))[:2] == (200, {"status": "ok"})
    assert (await closed.call("GET", "/readyz", headers=bare))[:2] == (200, {"status": "ok"})
    assert (await closed.call("GET", "/metrics", headers=bare))[0] == 401
    assert (await closed.call("GET", "/metrics"))[1] == b"pollhook_tasks 1\n"
    assert (await opened.call("GET", "/metrics", headers=bare))[0] == 200


async def test_not_ready_is_503_and_still_alive(api):
    api.is_ready = False

    status, problem, _ = await api.call("GET", "/readyz")

    assert (status, problem["code"]) == (503, "not_ready")
    assert (await api.call("GET", "/healthz"))[0] == 200


async def test_without_a_token_configured_none_is_asked_but_the_other_rules_hold(serve):
    api = await serve(token=None)
    bare = {"Authorization": None}

    assert (await api.call("GET", "/v1/tasks", headers=bare))[0] == 200
    assert (await api.call("GET", "/v1/tasks", headers=bare | {"Origin": "null"}))[0] == 403
    assert (await api.call("GET", "/v1/tasks", headers=bare | {"Host": "evil.com"}))[0] == 421


@pytest.mark.parametrize("headers", [{"webhook-id": "msg_1"}, {"User-Agent": "pollhook/0.1.0"}])
async def test_our_own_webhooks_are_turned_away(api, headers):
    status, problem, _ = await api.call("POST", "/v1/tasks", data=BASE, headers=headers)

    assert (status, problem["code"]) == (508, "loop")


async def test_our_own_command_line_is_welcome(api):
    assert (await api.call("GET", "/v1/tasks", headers={"User-Agent": "pollhook-cli/0.1.0"}))[0] == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/healthz"), ("GET", "/nowhere"), ("PATCH", "/v1/tasks"), ("GET", "/metrics")]
)
async def test_every_answer_carries_the_security_headers(api, method, path):
    _, _, headers = await api.call(method, path)

    assert {name: headers[name] for name in SECURITY} == SECURITY
    assert headers["Content-Security-Policy"] == "default-src 'none'"


async def test_headers_past_16_kib_are_refused(api):
    ours = [f"Host: 127.0.0.1:{api.port}", f"Authorization: Bearer {api.token}"]

    three, _ = await api.raw(_get("/v1/tasks", *ours, *(f"X-{n}: {'x' * 6000}" for n in range(3))), until_closed=True)
    one, answer = await api.raw(_get("/v1/tasks", *ours, f"X-Long: {'x' * 9000}"), until_closed=True)
    many, _ = await api.raw(_get("/v1/tasks", *ours, *(f"X-{n}: x" for n in range(100))), until_closed=True)

    assert three == 431
    assert one in (400, 431)
    assert many in (400, 431)
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"nonsense nonsense\r\n\r\n"])
async def test_what_is_no_http_gets_a_problem_and_is_closed(api, garbage):
    status, answer = await api.raw(garbage + b"\r\n\r\n", until_closed=True)

    assert status == 400
    assert b'"code":"bad_request"' in answer
    assert b"aiohttp" not in answer


async def test_a_method_that_is_not_allowed_names_those_that_are(api):
    status, problem, headers = await api.call("PATCH", "/v1/tasks")

    assert (status, problem["code"]) == (405, "method_not_allowed")
    assert headers["Allow"] == "GET, HEAD, POST"


async def test_a_head_is_a_get_without_its_body(api):
    status, body, _ = await api.call("HEAD", "/v1/tasks")

    assert (status, body) == (200, b"")


def test_the_token_can_be_replaced():
    access = Access(digest_of("old"))

    access.replace_token(digest_of("new"))

    assert access._is_token("Bearer new")
    assert not access._is_token("Bearer old")


async def test_what_was_let_in_once_is_let_in_by_the_very_same_headers_alone(api):
    host = f"Host: 127.0.0.1:{api.port}"
    good = f"GET /v1/tasks HTTP/1.1\r\n{host}\r\nAuthorization: Bearer {api.token}\r\n\r\n"
    bare = f"GET /v1/tasks HTTP/1.1\r\n{host}\r\n\r\n"
    foreign = good.replace("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)

    found = []
    for request in (good, good, bare, good, foreign, good.replace(f":{api.port}", ":1"), good):
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        found.append(int(head.split()[1]))
        await reader.readexactly(int(re.search(r"(?i)content-length: (\d+)", head)[1]))
    writer.close()

    assert found == [200, 200, 401, 200, 403, 421, 200]
