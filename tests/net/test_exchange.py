"""One exchange is a value, whatever the peer does; bounded in time and bytes."""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
import zlib

import aiohttp
import pytest
from yarl import URL

from daemon.net.exchange import Answer, Failure, FailureKind, exchange
from daemon.net.guard import Guard
from daemon.net.lean import Lean
from daemon.net.session import USER_AGENT, open_session, tls_context

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


LEAN: dict[aiohttp.ClientSession, Lean] = {}


@pytest.fixture(params=["exchange", "lean"])
async def session(request):
    """A session; where the parameter says lean, a plain GET goes the lean way, which promises the same."""
    async with open_session(guard=None) as opened:
        if request.param == "lean":
            LEAN[opened] = Lean(opened, keep_alive=15.0)
        yield opened
        if request.param == "lean":
            LEAN.pop(opened).close()


async def get(session, port, *, scheme="http", host="127.0.0.1", method="GET", timeout=5.0, limit=1000, **rest):
    url = URL(f"{scheme}://{host}:{port}/path?secret=hunter2")
    headers = rest.pop("headers", {})
    if session in LEAN and method == "GET" and not rest:
        lean = LEAN[session]
        return await lean.get(lean.road(url, headers), url.raw_path_qs, timeout=timeout, limit=limit)
    return await exchange(session, method, url, headers=headers, timeout=timeout, limit=limit, **rest)


async def test_an_answer_carries_status_headers_body_and_the_peers_address(session, serve, replies):
    port = await serve(replies(b"HTTP/1.1 404 Nope\r\nX-Odd: yes\r\nContent-Length: 5\r\n\r\nhello"))

    answer = await get(session, port)

    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["x-odd"], answer.body, answer.address) == (404, "yes", b"hello", "127.0.0.1")
    assert 0 <= answer.seconds < 5


async def test_the_exact_bytes_and_our_name_are_sent_and_no_cookie_comes_back(session, serve):
    heads = []

    async def peer(reader, writer):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            heads.append(head + await reader.readexactly(3))
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

    port = await serve(peer)

    for _ in range(2):
        await get(session, port, method="POST", body=b"\x00\xffz", headers={"X-Mine": "1"})

    assert all(head.endswith(b"\r\n\r\n\x00\xffz") and b"X-Mine: 1\r\n" in head for head in heads)
    assert all(f"User-Agent: {USER_AGENT}".encode() in head and b"Cookie" not in head for head in heads)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(session, serve, replies, status):
    port = await serve(
        replies(f"HTTP/1.1 {status} Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".encode())
    )

    answer = await get(session, port)

    assert isinstance(answer, Answer)
    assert answer.status == status


async def test_a_body_past_the_limit_is_a_failure_that_keeps_its_status(session, serve, replies):
    port = await serve(replies(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b"x" * 11))

    exact = await get(session, port, limit=11)
    failure = await get(session, port, limit=10)

    assert isinstance(exact, Answer)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.status, failure.unsent) == (FailureKind.TOO_LARGE, 200, False)


async def test_an_endless_body_is_cut_where_it_may_be_and_the_connection_is_closed(session, serve):
    gone = asyncio.Event()

    async def peer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except ConnectionError:
            gone.set()

    port = await serve(peer)

    answer = await get(session, port, limit=5000, truncate=True)

    assert isinstance(answer, Answer)
    assert answer.body == b"x" * 5000
    await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.parametrize("length", [b"Content-Length: 1000\r\n", b""])
async def test_a_drip_feed_is_cut_by_the_one_deadline(session, serve, length):
    async def peer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    port = await serve(peer)

    failure = await get(session, port, timeout=0.3)

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.status, failure.unsent) == (FailureKind.TIMEOUT, 200, False)
    assert 0.29 <= failure.seconds < 1.5


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n"]
)
async def test_a_peer_that_hangs_before_its_headers_end_is_a_timeout(session, serve, first):
    async def peer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        await reader.read()

    port = await serve(peer)

    failure = await get(session, port, timeout=0.2)

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent, failure.status) == (FailureKind.TIMEOUT, False, None)
    assert failure.address == "127.0.0.1"


async def test_a_connection_that_is_never_taken_up_is_a_timeout_with_nothing_sent(session):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))

        failure = await get(session, port, timeout=0.2)

        for filler in fillers:
            filler.close()

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent) == (FailureKind.TIMEOUT, True)


async def test_a_refused_connection_left_nothing(session):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))

        failure = await get(session, taken.getsockname()[1])

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent, failure.address) == (FailureKind.CONNECT, True, "127.0.0.1")
    assert "hunter2" not in failure.detail


@pytest.mark.parametrize(
    "noise",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 1_000_000,
        b"HTTP/1.1 200 " + b"b" * 1_000_000,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nplain",
    ],
)
async def test_what_is_no_http_answer_is_a_protocol_failure_that_repeats_nothing_of_it(session, serve, replies, noise):
    port = await serve(replies(noise))

    failure = await get(session, port)

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent) == (FailureKind.PROTOCOL, False)
    assert "SSH" not in failure.detail
    assert "plain" not in failure.detail


async def test_a_connection_reset_before_the_answer_is_a_failure_after_sending(session, serve):
    async def peer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    port = await serve(peer)

    failure = await get(session, port, method="POST")

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent, failure.is_stale) == (FailureKind.CONNECT, False, False)


async def test_a_body_that_breaks_off_is_a_failure_that_keeps_its_status(session, serve, replies):
    port = await serve(replies(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"))

    failure = await get(session, port)

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.status) == (FailureKind.PROTOCOL, 200)


async def test_a_body_that_breaks_off_is_cut_there_where_it_may_be(session, serve, replies):
    port = await serve(replies(b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 100\r\n\r\nonly this"))

    answer = await get(session, port, truncate=True)
    failure = await get(session, port)

    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["Retry-After"], answer.body) == (503, "7", b"only this")
    assert isinstance(failure, Failure)
    assert failure.headers["retry-after"] == "7"


async def test_a_body_announced_too_long_is_not_read_at_all(session, serve):
    gone = asyncio.Event()

    async def peer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")
        await reader.read()
        gone.set()

    port = await serve(peer)

    failure = await get(session, port)

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.status) == (FailureKind.TOO_LARGE, 200)
    await asyncio.wait_for(gone.wait(), 5)


async def test_many_megabytes_are_joined_whole(session, serve, replies):
    body = bytes(range(256)) * 20_000
    port = await serve(replies(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))

    answer = await get(session, port, limit=len(body))

    assert isinstance(answer, Answer)
    assert answer.body == body


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)) + packer.flush()


@pytest.mark.parametrize("members", [1, 40])
async def test_a_gzip_bomb_is_stopped_before_the_memory_is_spent(session, serve, replies, members):
    packed = b"".join(bomb(200_000_000 // members) for _ in range(members))
    port = await serve(
        replies(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)
    )

    tracemalloc.start()
    failure = await get(session, port, limit=1_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.TOO_LARGE
    assert peak < 6_000_000


async def test_a_gzip_answer_is_read_in_the_clear_and_left_alone_where_the_session_says_so(session, serve, replies):
    packed = gzip.compress(b"hello" * 50)
    port = await serve(
        replies(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)
    )
    async with open_session(guard=None, decompress=False) as raw_session:
        raw = await get(raw_session, port)

    answer = await get(session, port)

    assert isinstance(answer, Answer)
    assert isinstance(raw, Answer)
    assert (answer.body, raw.body) == (b"hello" * 50, packed)


@pytest.mark.parametrize(
    ("names", "days", "word"),
    [(("127.0.0.1",), 30, "issuer"), (("other.example",), 30, "mismatch"), (("127.0.0.1",), -1, "expired")],
)
async def test_a_bad_certificate_is_a_tls_failure_with_nothing_sent(serve, replies, certificates, names, days, word):
    port = await serve(replies(OK), certificates.server(*names, days=days))
    tls = tls_context(ca_file=None if word == "issuer" else str(certificates.authority))

    async with open_session(guard=None, tls=tls) as session:
        failure = await get(session, port, scheme="https")

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent) == (FailureKind.TLS, True)
    assert word in failure.detail


async def test_a_good_certificate_is_taken(serve, replies, certificates):
    port = await serve(replies(OK), certificates.server())

    async with open_session(guard=None, tls=tls_context(ca_file=str(certificates.authority))) as session:
        answer = await get(session, port, scheme="https")
        by_name = await get(session, port, scheme="https", host="localhost")

    assert isinstance(answer, Answer)
    assert isinstance(by_name, Answer)


async def test_plain_http_where_tls_was_asked_is_a_tls_failure(session, serve, replies):
    async def peer(reader, writer):
        await reader.read(100)
        writer.write(OK)

    port = await serve(peer)

    failure = await get(session, port, scheme="https")

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent) == (FailureKind.TLS, True)


async def test_an_unknown_name_is_a_dns_failure(session, monkeypatch):
    def nobody(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)

    failure = await get(session, 80, host="nobody.example")

    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent) == (FailureKind.DNS, True)


def closes_second_request(connections: list[int]):
    """A peer whose first connection answers once, then reads the next request and closes; later ones answer."""

    async def peer(reader, writer):
        connections.append(0)
        mine = len(connections) - 1
        while True:
            await reader.readuntil(b"\r\n\r\n")
            connections[mine] += 1
            if mine == 0 and connections[0] == 2:
                return
            writer.write(OK)
            await writer.drain()

    return peer


async def test_a_get_on_a_dead_kept_connection_is_repeated_but_not_where_it_may_go_once(serve):
    for once, kind in ((False, Answer), (True, Failure)):
        connections: list[int] = []
        port = await serve(closes_second_request(connections))
        async with open_session(guard=None) as session:
            await get(session, port, once=once)

            seen = await get(session, port, once=once)

        assert isinstance(seen, kind)
        assert (connections[0], sum(connections[1:])) == (2, 0 if once else 1)


async def test_a_post_on_a_dead_kept_connection_says_so(session, serve):
    port = await serve(closes_second_request([]))
    await get(session, port, method="POST")

    failure = await get(session, port, method="POST")

    assert isinstance(failure, Failure)
    assert failure.is_stale
    assert not failure.unsent


async def test_without_keep_alive_each_request_has_its_own_connection(serve):
    connections: list[int] = []
    port = await serve(closes_second_request(connections))

    async with open_session(guard=None, keep_alive=0) as session:
        seen = [await get(session, port) for _ in range(3)]

    assert all(isinstance(answer, Answer) for answer in seen)
    assert connections == [1, 1, 1]


async def test_cancelling_passes_through_and_closes_the_connection(session, serve):
    begun, gone = asyncio.Event(), asyncio.Event()

    async def peer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        begun.set()
        await reader.read()
        gone.set()

    port = await serve(peer)
    task = asyncio.create_task(get(session, port))
    await asyncio.wait_for(begun.wait(), 5)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(gone.wait(), 5)


async def test_a_closed_session_is_a_bug_and_is_raised(session):
    await session.close()

    with pytest.raises(RuntimeError):
        await get(session, 1)


async def test_sessions_know_no_proxy_of_the_environment(monkeypatch, serve, replies):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    port = await serve(replies(OK))

    async with open_session(guard=Guard(is_trusted=True)) as session:
        answer = await get(session, port)

    assert isinstance(answer, Answer)
    assert tls_context().minimum_version.name == "TLSv1_2"
    assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
