"""The attempt log says of every POST when it was due, how long each stage took, who signed, and what follows why."""

from __future__ import annotations

import time

import pytest

from daemon.api.answers import attempt_json
from daemon.core.delivery import DeliveryState
from daemon.core.signing import hmac_key
from tests.delivery.conftest import SECRET

BODY = b"thanks, your token whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw is stored " + b"." * 2000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


async def test_the_stages_of_a_new_connection_and_of_a_kept_one(outgoing, serve, replies, certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    port = await serve(replies(OK, stays=True), certificates.server())

    async with outgoing(f"https://localhost:{port}/", timeout=10) as rig:
        before = time.time()
        (_, fresh), (_, kept) = [await rig.tell() for _ in range(2)]

    assert None not in (fresh.stages.dns, fresh.stages.connect, fresh.stages.tls, fresh.stages.first_byte)
    assert fresh.stages.dns + fresh.stages.connect + fresh.stages.tls + fresh.stages.first_byte <= fresh.seconds + 1e-6
    assert fresh.stages.tls > 0
    assert (kept.stages.dns, kept.stages.connect, kept.stages.tls) == (None, None, None)
    assert kept.stages.first_byte > 0
    assert before - 1 <= fresh.due_at <= fresh.started_at
    assert fresh.keys == kept.keys == (hmac_key(SECRET).fingerprint,)
    assert (fresh.next_at, fresh.next_why, fresh.response) == (None, None, None)


async def test_what_follows_is_told_with_its_reason(outgoing, serve, replies):
    waits = await serve(replies(b"HTTP/1.1 503 No\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n"))
    fails = await serve(replies(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
    once = {"url": f"http://127.0.0.1:{fails}/", "secret": SECRET, "schedule": ["1ms"]}
    tables = {"endpoints": {"waits": once | {"url": f"http://127.0.0.1:{waits}/"}, "once": once}}

    async with outgoing("http://127.0.0.1:9/", tables=tables) as rig:
        asked, _ = await rig.attempted(await rig.publish("waits"))
        _, (first,) = await rig.attempted(asked.id)
        dead, (slot, last) = await rig.attempted(await rig.publish("once"), 2)

    assert first.next_why == "the endpoint asked for 600 s"
    assert first.next_at == asked.due_at
    assert slot.next_why == "wait 1 of the schedule, jittered"
    assert dead.state is DeliveryState.DEAD
    assert (last.next_at, last.next_why) == (None, dead.reason)


@pytest.mark.parametrize("asks", [False, True])
async def test_an_answer_is_kept_where_the_endpoint_asks_for_it_cut_and_masked(outgoing, serve, replies, asks):
    port = await serve(replies(OK))

    async with outgoing(f"http://127.0.0.1:{port}/", store_response=asks) as rig:
        _, attempt = await rig.tell()

    shown = attempt_json(attempt)["response"]
    assert (shown is not None) == asks
    if asks:
        assert shown.startswith("thanks, your token ")
        assert "MfKQ9r8G" not in shown
        assert len(shown) <= 1024


async def test_of_a_failure_the_stages_gone_through_are_told(outgoing, serve):
    async def hang(reader, writer):
        await reader.read()

    async with outgoing(f"http://127.0.0.1:{await serve(hang)}/") as rig:
        _, attempt = await rig.tell()

    assert attempt.stages.connect is not None
    assert attempt.stages.first_byte is None
