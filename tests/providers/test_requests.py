"""The request side of the language: auth schemes, templates, variables and origins, against a server on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.core.errors import HostNotAllowed, InvalidRegistration
from daemon.core.observation import Ended, Missed, Pending
from daemon.core.record import Application
from daemon.core.task import LaneName, Miss, Task
from daemon.providers.admission import admit
from daemon.providers.catalog import Catalog
from daemon.providers.client import HttpProvider
from daemon.providers.credential import Proof
from daemon.providers.mistakes import DefinitionError
from daemon.providers.request import Requests
from daemon.providers.template import Unbuildable
from daemon.providers.tokens import Token

KEY = "sk-very-secret-0123456789"
WORDS = {"running": ["busy"], "succeeded": ["done"], "failed": ["broken"]}
CATALOG = Catalog()


class Clock:
    """Wall-clock seconds that a test moves."""

    def __init__(self) -> None:
        self.at = 1_750_000_000.0

    def __call__(self) -> float:
        return self.at


class Heard:
    """What a server on loopback was sent, and the bodies it answers with, one after the other."""

    def __init__(self, server: object) -> None:
        self.server = server
        self.requests: list[tuple[str, str, dict[str, str], str]] = []

    def answer(self, *bodies: object, status: int = 200) -> None:
        async def told(body: object, request: web.Request) -> web.StreamResponse:
            raw = (await request.content.read()).decode()
            self.requests.append((request.method, request.raw_path, dict(request.headers), raw))
            code, body = body if isinstance(body, tuple) else (status, body)
            return web.json_response(body, status=code)

        def made(body: object) -> Callable[[web.Request], object]:
            return lambda request: told(body, request)

        self.server.answers += [made(body) for body in bodies]  # type: ignore[attr-defined]

    @property
    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.requests]


@pytest.fixture
def heard(server) -> Heard:
    return Heard(server)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lane(server, session, lean, clock) -> Callable[..., HttpProvider]:
    def made(request: str = "GET /t/{id}", **table: object) -> HttpProvider:
        status = {"request": request, "state": "state", "states": WORDS} | table.pop("status", {})  # type: ignore[operator]
        given = {"base_url": server.url, "api_key": KEY, "timeout": 5, "status": status} | table
        return HttpProvider(CATALOG.account("mine", given), session, clock, lean=lean)

    return made


def refused(**table: object) -> str:
    status = {"request": "GET /t/{id}", "state": "state", "states": WORDS} | table.pop("status", {})  # type: ignore[operator]
    with pytest.raises(DefinitionError) as caught:
        CATALOG.account("mine", {"base_url": "https://a.example", "api_key": KEY, "status": status} | table)
    return str(caught.value)


BUSY = {"state": "busy"}


async def test_a_key_in_the_query_is_sent_and_shown_nowhere(lane, heard, make_task, logged) -> None:
    provider = lane(auth={"scheme": "query", "parameter": "api key".replace(" ", "_")})
    heard.answer(BUSY, {"state": f"what of {KEY}"}, (500, {"error": KEY}))

    seen = [await provider.poll(make_task("a")) for _ in range(3)]

    assert heard.paths == [f"/t/a?api_key={KEY}"] * 3
    assert isinstance(seen[0], Pending)
    assert KEY not in repr(seen) + repr(logged) + repr(provider.unknown_words)
    assert "Authorization" not in heard.requests[0][2]


async def test_a_relative_output_holds_no_key_of_the_query(lane, heard, make_task) -> None:
    fields = {"outputs": [{"path": "url", "needs_auth": True}]}
    provider = lane(auth={"scheme": "query"}, status={"fields": fields})
    heard.answer({"state": "done", "url": "#x"}, {"state": "done", "url": "/f"})

    seen = [await provider.poll(make_task("a")) for _ in range(2)]

    assert KEY not in repr(seen)


async def test_a_callers_key_in_a_status_url_is_replaced(lane, heard, make_task, server) -> None:
    provider = lane(auth={"scheme": "query"})
    heard.answer(BUSY)
    told = provider.admit(
        Application(provider="mine", remote_id="a", status_url=server.url + "/other?x=1&key=sk-callers-own")
    )

    await provider.poll(make_task("a", status_url=told.status_url))

    assert "callers" not in str(told.status_url)
    assert heard.paths == [f"/other?x=1&key={KEY}"]


def jwt(told: str) -> tuple[dict[str, object], dict[str, object], bool]:
    head, claims, seal = told.removeprefix("Bearer ").split(".")
    wanted = hmac.new(b"hush-hush", f"{head}.{claims}".encode(), hashlib.sha256).digest()
    parts = [base64.urlsafe_b64decode(part + "==") for part in (head, claims, seal)]
    return json.loads(parts[0]), json.loads(parts[1]), parts[2] == wanted


async def test_a_jwt_is_minted_kept_and_minted_anew_a_minute_before_it_ends(lane, heard, make_task, clock) -> None:
    provider = lane(auth={"scheme": "jwt-hs256"}, api_key="access-1:hush-hush")
    heard.answer(BUSY, BUSY, BUSY)
    start = int(clock.at)

    await provider.poll(make_task())
    clock.at += 1739
    await provider.poll(make_task())
    clock.at += 1
    await provider.poll(make_task())

    sent = [headers["Authorization"] for _, _, headers, _ in heard.requests]
    assert jwt(sent[0]) == (
        {"alg": "HS256", "typ": "JWT"},
        {"iss": "access-1", "exp": start + 1800, "nbf": start - 5},
        True,
    )
    assert sent[0] == sent[1] != sent[2]
    assert jwt(sent[2])[1]["exp"] == start + 1740 + 1800


async def test_a_minted_token_is_masked_in_whatever_comes_back(lane, heard, make_task) -> None:
    provider = lane(auth={"scheme": "jwt-hs256"}, api_key="access-1:hush-hush")

    async def echo(request: web.Request) -> web.StreamResponse:
        return web.json_response({"state": "done", "said": request.headers["Authorization"][7:], "key": "hush-hush"})

    heard.server.answers = [echo]

    seen = await provider.poll(make_task())

    assert isinstance(seen, Ended)
    assert "eyJ" not in repr(seen)
    assert "hush-hush" not in repr(seen)


async def test_a_token_file_is_read_again_when_it_changes(lane, heard, make_task, clock, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first-token\n")
    provider = lane(auth={"scheme": "token-file", "path": str(file)}, api_key="")
    heard.answer(BUSY, BUSY, BUSY)

    await provider.poll(make_task())
    file.write_text("second-token")
    os.utime(file, ns=(1, 1))
    await provider.poll(make_task())
    clock.at += 1
    await provider.poll(make_task())

    sent = [headers["Authorization"] for _, _, headers, _ in heard.requests]
    assert sent == ["Bearer first-token", "Bearer first-token", "Bearer second-token"]


async def test_a_token_file_is_read_every_minute_whatever_its_time_says(
    lane, heard, make_task, clock, tmp_path
) -> None:
    file = tmp_path / "token"
    provider = lane(auth={"scheme": "token-file", "path": str(file)}, api_key="")
    heard.answer(BUSY, BUSY, BUSY)

    for text, later in (("one-token", 0), ("two-token", 30), ("two-token", 31)):
        file.write_text(text)
        os.utime(file, ns=(7, 7))
        clock.at += later
        await provider.poll(make_task())

    assert [each[2]["Authorization"][7:] for each in heard.requests] == ["one-token", "one-token", "two-token"]


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff\xfe", b"x" * 20_000])
async def test_without_a_token_nothing_is_sent(lane, heard, make_task, tmp_path, content) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    provider = lane(auth={"scheme": "token-file", "path": str(file)}, api_key="")

    seen = await provider.poll(make_task())

    assert isinstance(seen, Missed)
    assert (seen.miss, seen.unsent) == (Miss.UNCONFIGURED, True)
    assert str(file) in seen.detail
    assert heard.requests == []


def command(code: str, *more: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, *more]


async def test_a_command_is_run_once_for_its_ttl_and_without_a_shell(lane, heard, make_task, clock, tmp_path) -> None:
    counted = tmp_path / "count"
    code = "import sys; open(sys.argv[1], 'a').write('x'); print('token-' + sys.argv[2])"
    auth = {"scheme": "token-command", "command": command(code, str(counted), "$HOME;|"), "ttl": "10m"}
    provider = lane(auth=auth, api_key="")
    heard.answer(BUSY, BUSY, BUSY)

    await provider.poll(make_task())
    clock.at += 599
    await provider.poll(make_task())
    clock.at += 1
    await provider.poll(make_task())

    assert [each[2]["Authorization"] for each in heard.requests] == ["Bearer token-$HOME;|"] * 3
    assert counted.read_text() == "xx"


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (command("import sys; print('hidden-token'); sys.exit(3)"), "ended with exit code 3"),
        (["/nowhere/at/all"], "the token command all cannot be started"),
        (command("print('')"), "holds no token"),
        (command("print('x' * 100_000)"), "token command"),
    ],
)
async def test_a_command_that_fails_is_no_news_and_not_run_again_at_once(
    lane, heard, make_task, logged, argv, told
) -> None:
    provider = lane(auth={"scheme": "token-command", "command": argv}, api_key="")

    first, second = await provider.poll(make_task()), await provider.poll(make_task())

    assert isinstance(first, Missed)
    assert first == second
    assert first.miss is Miss.UNCONFIGURED
    assert told in first.detail
    assert "hidden-token" not in repr(first) + repr(logged)
    assert heard.requests == []


async def test_a_refused_token_is_fetched_afresh_once(lane, heard, make_task, clock, tmp_path) -> None:
    code = "import sys; f = open(sys.argv[1], 'a'); f.write('x'); print('token-number-%d' % f.tell())"
    auth = {"scheme": "token-command", "command": command(code, str(tmp_path / "n")), "ttl": "1h"}
    provider = lane(auth=auth, api_key="")
    heard.answer(BUSY, (401, {}), BUSY, (401, {}))

    await provider.poll(make_task())
    clock.at += 11
    renewed = await provider.poll(make_task())
    refused_still = await provider.poll(make_task())

    sent = [each[2]["Authorization"][7:] for each in heard.requests]
    assert sent == ["token-number-1", "token-number-1", "token-number-2", "token-number-2"]
    assert isinstance(renewed, Pending)
    assert isinstance(refused_still, Missed)
    assert refused_still.miss is Miss.UNAUTHORIZED


async def test_headers_hold_variables_and_a_uuid_that_is_new_each_time(lane, heard, make_task) -> None:
    provider = lane(
        headers={"X-Version": "2024-11-06", "X-Request": "r-{uuid}"},
        variables={"project": "p1"},
        status={"headers": {"X-Project": "{project}"}},
    )
    heard.answer(BUSY, BUSY)

    await provider.poll(make_task())
    await provider.poll(make_task())

    first, second = (headers for _, _, headers, _ in heard.requests)
    assert (first["X-Version"], first["X-Project"], first["Authorization"]) == ("2024-11-06", "p1", f"Bearer {KEY}")
    assert first["X-Request"] != second["X-Request"]
    assert len(first["X-Request"]) == 38


async def test_a_body_is_sent_as_json_with_its_variables(lane, heard, make_task) -> None:
    body = {"operationName": "{id}", "deep": [{"kind": "{kind}", "n": 1}], "flag": True}
    provider = lane("POST /m/{model}:fetch", params=["kind"], status={"body": body})
    heard.answer(BUSY)

    await provider.poll(make_task('a"b/ü', model="veo", params=(("kind", "x\ny"),)))

    (method, path, headers, raw) = heard.requests[0]
    assert (method, path, headers["Content-Type"]) == ("POST", "/m/veo:fetch", "application/json")
    assert json.loads(raw) == {"operationName": 'a"b/ü', "deep": [{"kind": "x\ny", "n": 1}], "flag": True}


async def test_a_query_table_is_encoded(lane, heard, make_task) -> None:
    query = {"task_id": "{id}", "n": 1, "on": True, "many": ["{model}", "b"]}
    provider = lane("GET /q?v=2", variables={"model": "m1"}, status={"query": query})
    heard.answer(BUSY)

    await provider.poll(make_task("a&b=c/ d+"))

    assert heard.paths == ["/q?v=2&task_id=a%26b%3Dc%2F%20d%2B&n=1&on=true&many=m1&many=b"]


async def test_a_raw_id_keeps_its_slashes(lane, heard, make_task) -> None:
    heard.answer(BUSY)

    await lane("GET /v1beta/{+id}").poll(make_task("models/veo-3/operations/x:y"))

    assert heard.paths == ["/v1beta/models/veo-3/operations/x:y"]


async def test_a_raw_id_cannot_reach_a_result_that_bills(lane, heard, make_task) -> None:
    provider = lane("GET /{+id}", result={"request": "GET /{+id}/result", "when": "asked", "outputs": "url"})

    seen = await provider.poll(make_task("jobs/1/result"))

    assert isinstance(seen, Missed)
    assert seen.miss is Miss.UNCONFIGURED
    assert heard.requests == []


def test_a_base_url_takes_the_lanes_variables_and_no_registrations() -> None:
    base = "https://{location}-api.example.com/v1/projects/{project}"
    table = {
        "base_url": base,
        "api_key": KEY,
        "variables": {"location": "us-central1", "project": "my/p"},
        "status": {"request": "GET /t/{id}", "state": "s", "states": WORDS},
    }
    requests = Requests(CATALOG.account("mine", table), lambda: 0.0)

    built = requests.status(task_of("1", params=(("location", "evil"), ("project", "evil"))))

    assert str(built.url) == "https://us-central1-api.example.com/v1/projects/my%2Fp/t/1"


@pytest.mark.parametrize("value", ["evil.example/", "evil.example#", "u@evil.example", "a b", "", "x:1@", "..", "a\\b"])
def test_a_variable_in_a_base_urls_host_is_letters_digits_and_dots(value: str) -> None:
    told = refused(base_url="https://{location}-api.example.com", variables={"location": value})

    assert "variables.location" in told


def test_a_base_url_whose_variable_nobody_set_is_told() -> None:
    assert "needs variables.location" in refused(base_url="https://{location}-api.example.com")


def task_of(remote_id: str, **fields: object) -> Task:
    values = {"id": "tsk_1", "provider": LaneName("mine"), "remote_id": remote_id, "model": None, "updated_at": 0.0,
              "born": 0.0, "deadline": 1e9, "next_at": 0.0}  # fmt: skip
    return Task(**(values | fields))  # type: ignore[arg-type]


BY_URL = {
    "base_url": "https://api.bfl.ai",
    "hosts": ["*.bfl.ai"],
    "api_key": KEY,
    "submission": {"id": "id", "status_url": "polling_url", "use": "status_url"},
    "status": {"request": "GET /v1/get_result", "query": {"id": "{id}"}, "state": "status", "states": WORDS},
}


def test_a_status_url_that_cannot_be_made_is_kept_verbatim_and_needed() -> None:
    requests = Requests(CATALOG.account("bfl", BY_URL), lambda: 0.0)
    url = "https://api.us1.bfl.ai/v1/get_result?id=abc%2B"

    told = admit(requests, Application(provider="bfl", submission={"id": "abc+", "polling_url": url}))
    home = admit(requests, Application(provider="bfl", status_url="https://api.bfl.ai/v1/get_result?id=abc"))
    with pytest.raises(InvalidRegistration) as caught:
        admit(requests, Application(provider="bfl", remote_id="abc"))
    with pytest.raises(HostNotAllowed):
        admit(requests, Application(provider="bfl", remote_id="abc", status_url="https://api.bfl.ai.evil.test/x"))

    assert (told.status_url, told.remote_id) == (url, "abc+")
    assert (home.status_url, home.remote_id) == ("https://api.bfl.ai/v1/get_result?id=abc", "abc")
    assert "`polling_url`" in caught.value.errors[0].message


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"status": {"request": "GET /t/{id}/{kidn}"}, "params": ["kind"]}, 'status.request: unknown variable {kidn}; did you mean "kind"?'),
        ({"status": {"query": {"a": "{nope}"}}}, "status.query: unknown variable {nope}"),
        ({"status": {"request": "POST /t/{id}", "body": {"a": ["{nope}"]}}}, "status.body: unknown variable {nope}"),
        ({"headers": {"X-A": "{nope}"}}, "headers: unknown variable {nope}"),
        ({"status": {"headers": {"X-A": "{key}"}}}, "the key travels by [auth] only"),
        ({"status": {"request": "GET /t/{item}"}}, "status.request: unknown variable {item}"),
        ({"result": {"request": "GET /f/{file}"}}, "result.request: unknown variable {file}"),
        ({"fallback": {"url": "/f/{file}"}}, "fallback.url: unknown variable {file}"),
        ({"status": {"body": {"a": "b"}}}, "a body is sent with POST only"),
        ({"status": {"request": "PUT /t/{id}"}}, "GET or POST"),
        ({"status": {"request": "GET /t?x={+id}"}}, "stands in a path only"),
        ({"status": {"request": "GET /t/{id}?x=1", "query": {"x": "2"}}}, "stands in request and in query"),
        ({"status": {"headers": {"Host": "x"}}}, "belongs to the connection"),
        ({"headers": {"authorization": "x"}}, "headers.Authorization: is the header in which [auth]"),
        ({"variables": {"id": "x"}}, "variables.id: {id} has a meaning of its own"),
        ({"params": ["uuid"]}, "params.uuid"),
        ({"auth": {"ttl": "5m"}}, 'ttl belongs to scheme = "token-command"'),
        ({"auth": {"scheme": "token-file"}}, "needs path"),
        ({"auth": {"scheme": "token-command"}}, "needs command"),
        ({"auth": {"scheme": "jwt-hs256"}}, '"ACCESS:SECRET"'),
        ({"auth": {"scheme": "jwt-hs256", "claims": {"iss": "x"}}}, "claims needs exp"),
        ({"auth": {"scheme": "jwt-hs256", "claims": {"exp": "{now+9}", "iss": "{secret}"}}}, "claims.iss may hold"),
        ({"result": {"request": "GET /f/{id}", "each": "a[]"}}, "each needs {item}"),
        ({"result": {"request": "POST /f/{id}", "kind": "link"}}, "names a URL for others to GET"),
        ({"batch": {"request": "GET /t/{id}", "items": "data"}}, "several are {ids}"),
        ({"batch": {"request": "GET /t", "items": "data", "same": ["kind"]}}, "batch.same: unknown variable {kind}"),
        ({"batch": {"request": "GET /t", "item": "data"}}, 'unknown key "batch.item"; did you mean "items"?'),
        ({"submission": {"use": "status_url"}}, "submission.use"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_request_names_its_table_and_key(table: dict, told: str) -> None:
    assert told in refused(**table)


def test_a_mistake_that_shows_only_in_the_whole_tells_its_path() -> None:
    with pytest.raises(DefinitionError) as caught:
        CATALOG.account("amux", {"api_key": KEY, "result": {"request": "GET /{nope}"}})

    assert caught.value.faults[0][1] == ("result", "request")


TEXT = st.text(max_size=12) | st.sampled_from(
    ["..", "/", "//evil.example", "?a=b", "#x", "a/../b", "@", "\\", "%2e%2e", KEY]
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(remote_id=TEXT, model=TEXT, kind=TEXT, location=TEXT)
def test_no_variable_changes_origin_path_or_parameters(remote_id: str, model: str, kind: str, location: str) -> None:
    table = {
        "base_url": "https://{location}.example.com/base",
        "api_key": KEY,
        "variables": {"location": "eu"},
        "params": ["kind"],
        "status": {
            "request": "POST /t/{kind}/{model}",
            "query": {"id": "{id}"},
            "body": {"id": "{id}"},
            "headers": {"X-Kind": "{kind}"},
            "state": "s",
            "states": WORDS,
        },
    }
    requests = Requests(CATALOG.account("mine", table), lambda: 0.0)
    params = (("kind", kind), ("location", location), ("uuid", location))

    try:
        built = requests.status(task_of(remote_id, model=model, params=params))
    except Unbuildable:
        return

    assert (built.url.scheme, built.url.host, built.url.raw_path.count("/")) == ("https", "eu.example.com", 4)
    assert list(built.url.query.items()) == [("id", remote_id)]
    assert not built.url.raw_fragment
    assert json.loads(built.body or b"") == {"id": remote_id}
    assert "\n" not in built.headers["X-Kind"]


async def test_a_failing_command_is_left_in_peace_for_five_seconds(lane, make_task, clock, tmp_path: Path) -> None:
    counted = tmp_path / "count"
    code = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit(1)"
    provider = lane(auth={"scheme": "token-command", "command": command(code, str(counted))}, api_key="")

    for later in (0.0, 4.0, 1.0):
        clock.at += later
        await provider.poll(make_task())

    assert counted.read_text() == "xx"


def test_neither_proof_nor_token_nor_request_shows_what_it_holds() -> None:
    account = CATALOG.account("amux", {"api_key": KEY, "auth": {"scheme": "query"}})
    header = CATALOG.account("amux", {"api_key": KEY})

    shown = [
        Proof(headers={"Authorization": KEY}, query=f"key={KEY}"),
        Token(KEY, 1.0),
        Requests(account, lambda: 0.0).status(task_of("1")),
        Requests(header, lambda: 0.0).status(task_of("1")),
        account,
    ]

    assert KEY not in repr(shown)
