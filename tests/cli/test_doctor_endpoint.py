"""doctor endpoint: a signed test goes the daemon's own way, and what fails is named with what to do."""

from __future__ import annotations

import json
import time

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from daemon.core.endpoint import EndpointSpec
from daemon.core.keyring import StoredKey
from daemon.core.signing import encode_secret
from daemon.store.store import open_store

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
async def receiver():
    """A receiver that verifies with the official library, keeps what it ``heard``, and answers ``status``."""
    told = {"heard": [], "status": [204]}
    application = web.Application()

    async def hook(request: web.Request) -> web.Response:
        event = Webhook(SECRET).verify(await request.read(), dict(request.headers))
        told["heard"].append(event)
        return web.Response(status=told["status"][0], headers={"Location": "https://elsewhere.example/"})

    application.router.add_post("/hook", hook)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    told["url"] = f"http://localhost:{runner.addresses[0][1]}/hook"
    yield told
    await runner.cleanup()


@pytest.fixture
def doctor(tmp_path, pollhook):
    async def examine(url: str, *words: str, egress: str = ""):
        file = tmp_path / "config.toml"
        file.write_text(
            f'[store]\npath = "{tmp_path}/p.db"\n[endpoints.app]\nurl = "{url}"\nsecret = "{SECRET}"\ntimeout = "1s"\n'
            f"[egress]\n{egress}\n"
        )
        file.chmod(0o600)
        return await pollhook("doctor", "endpoint", *(words or ("app",)), "--json", "--config", str(file))

    return examine


async def test_each_step_of_a_signed_test_is_told_with_its_time(receiver, doctor):
    ran = await doctor(receiver["url"])

    assert ran.status == 0, ran.err
    assert [line["area"] for line in ran.lines] == ["rules", "resolve", "connect", "sign", "send"]
    assert all(line["severity"] == "ok" for line in ran.lines)
    assert all(" ms" in line["text"] for line in ran.lines if line["area"] in ("resolve", "connect", "send"))
    assert receiver["heard"][0]["type"] == "endpoint.test"
    assert SECRET not in json.dumps(ran.lines)


@pytest.mark.parametrize(
    ("status", "word"), [(401, "secret"), (404, "path"), (302, "redirect"), (410, "gone"), (500, "log")]
)
async def test_an_answer_that_is_no_yes_is_an_error_with_advice(receiver, doctor, status, word):
    receiver["status"][0] = status

    ran = await doctor(receiver["url"])

    last = ran.lines[-1]
    assert (ran.status, last["area"], last["severity"]) == (1, "send", "error")
    assert str(status) in last["text"]
    assert word in last["advice"]


@pytest.mark.parametrize(
    ("url", "area"),
    [
        ("http://127.0.0.1:9/hook", "connect"),
        ("https://nobody.invalid/hook", "resolve"),
    ],
)
async def test_a_step_that_fails_is_the_last_and_says_what_to_do(doctor, url, area):
    ran = await doctor(url)

    assert ran.status == 1
    assert (ran.lines[-1]["area"], ran.lines[-1]["severity"]) == (area, "error")
    assert ran.lines[-1]["advice"]


async def test_an_unknown_endpoint_is_bad_usage_that_names_the_known(doctor):
    ran = await doctor("http://127.0.0.1:9/", "nope")

    assert ran.status == 2
    assert "app" in ran.err


@pytest.fixture
async def kept(tmp_path):
    """An endpoint that was written over the API and rotated since, in the database of ``doctor``."""
    store = await open_store(tmp_path / "p.db")

    async def keep(url: str) -> None:
        old = StoredKey(version="v1", secret=encode_secret(b"o" * 24), made_at=0.0, expires_at=time.time() + 3600)
        fresh = StoredKey(version="v1", secret=SECRET, made_at=1.0)
        await store.endpoints.write("written", EndpointSpec(url=url), (fresh, old))

    yield keep
    await store.close()


async def test_an_endpoint_of_the_api_is_tested_with_every_key_that_signs_and_by_its_own_rules(receiver, doctor, kept):
    await kept(receiver["url"])

    refused = await doctor(receiver["url"], "written")
    port = receiver["url"].rpartition(":")[2].partition("/")[0]
    ran = await doctor(receiver["url"], "written", egress=f'allow = ["127.0.0.1/32:{port}", "[::1]/128:{port}"]')

    assert (refused.status, refused.lines[-1]["area"]) == (1, "rules")
    assert ran.status == 0, ran.err
    (signed,) = (line["text"] for line in ran.lines if line["area"] == "sign")
    assert signed.count("v1 ") == 2
    assert receiver["heard"][0]["type"] == "endpoint.test"


async def test_an_unknown_endpoint_is_told_those_of_the_api_too(doctor, kept):
    await kept("https://app.example.com/hook")

    ran = await doctor("http://127.0.0.1:9/", "nope")

    assert ran.status == 2
    assert "app, written" in ran.err
