"""Where webhooks go, through the whole delivering half: what is refused, what is told of it, and the forward proxy."""

from __future__ import annotations

import asyncio
import logging
import socket
from ipaddress import ip_address

import pytest
import structlog
from structlog.testing import capture_logs

from daemon.config import Settings
from daemon.core.delivery import DeliveryState, Refusal
from daemon.core.event import operational_event
from daemon.core.ids import EventId
from daemon.core.record import ToUrl

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class Proxy:
    """A forward proxy on loopback: tunnels every CONNECT to *port*, or answers *refusal*."""

    def __init__(self, port: int, refusal: bytes = b"") -> None:
        self.port, self.refusal = port, refusal
        self.asked: list[str] = []

    async def __call__(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split(b"\r\n")[0].decode())
        if self.refusal:
            writer.write(self.refusal)
            return
        inner, outer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, outer), pipe(inner, writer))


async def pipe(source, sink):
    while piece := await source.read(65536):
        sink.write(piece)
        await sink.drain()
    sink.close()


@pytest.fixture
async def to_url():
    """Owe an event to a URL that came over the API, and return what its first attempt left."""

    async def tell(rig, url):
        courier = rig.parts.courier
        event = operational_event(EventId(f"msg_{abs(hash(url))}"), "task.succeeded", {}, created_at=0.0)
        owed = courier.owe(ToUrl(url=url), event)
        await rig.parts.store.outbox.publish(event, owed)
        courier.take(owed, event)
        record, attempts = await rig.attempted(owed[0].delivery.id)
        return record, attempts[0]

    return tell


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "169.254.169.254", "app.example"])
async def test_what_a_refused_target_is_here_is_told_to_the_log_alone(outgoing, to_url, monkeypatch, host):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("10.11.12.13", 0))])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

    with capture_logs() as logs:
        async with outgoing("http://127.0.0.1:9/") as rig:
            record, attempt = await to_url(rig, f"https://{host}/hook")

    assert (attempt.refusal, attempt.http_status, attempt.address) == (Refusal.TARGET_NOT_ALLOWED, None, None)
    assert attempt.detail == record.reason == "the target is not allowed"
    (line,) = [each for each in logs if each["event"] == "delivery.target_not_allowed"]
    assert "address" in line["why"] or "10.11.12.13" in line["why"]


async def test_the_daemons_own_listener_is_refused_even_where_it_is_allowed(outgoing, to_url, serve, replies):
    port = await serve(replies(OK))

    tables = {"egress": {"allow": [f"127.0.0.1:{port}"]}}
    async with outgoing("http://127.0.0.1:9/", tables=tables) as rig:
        before, _ = await to_url(rig, f"http://127.0.0.1:{port}/a")
        rig.parts.own_listeners.append((ip_address("127.0.0.1"), port))
        _, attempt = await to_url(rig, f"http://127.0.0.1:{port}/b")

    assert before.state is DeliveryState.DELIVERED
    assert attempt.refusal is Refusal.TARGET_NOT_ALLOWED


async def test_through_a_forward_proxy_names_are_its_own_to_resolve(
    outgoing, to_url, serve, replies, certificates, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    proxy = Proxy(await serve(replies(OK), certificates.server("app.example")))
    tables = {"egress": {"proxy": f"http://127.0.0.1:{await serve(proxy)}", "proxy_resolves": True}}

    async with outgoing("https://app.example/named", tables=tables) as rig:
        named, _ = await rig.tell()
        by_url, attempt = await to_url(rig, "https://app.example/by-url")

    assert named.state is by_url.state is DeliveryState.DELIVERED
    assert attempt.address == "127.0.0.1"
    assert set(proxy.asked) == {"CONNECT app.example:443 HTTP/1.1"}


async def test_the_certificate_is_checked_through_the_proxy(outgoing, serve, replies, certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    proxy = Proxy(await serve(replies(OK), certificates.server("other.example")))
    tables = {"egress": {"proxy": f"http://127.0.0.1:{await serve(proxy)}", "proxy_resolves": True}}

    async with outgoing("https://app.example/", tables=tables) as rig:
        _, attempt = await rig.tell()

    assert attempt.refusal is Refusal.TLS


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "localhost",
     "metadata.google.internal", "8.8.8.8:22", "app.example:6379"],
)  # fmt: skip
async def test_a_proxy_is_asked_for_no_literal_address_port_or_name_that_is_refused(outgoing, to_url, serve, target):
    proxy = Proxy(9)
    tables = {"egress": {"proxy": f"http://127.0.0.1:{await serve(proxy)}", "proxy_resolves": True}}

    async with outgoing("http://127.0.0.1:9/", tables=tables) as rig:
        _, attempt = await to_url(rig, f"https://{target}/")

    assert attempt.refusal is Refusal.TARGET_NOT_ALLOWED
    assert not proxy.asked


async def test_a_receiver_on_this_machine_is_reached_past_the_proxy(outgoing, serve, replies):
    proxy = Proxy(9)
    tables = {"egress": {"proxy": f"http://127.0.0.1:{await serve(proxy)}", "proxy_resolves": True}}

    async with outgoing(f"http://127.0.0.1:{await serve(replies(OK))}/", tables=tables) as rig:
        record, _ = await rig.tell()

    assert record.state is DeliveryState.DELIVERED
    assert not proxy.asked


async def test_a_proxy_that_refuses_or_is_gone_is_weather(outgoing, serve):
    refusing = Proxy(9, b"HTTP/1.1 407 Request rejected by proxy\r\nContent-Length: 0\r\n\r\n")
    port = await serve(refusing)
    for where, words in ((port, "the forward proxy answered 407"), (9, "no connection")):
        tables = {"egress": {"proxy": f"http://127.0.0.1:{where}", "proxy_resolves": True}}

        async with outgoing("https://app.example/", tables=tables) as rig:
            record, attempt = await rig.tell(where=where)

        assert (record.state, attempt.refusal) == (DeliveryState.PENDING, Refusal.CONNECT)
        assert words in attempt.detail


async def test_a_proxy_of_the_environment_is_never_used(outgoing, to_url, serve, monkeypatch):
    proxy = Proxy(9)
    where = f"http://127.0.0.1:{await serve(proxy)}"
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, where)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 0))])

    async with outgoing("http://127.0.0.1:9/") as rig:
        _, attempt = await to_url(rig, "https://app.example/")

    assert attempt.refusal is Refusal.TARGET_NOT_ALLOWED
    assert not proxy.asked


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"proxy": "http://127.0.0.1:3128"}, "proxy_resolves = true"),
        ({"proxy": "socks5://127.0.0.1:1080", "proxy_resolves": True}, "http://"),
        ({"proxy": "http://user:pw@127.0.0.1:3128", "proxy_resolves": True}, "no user name"),
        ({"proxy": "http://127.0.0.1:3128/path", "proxy_resolves": True}, "HOST:PORT"),
    ],
)
def test_a_proxy_is_configured_knowingly(table, words):
    with pytest.raises(ValueError, match=words):
        Settings.model_validate({"egress": table})
