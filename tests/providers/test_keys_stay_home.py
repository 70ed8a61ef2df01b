"""The key goes to no host outside the definition, on real sockets: whatever names another host, it never hears it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from daemon.core.errors import HostNotAllowed, InvalidRegistration
from daemon.core.observation import Ended, Missed
from daemon.core.record import Application
from daemon.providers.admission import admit
from daemon.providers.catalog import Catalog
from daemon.providers.client import HttpProvider
from daemon.providers.request import Requests

KEY = "sk-home-0123456789abcdef"
CATALOG = Catalog()


@dataclass
class Stranger:
    """A server that no definition names, and all that it ever heard."""

    url: str = ""
    heard: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.content.read()
        self.heard.append(f"{request.method} {request.raw_path} {dict(request.headers)} {body!r}")
        return web.json_response({"state": "done", "url": "https://c.example/v"})


@pytest.fixture
async def stranger() -> AsyncIterator[Stranger]:
    made = Stranger()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def lane(server, session, scheme: str = "header", **more: object) -> HttpProvider:
    status = {"request": "GET /t/{id}", "state": "state", "states": {"running": "busy", "succeeded": "done"}}
    status["fields"] = {"outputs": {"path": "url", "needs_auth": True}}
    table = {"base_url": server.url, "api_key": KEY, "timeout": 5, "auth": {"scheme": scheme}, "status": status}
    return HttpProvider(CATALOG.account("mine", table | more), session, lambda: 1.75e9)


def links(stranger: Stranger, home: str) -> list[str]:
    far, near = stranger.url.removeprefix("http:"), home.removeprefix("http://")
    return [
        f"{stranger.url}/t/1",
        f"{far}/t/1",
        f"http://{near}@{far.removeprefix('//')}/t/1",
        f"{stranger.url}\\@{near}/t/1",
        f"\\\\{far.removeprefix('//')}\\t",
        f"{home}.evil.example/t/1",
        f"/..{far}/t/1",
        f" {stranger.url}/t/1",
    ]


@pytest.mark.parametrize("scheme", ["header", "query"])
@pytest.mark.parametrize("place", ["status_url", "submission", "stored"])
@pytest.mark.parametrize("number", range(8))
async def test_no_link_of_a_caller_or_a_submission_leads_the_key_away(
    server, session, stranger, make_task, scheme, place, number
):
    link = links(stranger, server.url)[number]
    server.answers += [web.json_response({"state": "busy"})] * 2
    submission = {"id": "id", "status_url": "status_url"}
    provider = lane(server, session, scheme, submission=submission)
    task = make_task("1", status_url=link)

    if place != "stored":
        given = {"status_url": link, "remote_id": "1"} if place == "status_url" else {}
        told = {"submission": {"id": "1", "status_url": link}} if place == "submission" else {}
        try:
            admission = admit(Requests(provider.account, lambda: 0.0), Application(provider="mine", **given, **told))
        except (HostNotAllowed, InvalidRegistration):
            return
        task = make_task("1", status_url=admission.status_url)
    await provider.poll(task)

    assert stranger.heard == []


@pytest.mark.parametrize("scheme", ["header", "query"])
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(server, session, stranger, make_task, scheme, code):
    server.answers.append(web.Response(status=code, headers={"Location": f"{stranger.url}/t/1"}))

    seen = await lane(server, session, scheme).poll(make_task("1"))

    assert isinstance(seen, Missed)
    assert stranger.heard == []


@pytest.mark.parametrize("scheme", ["header", "query"])
async def test_no_output_elsewhere_is_said_to_need_the_key_nor_given_it(server, session, stranger, make_task, scheme):
    urls = [f"{stranger.url}/a", stranger.url.removeprefix("http:") + "/b", "/mine"]
    server.answers.append(web.json_response({"state": "done", "url": urls}))
    provider = lane(server, session, scheme)

    seen = await provider.poll(make_task("1"))

    assert isinstance(seen, Ended)
    assert [output.needs_auth for output in seen.outputs] == [False, False, True]
    assert await provider.access(seen.outputs[0].url) is None
    assert await provider.access(seen.outputs[1].url) is None
    assert await provider.access(seen.outputs[2].url) is not None
    assert stranger.heard == []


@pytest.mark.parametrize("item", ["//evil/x", "../..", "@evil", "x/../../y", "\\\\evil", "?a=b#c"])
async def test_what_a_status_answer_puts_into_a_result_request_stays_a_segment(
    server, session, stranger, make_task, item
):
    text = item.replace("evil", stranger.url.removeprefix("http://"))
    result = {"request": "GET /files/{file}", "variables": {"file": "file"}, "outputs": "url"}
    server.answers += [web.json_response({"state": "done", "file": text}), web.json_response({"url": "/v"})]

    await lane(server, session, result=result).poll(make_task("1"))

    assert stranger.heard == []
    assert all(path.startswith(("/t/1", "/files/")) and "/../" not in path for path in server.asked)
