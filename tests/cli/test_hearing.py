"""listen and verify: what the person at the other end tries things out with."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from daemon.cli.hear import Ear, Onward
from daemon.core.signing import hmac_key, signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = hmac_key(SECRET)
BODY = b'{"type":"task.succeeded"}'


def signed(at: int | None = None, body: bytes = BODY) -> dict[str, str]:
    stamp = int(time.time()) if at is None else at
    made = signature([KEY], "msg_1", stamp, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(stamp), "webhook-signature": made, "host": "here"}


@pytest.fixture
def onward():
    """A server behind, which answers ``status`` and keeps what it heard."""

    class Behind(BaseHTTPRequestHandler):
        def do_POST(self):
            server.heard.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(server.status)
            self.end_headers()

        def log_message(self, *_args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Behind)
    server.status, server.heard = 202, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def ear(server=None, *, fail_rate: float = 0.0) -> Ear:
    passing = None if server is None else Onward(f"http://127.0.0.1:{server.server_port}/hooks?x=1")
    return Ear(key=KEY, fail_rate=fail_rate, as_json=False, forward=passing)


@pytest.mark.parametrize("status", [202, 500])
def test_a_good_webhook_is_passed_on_as_it_came_and_answered_as_there(onward, status):
    onward.status = status

    answered = ear(onward).hear(signed(), BODY, now_at=time.time())

    (path, headers, body), lower = onward.heard[0], {k.lower(): v for k, v in onward.heard[0][1].items()}
    assert (answered, path, body) == (status, "/hooks?x=1", BODY)
    assert {name: lower[name] for name in lower if name.startswith("webhook-")} == {
        name: value for name, value in signed().items() if name.startswith("webhook-")
    }
    assert headers["Host"] != "here"


def test_a_forged_webhook_and_one_that_is_to_fail_are_not_passed_on(onward):
    forged = ear(onward).hear(signed() | {"webhook-id": "msg_2"}, BODY, now_at=time.time())
    unlucky = ear(onward, fail_rate=1.0).hear(signed(), BODY, now_at=time.time())

    assert (forged, unlucky, onward.heard) == (400, 503, [])


def test_nobody_behind_is_a_502():
    answered = Ear(key=KEY, fail_rate=0.0, as_json=False, forward=Onward("http://127.0.0.1:9/")).hear(
        signed(), BODY, now_at=time.time()
    )

    assert answered == 502


def test_a_fail_rate_fails_about_as_many():
    some = ear(fail_rate=0.3)

    answers = [some.hear(signed(), BODY, now_at=time.time()) for _ in range(400)]

    assert 60 < answers.count(503) < 180


@pytest.mark.parametrize("end", ["\r\n", "\n"])
async def test_a_saved_request_is_verified_whole(pollhook, tmp_path, end):
    lines = ["POST /hooks HTTP/1.1", *(f"{name}: {value}" for name, value in signed(1_700_000_000).items()), "", ""]
    file = tmp_path / "request"
    file.write_bytes(end.join(lines).encode() + BODY)

    old = await pollhook("verify", str(file), POLLHOOK_SECRET=SECRET)
    good = await pollhook("verify", str(file), "--any-age", POLLHOOK_SECRET=SECRET)
    file.write_bytes(file.read_bytes() + b" ")
    bad = await pollhook("verify", str(file), "--any-age", POLLHOOK_SECRET=SECRET)

    assert (old.status, good.status, bad.status) == (1, 0, 1)
    assert "away from this clock" in old.err


async def test_a_body_without_its_headers_is_bad_usage(pollhook, tmp_path):
    file = tmp_path / "body"
    file.write_bytes(BODY)

    ran = await pollhook("verify", str(file), POLLHOOK_SECRET=SECRET)

    assert ran.status == 2
    assert "--signature" in ran.err
