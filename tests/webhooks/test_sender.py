"""One signed POST per attempt, and what each answer to it means."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time

import pytest
from standardwebhooks import Webhook
from svix.webhooks import Webhook as SvixWebhook

from daemon import __version__
from daemon.core.delivery import Accepted, Refusal, Refused
from daemon.core.signing import hmac_key
from daemon.core.verifying import verify
from daemon.net.exchange import Failure, FailureKind
from daemon.webhooks.keys import ed25519_key, new_private_key, new_secret
from daemon.webhooks.receipt import receipt

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_the_exact_bytes_arrive_signed_so_that_the_official_libraries_accept_them(deliver, receive):
    receiver = await receive(OK)
    deliver.clock.now_at = time.time()
    body = '{"prompt":"café ☃ 🎬"}'.encode()
    old, new, pair = new_secret(), new_secret(), new_private_key()

    got = await deliver(receiver.url, body=body, keys=(ed25519_key(pair), hmac_key(new), hmac_key(old)))

    request = receiver.requests[0]
    assert isinstance(got, Accepted)
    assert (got.http_status, got.address) == (200, "127.0.0.1")
    assert request.body == body
    for secret in (old, new):
        Webhook(secret).verify(request.body.decode(), request.headers)
        SvixWebhook(secret).verify(request.body, request.headers)
    verify(request.headers, request.body, [ed25519_key(pair)], now_at=time.time())


async def test_the_request_is_a_json_post_that_names_event_time_and_sender(deliver, receive):
    receiver = await receive(OK)

    await deliver(receiver.url, event_id="msg_42")

    request = receiver.requests[0]
    assert request.line == "POST /hook HTTP/1.1"
    assert request.headers["webhook-id"] == "msg_42"
    assert request.headers["webhook-timestamp"] == "1700000000"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"pollhook/{__version__}"
    assert request.headers["accept-encoding"] == "identity"


async def test_each_attempt_is_signed_with_the_present_time_over_the_same_id_and_bytes(deliver, receive):
    receiver = await receive(OK)

    await deliver(receiver.url)
    deliver.clock.now_at += 3600
    await deliver(receiver.url)

    first, second = receiver.requests
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 3600
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


async def test_an_endpoints_own_headers_are_added_but_override_nothing_of_ours(deliver, receive):
    receiver = await receive(OK)
    hostile = [
        ("Authorization", "Bearer theirs"),
        ("Host", "evil"),
        ("content-length", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Webhook-Id", "forged"),
        ("WEBHOOK-SIGNATURE", "v1,forged"),
        ("webhook-extra", "forged"),
        ("User-Agent", "forged"),
        ("Content-Type", "text/plain"),
        ("Proxy-Authorization", "forged"),
        ("Connection", "close"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
        ("X-Split", "a\r\nX-Smuggled: forged"),
    ]

    got = await deliver(receiver.url, headers=tuple(hostile))

    request = receiver.requests[0]
    names = [name.lower() for name, _ in request.fields]
    assert isinstance(got, Accepted)
    assert request.headers["authorization"] == "Bearer theirs"
    assert len(names) == len(set(names))
    assert not any("forged" in value or value in ("evil", "text/plain", "h2c") for _, value in request.fields)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_accepted(deliver, receive, answer, status):
    receiver = await receive(answer(status))

    got = await deliver(receiver.url)

    assert isinstance(got, Accepted)
    assert got.http_status == status


@pytest.mark.parametrize(
    ("status", "refusal", "blames"),
    [
        (300, Refusal.REDIRECT, False),
        (400, Refusal.HTTP, False),
        (401, Refusal.HTTP, False),
        (404, Refusal.HTTP, False),
        (408, Refusal.HTTP, True),
        (410, Refusal.GONE, False),
        (413, Refusal.HTTP, False),
        (425, Refusal.HTTP, True),
        (429, Refusal.HTTP, True),
        (500, Refusal.HTTP, True),
        (503, Refusal.HTTP, True),
        (599, Refusal.HTTP, True),
    ],
)
async def test_any_other_status_is_refused_by_its_class(deliver, receive, answer, status, refusal, blames):
    receiver = await receive(answer(status, body=b"why"))

    got = await deliver(receiver.url)

    assert isinstance(got, Refused)
    assert (got.refusal, got.http_status, got.retry_after) == (refusal, status, None)
    assert got.blames_endpoint is blames
    assert str(status) in got.detail


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_its_location_is_told_without_what_may_be_secret(
    deliver, receive, answer, status
):
    elsewhere = await receive(OK)
    location = elsewhere.url.replace("http://", "http://user:hunter2@") + "/new?token=hunter2#hunter2"
    receiver = await receive(answer(status, f"Location: {location}"))

    got = await deliver(receiver.url)

    assert isinstance(got, Refused)
    assert (got.refusal, got.http_status) == (Refusal.REDIRECT, status)
    assert "/hook/new" in got.detail
    assert "hunter2" not in got.detail
    assert not elsewhere.requests


@pytest.mark.parametrize(
    "location", ["", "/a?b", "http://[::1", "https://[::1]@", "x" * 5000, "//evil/\x7f", "http:///"]
)
async def test_an_odd_location_is_still_a_redirect(deliver, receive, answer, location):
    receiver = await receive(answer(302, f"Location: {location}"))

    got = await deliver(receiver.url)

    assert isinstance(got, Refused)
    assert got.refusal is Refusal.REDIRECT
    assert len(got.detail) < 300


@pytest.mark.parametrize("status", [302, 400, 429, 500, 503])
async def test_a_wish_to_wait_is_heard_on_any_refusal(deliver, receive, answer, status):
    receiver = await receive(answer(status, "Retry-After: 120"))

    got = await deliver(receiver.url)

    assert isinstance(got, Refused)
    assert got.retry_after == 120.0


async def test_an_unknown_endpoint_or_one_without_keys_is_unconfigured_and_nothing_is_sent(deliver, receive):
    receiver = await receive(OK)

    unknown = await deliver(None)
    keyless = await deliver(receiver.url, keys=())

    for got in (unknown, keyless):
        assert isinstance(got, Refused)
        assert got.refusal is Refusal.UNCONFIGURED
    assert not receiver.requests


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]"])
async def test_an_untrusted_url_never_reaches_this_machine(deliver, receive, name):
    receiver = await receive(OK)

    got = [
        await deliver(receiver.url.replace("127.0.0.1", name).replace("http:", scheme), is_trusted=False)
        for scheme in ("http:", "https:")
    ]

    assert all(isinstance(one, Refused) and one.refusal is Refusal.TARGET_NOT_ALLOWED for one in got)
    assert receiver.connections == 0


async def test_an_untrusted_name_that_resolves_to_this_machine_is_refused_at_the_socket(deliver, receive, monkeypatch):
    receiver = await receive(OK)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))])

    got = await deliver(receiver.url.replace("http://127.0.0.1", "https://app.example.com"), is_trusted=False)

    assert isinstance(got, Refused)
    assert (got.refusal, got.http_status) == (Refusal.TARGET_NOT_ALLOWED, None)
    assert receiver.connections == 0


async def test_network_weather_is_told_by_its_class(deliver, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        refused = await deliver(f"http://127.0.0.1:{port}/")

    def nobody(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    unknown = await deliver("https://nobody.example/")

    assert isinstance(refused, Refused)
    assert isinstance(unknown, Refused)
    assert (refused.refusal, unknown.refusal) == (Refusal.CONNECT, Refusal.DNS)
    assert refused.blames_endpoint


@pytest.mark.parametrize("kind", list(FailureKind))
def test_every_failure_is_a_refusal_of_its_class_that_blames_the_endpoint(kind):
    failure = Failure(kind=kind, detail="why", seconds=1.0, unsent=False, address="10.0.0.1")

    got = receipt(failure, 0.0)

    expected = "protocol" if kind is FailureKind.TOO_LARGE else kind.value
    assert isinstance(got, Refused)
    assert (got.refusal.value, got.detail, got.http_status, got.address) == (expected, "why", None, "10.0.0.1")
    assert got.blames_endpoint


async def test_an_answer_without_a_head_within_the_time_out_is_none(deliver, receive):
    receiver = await receive(b"")

    got = await deliver(receiver.url, timeout=0.2)

    assert isinstance(got, Refused)
    assert (got.refusal, got.http_status) == (Refusal.TIMEOUT, None)
    assert got.blames_endpoint
    assert 0.19 <= got.seconds < 2


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX: close-after\r\n\r\npart",
        b"HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_a_yes_stands_even_if_its_body_never_comes_or_breaks_off(deliver, receive, head):
    receiver = await receive(head, OK)

    got = await deliver(receiver.url, timeout=0.3)
    again = await deliver(receiver.url)

    assert isinstance(got, Accepted)
    assert isinstance(again, Accepted)
    assert len(receiver.requests) == 2


async def test_a_yes_whose_body_drips_is_told_long_before_the_time_out_and_the_connection_is_dropped(deliver, receive):
    receiver = await receive(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", OK)

    got = await deliver(receiver.url, timeout=30.0)
    await deliver(receiver.url)

    assert isinstance(got, Accepted)
    assert got.seconds < 5
    assert receiver.connections == 2


@pytest.mark.parametrize("end", [b"", b"X: close-after\r\n"])
@pytest.mark.parametrize(("status", "refusal"), [(410, Refusal.GONE), (429, Refusal.HTTP), (503, Refusal.HTTP)])
async def test_a_no_stands_with_its_wish_even_if_its_body_never_comes(deliver, receive, status, refusal, end):
    receiver = await receive(b"HTTP/1.1 %d No\r\nRetry-After: 120\r\nContent-Length: 100\r\n%b\r\n" % (status, end))

    got = await deliver(receiver.url, timeout=0.2)

    assert isinstance(got, Refused)
    assert (got.refusal, got.http_status, got.retry_after) == (refusal, status, 120.0)


async def test_a_yes_with_a_huge_or_packed_body_is_a_yes(deliver, receive, answer):
    huge = await receive(answer(200, body=b"x" * 1_000_000))
    packed = await receive(answer(200, "Content-Encoding: gzip", body=gzip.compress(bytes(100_000))))
    broken = await receive(answer(200, "Content-Encoding: gzip", body=b"not packed"))

    got = [await deliver(receiver.url) for receiver in (huge, packed, broken)]

    assert all(isinstance(one, Accepted) for one in got)


async def test_connections_are_kept_between_attempts(deliver, receive):
    receiver = await receive(OK)

    for _ in range(3):
        await deliver(receiver.url)

    assert (receiver.connections, len(receiver.requests)) == (1, 3)


async def test_a_kept_connection_found_dead_costs_no_failed_attempt(deliver, receive):
    receiver = await receive(OK, None, OK)

    got = [await deliver(receiver.url) for _ in range(2)]

    assert all(isinstance(one, Accepted) for one in got)
    assert receiver.connections == 2


async def test_a_fresh_connection_that_dies_is_not_tried_twice(deliver, receive):
    receiver = await receive(None)

    got = await deliver(receiver.url)

    assert isinstance(got, Refused)
    assert got.refusal is Refusal.CONNECT
    assert len(receiver.requests) == 1


async def test_a_hanging_receiver_delays_no_other(deliver, receive):
    hanging, fine = await receive(b""), await receive(OK)

    stuck = [asyncio.create_task(deliver(hanging.url, timeout=30.0)) for _ in range(60)]
    async with asyncio.timeout(10):
        while len(hanging.requests) < 60:
            await asyncio.sleep(0)
    got = await asyncio.wait_for(deliver(fine.url), 5)
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)

    assert isinstance(got, Accepted)
