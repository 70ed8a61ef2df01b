"""Endpoints that trust authorities of their own, on real TLS: they alone do, and on connections of their own."""

from __future__ import annotations

import asyncio

import pytest

from daemon.core.delivery import Accepted, Delivery, Refusal, Refused
from daemon.core.endpoint import Endpoint
from daemon.core.event import Event
from daemon.core.ids import DeliveryId, EventId
from daemon.core.signing import hmac_key
from daemon.net.guard import Guard
from daemon.webhooks import ways
from daemon.webhooks.sender import HttpSender, open_way
from daemon.webhooks.ways import OwnWays
from tests.net.conftest import certificates
from tests.webhooks.conftest import SECRET, Receiver

__all__ = ["certificates"]
EVENT = Event(id=EventId("msg_1"), type="t", task_id=None, created_at=0.0, body=b"{}")
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture
async def secure(certificates):
    receiver = Receiver([OK])
    server = await asyncio.start_server(receiver, "127.0.0.1", 0, ssl=certificates.server())
    receiver.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield receiver
    server.close()


@pytest.fixture
async def send(secure):
    """``await send(name, ca)`` makes one attempt to the secure receiver as the endpoint *name*."""
    trusting, guard = Guard(is_trusted=True), Guard()
    trusted, untrusted, own = open_way(trusting), open_way(guard), OwnWays(trusting, guard)
    endpoints = {}
    sender = HttpSender(
        lambda delivery: endpoints.get(delivery.endpoint), trusted=trusted, untrusted=untrusted, now_at=lambda: 1.7e9,
        own_way=own.of,
    )  # fmt: skip

    async def attempt(name, ca=None):
        endpoints[name] = Endpoint(
            name=name, url=secure.url, keys=(hmac_key(SECRET),), is_trusted=True, timeout=5.0, ca=ca
        )
        return await sender.send(
            Delivery(id=DeliveryId("dlv_1"), event_id=EventId("msg_1"), endpoint=name, url=None), EVENT
        )

    attempt.own = own
    yield attempt
    await own.close()
    await trusted.session.close()
    await untrusted.session.close()


async def test_an_authority_of_its_own_is_trusted_by_its_endpoint_alone(secure, send, certificates):
    authority = certificates.authority.read_text()

    mine = await send("mine", authority)
    others = await send("other")
    again = await send("mine", authority)

    assert isinstance(mine, Accepted)
    assert isinstance(again, Accepted)
    assert isinstance(others, Refused)
    assert others.refusal is Refusal.TLS
    assert secure.connections == 1


async def test_two_endpoints_with_the_same_authority_share_no_connection(secure, send, certificates):
    authority = certificates.authority.read_text()

    answers = [await send(name, authority) for name in ("a", "b", "a", "b")]

    assert all(isinstance(answer, Accepted) for answer in answers)
    assert secure.connections == 2


async def test_the_way_used_longest_ago_is_put_away(send, certificates, monkeypatch):
    monkeypatch.setattr(ways, "WAYS_KEPT", 2)
    authority = certificates.authority.read_text()

    for name in ("a", "b", "c", "a"):
        assert isinstance(await send(name, authority), Accepted)

    assert [name for name, _, _ in send.own._ways] == ["c", "a"]
