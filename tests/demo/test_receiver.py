"""The receiver detects what must never happen: a bad signature, an event twice, other bytes, two endings."""

from __future__ import annotations

import json
import time

import aiohttp
import pytest

from daemon.core.signing import encode_secret, hmac_key, signature
from daemon.demo.receiver import Receiver, findings, is_delivered, is_ending

SECRET = encode_secret(bytes(range(32)))


def body_of(task: str = "tsk_1", kind: str = "task.succeeded", **data) -> bytes:
    told = {"task_id": task, "provider": "amux", "remote_id": "abcd1234efgh"} | data
    return json.dumps({"type": kind, "timestamp": "2026-11-21T20:11:40.512Z", "data": told}).encode()


def signed(body: bytes, webhook_id: str = "msg_1", *, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    timestamp = int(time.time() if at is None else at)
    signatures = signature([hmac_key(secret)], webhook_id, timestamp, body)
    return {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def test_a_good_webhook_is_taken_and_read():
    receiver = Receiver(SECRET)

    arrival = receiver.take(signed(body_of()), body_of())

    assert (arrival["status"], arrival["complaint"]) == (204, None)
    assert (arrival["type"], arrival["task_id"], arrival["remote_id"]) == ("task.succeeded", "tsk_1", "abcd1234efgh")
    assert is_delivered(arrival)
    assert findings(receiver.arrivals) == {"unverified": 0, "repeated": {}, "changed": [], "doubled": []}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (signed(body_of()), body_of(task="tsk_2")),
        (signed(body_of(), secret=encode_secret(bytes(32))), body_of()),
        (signed(body_of(), at=time.time() - 3600), body_of()),
        (signed(body_of()) | {"webhook-id": "msg_other"}, body_of()),
        (signed(body_of()) | {"webhook-signature": "v1"}, body_of()),
        (signed(body_of()) | {"webhook-signature": "v1,%%%"}, body_of()),
        ({}, body_of()),
        (signed(b"\xff"), b"\xff"),
    ],
    ids=["other body", "other secret", "old", "other id", "no comma", "no base64", "no headers", "no text"],
)
def test_a_webhook_whose_signature_does_not_hold_is_refused_and_counted(headers, body):
    receiver = Receiver(SECRET)

    arrival = receiver.take(headers, body)

    assert arrival["status"] == 400
    assert arrival["complaint"]
    assert findings(receiver.arrivals)["unverified"] == 1


def test_the_same_event_taken_twice_is_counted_by_its_id():
    receiver = Receiver(SECRET)
    for _ in range(3):
        receiver.take(signed(body_of()), body_of())

    found = findings(receiver.arrivals)

    assert (found["repeated"], found["changed"], found["doubled"]) == ({"msg_1": 3}, [], [])


def test_an_event_refused_with_503_and_sent_again_is_no_duplicate():
    receiver = Receiver(SECRET, fail_rate=1.0)
    refused = receiver.take(signed(body_of()), body_of())
    receiver._fail_rate = 0.0
    receiver.take(signed(body_of()), body_of())

    assert refused["status"] == 503
    assert findings(receiver.arrivals)["repeated"] == {}


def test_other_bytes_under_the_same_id_are_found():
    receiver = Receiver(SECRET)
    for progress in (1, 2):
        body = body_of(progress=progress)
        receiver.take(signed(body), body)

    assert findings(receiver.arrivals)["changed"] == ["msg_1"]


def test_two_terminal_events_of_one_task_are_found_and_an_interim_one_is_none():
    receiver = Receiver(SECRET)
    for number, kind in enumerate(("task.running", "task.succeeded", "task.failed")):
        body = body_of(kind=kind)
        receiver.take(signed(body, f"msg_{number}"), body)

    assert [is_ending(arrival) for arrival in receiver.arrivals] == [False, True, True]
    assert findings(receiver.arrivals)["doubled"] == ["tsk_1"]


async def test_the_ledger_is_read_over_http_from_a_number_on():
    async with Receiver(SECRET) as receiver, aiohttp.ClientSession() as session:
        for number in range(3):
            body = body_of(task=f"tsk_{number}")
            async with session.post(receiver.url, data=body, headers=signed(body, f"msg_{number}")) as response:
                assert response.status == 204
        async with session.get(receiver.url.replace("/hooks/pollhook", "/_ledger"), params={"after": 1}) as response:
            rest = await response.json()

    assert [arrival["task_id"] for arrival in rest] == ["tsk_1", "tsk_2"]
    assert rest == receiver.arrivals[1:]
