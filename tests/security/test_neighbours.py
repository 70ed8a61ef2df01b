"""A browser tab and a curious neighbour against the real daemon, with ``auth = "none"``: there these rules are all there is.

After each attack nothing was registered, and the daemon serves as before.
"""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
BODY = json.dumps({"provider": "mine", "remote_id": "stolen"}).encode()


@pytest.fixture(scope="module")
def daemon(start):
    return start(server={"auth": "none", "max_connections": 64})


@pytest.fixture(autouse=True)
def _nothing_came_of_it(daemon):
    yield
    assert daemon.tasks() == 0
    assert daemon.process.poll() is None


def post(
    daemon, *lines: str, host: str | None = None, body: bytes = BODY, method: str = "POST", path: str = "/v1/tasks"
) -> int:
    """Send a registration as an attacker shapes it; return the status."""
    head = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host or daemon.host}",
        *lines,
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return daemon.raw("\r\n".join([*head, "", ""]).encode() + body)[0]


JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1.nip.io:{port}",
        "0.0.0.0:{port}",
        "[::]:{port}",
    ],
)
def test_a_rebound_name_is_misdirected(daemon, host):
    assert post(daemon, JSON, host=host.format(port=daemon.port)) == 421


@pytest.mark.parametrize(
    "line",
    ["Origin: https://evil.example", "Origin: null", "Origin: http://{host}", "Referer: https://evil.example/", "Sec-Fetch-Site: cross-site",
     "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: None", "oRiGiN: x"],
)  # fmt: skip
def test_what_a_browser_adds_to_a_cross_site_request_is_refused(daemon, line):
    assert post(daemon, JSON, line.format(host=daemon.host)) == 403


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/json, text/plain",
     "application/json\ttext", "text/json", "application/jsonp", "application/csp-report"],
)  # fmt: skip
def test_a_simple_request_that_needs_no_preflight_registers_nothing(daemon, kind):
    assert post(daemon, f"Content-Type: {kind}") in (400, 415)


def test_a_preflight_is_refused_without_leave_for_anybody(daemon):
    asked = "\r\n".join(["OPTIONS /v1/tasks HTTP/1.1", f"Host: {daemon.host}", "Origin: https://evil.example", "Access-Control-Request-Method: POST",
                         "Access-Control-Request-Private-Network: true", "Connection: close", "", ""])  # fmt: skip

    status, answer = daemon.raw(asked.encode())

    assert status in (403, 405)
    assert b"access-control" not in answer.lower()


def test_no_websocket_and_no_other_protocol_is_spoken(daemon):
    for protocol in ("websocket", "h2c", "TLS/1.0"):
        asked = ["GET /v1/events HTTP/1.1", f"Host: {daemon.host}", "Connection: Upgrade, close", f"Upgrade: {protocol}",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA", "", ""]  # fmt: skip

        status, _ = daemon.raw("\r\n".join(asked).encode())

        assert status in (200, 400, 403), protocol


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_changes_nothing(daemon, method):
    for path in ("/v1/tasks?provider=mine&remote_id=stolen", "/v1/endpoints/default/disable", "/v1/tasks/batch"):
        assert post(daemon, JSON, method=method, path=path) in (400, 404, 405, 422)


@pytest.mark.parametrize("override", ["X-HTTP-Method-Override: POST", "X-HTTP-Method: POST", "X-Method-Override: POST"])
def test_no_header_makes_a_get_a_post(daemon, override):
    assert post(daemon, JSON, override, method="GET") != 201


SMUGGLED = (
    b"POST /v1/tasks HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n" + BODY
)
HEADS = {
    "length and chunks": b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, %d\r\n\r\n",
    "a signed length": b"Content-Length: +0\r\nX: %d\r\n\r\n",
    "a negative length": b"Content-Length: -%d\r\n\r\n",
    "a length in hex": b"Content-Length: 0x0\r\nX: %d\r\n\r\n",
    "a length with an underscore": b"Content-Length: 0_0\r\nX: %d\r\n\r\n",
    "a space before the colon": b"Content-Length : %d\r\n\r\n",
    "a folded line": b"X: a\r\n Content-Length: %d\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\nX: %d\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked, chunked\r\nX: %d\r\n\r\n0\r\n\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\nX: %d\r\n\r\n0\r\n\r\n",
    "a tab in chunked": b"Transfer-Encoding:\x0bchunked\r\nX: %d\r\n\r\n0\r\n\r\n",
    "a bare line feed": b"X: a\nContent-Length: %d\r\n\r\n",
    "a bare return": b"X: a\rContent-Length: %d\r\n\r\n",
    "a null": b"X: a\x00\r\nContent-Length: %d\r\n\r\n",
    "a chunk size that is none": b"Transfer-Encoding: chunked\r\nX: %d\r\n\r\n-1\r\n",
    "a chunk size too large": b"Transfer-Encoding: chunked\r\nX: %d\r\n\r\nffffffffffffffff1\r\n",
    "a chunk extension with a return": b"Transfer-Encoding: chunked\r\nX: %d\r\n\r\n0;a\rb\r\n\r\n",
    "an old version": b"\r\n",
}


@pytest.mark.parametrize("kind", sorted(HEADS))
def test_a_request_whose_length_can_be_read_two_ways_carries_no_second_one(daemon, kind):
    """The inner request is told with the Origin of a browser, as a page behind a front would; it must never be answered 201.

    Where the outer one is plainly of length nought, what follows is a request of its own and is judged as such.
    """
    inner = SMUGGLED.replace(b"{host}", b"evil.example").replace(b"40", b"%d" % len(BODY))
    version = b"1.0" if kind == "an old version" else b"1.1"
    framing = HEADS[kind] % len(inner) if b"%d" in HEADS[kind] else HEADS[kind]
    outer = b"GET /healthz HTTP/" + version + b"\r\nHost: " + daemon.host.encode() + b"\r\n" + framing

    with socket.create_connection(("127.0.0.1", daemon.port), timeout=3) as line:
        line.sendall(outer + inner + b"\r\n\r\n")
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while part := line.recv(65536):
            answer += part

    assert b" 201 " not in answer
    assert answer.count(b"HTTP/1.1 200") <= 1


def test_a_thousand_lines_that_say_nothing_shut_nobody_out(daemon):
    """Slow heads, idle lines and half bodies from strangers fill every place; who is let in still gets one."""
    silent = []
    try:
        for number in range(400):
            line = socket.create_connection(("127.0.0.1", daemon.port), timeout=5)
            if number % 3:
                line.sendall((b"", b"GET /healthz HTTP/1.1\r\nX-A: b\r\n", b"POST /v1/tasks HTTP/1.1\r\n")[number % 3])
            silent.append(line)
        began, told = time.monotonic(), []
        while time.monotonic() - began < 25:
            told.append(daemon.ask("GET", "/v1/tasks")[0])
            if told[-1] == 200:
                break
            time.sleep(0.2)
    finally:
        for line in silent:
            line.close()

    assert told[-1] == 200
    assert set(told) <= {200, 503}


def test_one_caller_who_holds_every_place_gets_the_others_a_clear_answer_and_no_lasting_harm(daemon):
    status, _ = daemon.ask("GET", "/v1/events?wait=0")
    assert status == 200
    answers: list[int] = []

    def hold() -> None:
        answers.append(daemon.ask("GET", "/v1/events?wait=3")[0])

    holding = [threading.Thread(target=hold) for _ in range(100)]
    for one in holding:
        one.start()
    for one in holding:
        one.join(30)

    assert set(answers) <= {200, 503}
    assert answers.count(200) >= 50
    assert daemon.ask("GET", "/healthz")[0] == 200


def test_headers_and_bodies_past_their_bounds_are_refused_while_they_come(daemon):
    assert post(daemon, JSON, "X-A: " + "a" * 9000) in (400, 431)
    assert post(daemon, JSON, *(f"X-{n}: {'a' * 1000}" for n in range(20))) == 431
    assert post(daemon, JSON, *(f"X-{n}: a" for n in range(200))) in (400, 431)
    assert post(daemon, JSON, path="/v1/tasks?" + "a" * 9000) in (400, 414, 431)
    assert post(daemon, JSON, body=b" " * (64 * 1024 + 1)) == 413
    assert post(daemon, JSON, path="/v1/tasks/batch", body=b" " * (8 * 1024 * 1024 + 1)) in (
        0,
        413,
    )  # 0: cut off while it came
