"""Receivers that fail in every way: each attempt is bounded, named from the closed list, and retried, dead or done."""

from __future__ import annotations

import asyncio
import gzip
import resource
import socket
import ssl
import struct
import time
import warnings
from email.utils import formatdate

import pytest

from daemon.core.delivery import DeliveryState, Refusal
from tests.delivery.conftest import SECRET, TIMEOUT

PENDING, DELIVERED, DEAD = DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.DEAD
SLACK = 2.0
FIRST_SLOT = (2.5, 5.0)
DAY = 24 * 3600.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    await reader.readexactly(int(fields[b"content-length"]))


async def hang(reader, writer):
    await request(reader)
    await asyncio.Event().wait()


async def never_read(reader, writer):
    await asyncio.Event().wait()


async def drip_head(reader, writer):
    await request(reader)
    for letter in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100:
        writer.write(bytes([letter]))
        await asyncio.sleep(0.1)


def drip_body(status):
    async def peer(reader, writer):
        await request(reader)
        writer.write(b"HTTP/1.1 %d Whatever\r\nContent-Length: 1000\r\n\r\n" % status)
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.1)

    return peer


async def endless_fields(reader, writer):
    await request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Field: y\r\n" * 100)
        await writer.drain()


async def endless_line(reader, writer):
    await request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nX-Field: ")
    while True:
        writer.write(b"y" * 10_000)
        await writer.drain()


async def endless_informational(reader, writer):
    await request(reader)
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 10)
        await writer.drain()
        await asyncio.sleep(0.001)


def endless_body(status):
    async def peer(reader, writer):
        await request(reader)
        writer.write(b"HTTP/1.1 %d Whatever\r\nTransfer-Encoding: chunked\r\n\r\n" % status)
        while True:
            writer.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
            await writer.drain()

    return peer


def bomb(status):
    packed = gzip.compress(bytes(100 * 2**20))

    async def peer(reader, writer):
        await request(reader)
        head = b"HTTP/1.1 %d Whatever\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % (status, len(packed)) + packed)
        await writer.drain()

    return peer


def reset_after(first):
    """Answer *first* and then reset the connection (RST), not close it."""

    async def peer(reader, writer):
        await request(reader)
        writer.write(first)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return peer


async def reset_unread(reader, writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close_unanswered(reader, writer):
    await request(reader)


PART = b"Content-Length: 1000\r\n\r\npart"
FAULTS = {
    "hangs before its head": (hang, Refusal.TIMEOUT, None),
    "reads nothing": (never_read, Refusal.TIMEOUT, None),
    "drips its head": (drip_head, Refusal.TIMEOUT, None),
    "drips the body of a yes": (drip_body(200), None, 200),
    "drips the body of a no": (drip_body(500), Refusal.HTTP, 500),
    "sends header fields without end": (endless_fields, Refusal.PROTOCOL, None),
    "sends one header line without end": (endless_line, Refusal.PROTOCOL, None),
    "sends interim answers without end": (endless_informational, Refusal.TIMEOUT, None),
    "sends a yes without end": (endless_body(200), None, 200),
    "sends a no without end": (endless_body(502), Refusal.HTTP, 502),
    "says yes with a gzip bomb": (bomb(200), None, 200),
    "says no with a gzip bomb": (bomb(500), Refusal.HTTP, 500),
    "resets at once": (reset_unread, Refusal.CONNECT, None),
    "closes unanswered": (close_unanswered, Refusal.CONNECT, None),
    "resets before an answer": (reset_after(b""), Refusal.CONNECT, None),
    "resets within its head": (reset_after(b"HTTP/1.1 200 OK\r\nX: "), Refusal.CONNECT, None),
    "resets within the body of a yes": (reset_after(b"HTTP/1.1 200 OK\r\n" + PART), None, 200),
    "resets within the body of a no": (reset_after(b"HTTP/1.1 503 No\r\n" + PART), Refusal.HTTP, 503),
    "speaks something else": (reset_after(b"SSH-2.0-OpenSSH_9.9\r\n"), Refusal.PROTOCOL, None),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_receiver_that(outgoing, serve, fault):
    peer, refusal, status = FAULTS[fault]
    port = await serve(peer)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async with outgoing(f"http://127.0.0.1:{port}/") as rig:
        began = time.monotonic()
        record, attempt = await rig.tell()

    assert time.monotonic() - began < TIMEOUT + SLACK
    assert attempt.seconds < TIMEOUT + SLACK
    assert (attempt.refusal, attempt.http_status) == (refusal, status)
    assert record.state is (DELIVERED if refusal is None else PENDING)
    assert (record.due_at is None) == (refusal is None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 64 * 1024


ABSENT = FIRST_SLOT
WISHES = {
    "": ABSENT,
    "Retry-After: 120": (120, 120),
    "Retry-After: 120.5": (120.5, 120.5),
    "Retry-After: 0": ABSENT,
    "retry-after-ms: 90500": (90.5, 90.5),
    "retry-after-ms: 90500\r\nRetry-After: 10": (90.5, 90.5),
    "Retry-After: DATE+600": (590, 601),
    "Retry-After: DATE-600": ABSENT,
    "Retry-After: 999999999999999999999": (DAY, DAY),
    "Retry-After: -5": ABSENT,
    "Retry-After: soon": ABSENT,
    "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT": (DAY, DAY),
    "Retry-After: nan": ABSENT,
    "Retry-After: 1e9": ABSENT,
    "Retry-After: ١٢": ABSENT,
}


@pytest.mark.parametrize("status", [429, 503, 500, 404, 302])
async def test_a_refusal_is_tried_again_at_the_later_of_schedule_and_wish(outgoing, serve, replies, status):
    spelled = [wish.replace("DATE+600", _date(600)).replace("DATE-600", _date(-600)) for wish in WISHES]
    answers = [f"HTTP/1.1 {status} No\r\n{wish or 'X: y'}\r\nContent-Length: 0\r\n\r\n".encode() for wish in spelled]
    urls = [f"http://127.0.0.1:{await serve(replies(answer))}/" for answer in answers]
    tables = {"endpoints": {f"e{n}": {"url": url, "secret": SECRET} for n, url in enumerate(urls)}}

    async with outgoing("http://127.0.0.1:9/", tables=tables) as rig:
        ids = [await rig.publish(f"e{n}") for n in range(len(urls))]
        found = [await rig.attempted(each) for each in ids]

    for (wish, (low, high)), (record, (attempt,)) in zip(WISHES.items(), found, strict=True):
        assert (record.state, attempt.http_status) == (PENDING, status), wish
        delay = record.due_at - attempt.started_at - attempt.seconds
        assert low - 0.01 <= delay <= high + 0.5, wish


def _date(offset: float) -> str:
    return formatdate(time.time() + offset, usegmt=True)


@pytest.mark.parametrize("field", [b"X: y", b"Retry-After: 5"])
async def test_410_is_dead_at_once_and_parks_what_follows(outgoing, serve, replies, field):
    port = await serve(replies(b"HTTP/1.1 410 Gone\r\n%b\r\nContent-Length: 0\r\n\r\n" % field))

    async with outgoing(f"http://127.0.0.1:{port}/") as rig:
        record, attempt = await rig.tell()
        later, _ = await rig.delivery(await rig.publish())

    assert (record.state, attempt.refusal, attempt.http_status) == (DEAD, Refusal.GONE, 410)
    assert later.state is DeliveryState.PARKED
    assert "410" in later.reason


@pytest.mark.parametrize(
    ("names", "days", "trusts", "words"),
    [
        (("127.0.0.1",), 30, False, "unable to get local issuer|self-signed"),
        (("127.0.0.1",), -1, True, "expired"),
        (("other.example",), 30, True, "mismatch"),
    ],
    ids=["unknown authority", "expired", "of another name"],
)
async def test_a_certificate_that_is(outgoing, serve, replies, certificates, monkeypatch, names, days, trusts, words):
    if trusts:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    port = await serve(replies(OK), certificates.server(*names, days=days))

    async with outgoing(f"https://127.0.0.1:{port}/") as rig:
        record, attempt = await rig.tell()

    assert (record.state, attempt.refusal, attempt.http_status) == (PENDING, Refusal.TLS, None)
    assert any(word in attempt.detail for word in words.split("|")), attempt.detail


async def test_a_good_certificate_is_taken(outgoing, serve, replies, certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    port = await serve(replies(OK), certificates.server())

    async with outgoing(f"https://127.0.0.1:{port}/") as rig:
        record, _ = await rig.tell()

    assert record.state is DELIVERED


async def test_tls_older_than_1_2_is_refused(outgoing, serve, replies, certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    old = certificates.server()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1

    async with outgoing(f"https://127.0.0.1:{await serve(replies(OK), old)}/") as rig:
        record, attempt = await rig.tell()

    assert (record.state, attempt.http_status) == (PENDING, None)
    assert attempt.refusal in (Refusal.TLS, Refusal.CONNECT)  # whether its alert or its reset is read first


async def test_no_tls_where_tls_was_asked_is_a_tls_refusal(outgoing, serve):
    async def plain(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        await reader.read(1)

    async with outgoing(f"https://127.0.0.1:{await serve(plain)}/") as rig:
        record, attempt = await rig.tell()

    assert (record.state, attempt.refusal) == (PENDING, Refusal.TLS), attempt.detail


async def test_a_handshake_that_hangs_is_bounded(outgoing, serve):
    port = await serve(never_read)

    async with outgoing(f"https://127.0.0.1:{port}/") as rig:
        record, attempt = await rig.tell()

    assert (record.state, attempt.refusal) == (PENDING, Refusal.TIMEOUT)
    assert attempt.seconds < TIMEOUT + SLACK


class KeepAlive:
    """Keeps connections and closes them at the wrong moment: *dies* names it, for every connection but the fresh one."""

    def __init__(self, dies: str) -> None:
        self.dies, self.taken = dies, 0

    async def __call__(self, reader, writer):
        await request(reader)
        self.taken += 1
        writer.write(OK)
        await writer.drain()
        if self.dies == "right after the answer":
            return
        if self.dies == "with an unasked answer":
            writer.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return
        await reader.readuntil(b"\r\n\r\n")
        if self.dies == "by a reset once the next request is in":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


@pytest.mark.parametrize(
    "dies",
    [
        "right after the answer",
        "with an unasked answer",
        "once the next request is in",
        "by a reset once the next request is in",
    ],
)
async def test_a_kept_connection_that_dies(outgoing, serve, dies):
    receiver = KeepAlive(dies)
    port = await serve(receiver)

    async with outgoing(f"http://127.0.0.1:{port}/") as rig:
        found = [await rig.tell() for _ in range(3)]

    assert [(record.state, attempt.number) for record, attempt in found] == [(DELIVERED, 1)] * 3
    assert receiver.taken == 3
