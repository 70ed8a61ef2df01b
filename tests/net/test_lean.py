"""What the lean way promises beyond an exchange: connections kept, used again, and given up in time."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from yarl import URL

from daemon.net.exchange import Answer, Failure, FailureKind, exchange
from daemon.net.lean import Lean
from daemon.net.session import USER_AGENT, open_session


@pytest.fixture
async def session():
    async with open_session(guard=None) as opened:
        yield opened


@pytest.fixture
async def lean(session):
    made = Lean(session, keep_alive=5.0)
    yield made
    made.close()


class Peer:
    """Answers on kept connections and counts both; closes a connection after *lives* answers."""

    def __init__(self, *, lives=1000, says=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"):
        self.lives, self.says = lives, says
        self.connections, self.heads = 0, []

    async def __call__(self, reader, writer):
        self.connections += 1
        for _ in range(self.lives):
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.says)


async def ask(lean, port, *, headers=None, target="/a%2Fb?c=d", timeout=5.0):
    road = lean.road(URL(f"http://127.0.0.1:{port}/"), headers or {})
    return await lean.get(road, target, timeout=timeout, limit=1000)


async def test_one_connection_serves_one_exchange_after_another(lean, serve):
    peer = Peer()
    port = await serve(peer)

    answers = [await ask(lean, port) for _ in range(5)]

    assert [answer.body for answer in answers] == [b"ok"] * 5
    assert peer.connections == 1


async def test_what_is_sent_is_the_target_the_headers_given_and_those_of_the_session(lean, serve):
    peer = Peer()
    port = await serve(peer)

    await ask(lean, port, headers={"Authorization": "Bearer k"})

    lines = peer.heads[0].split(b"\r\n")
    assert lines[0] == b"GET /a%2Fb?c=d HTTP/1.1"
    assert {f"Host: 127.0.0.1:{port}".encode(), b"Authorization: Bearer k", f"User-Agent: {USER_AGENT}".encode()} <= {
        *lines
    }


async def test_a_kept_connection_that_has_died_is_replaced_by_a_new_one(lean, serve):
    peer = Peer(lives=1)
    port = await serve(peer)

    for _ in range(3):
        assert isinstance(await ask(lean, port), Answer)
        await asyncio.sleep(0)

    assert peer.connections == 3


async def test_a_kept_connection_that_dies_under_the_request_is_repeated_on_a_new_one(lean, serve):
    heads = []

    async def peer(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    port = await serve(peer)
    assert isinstance(await ask(lean, port), Answer)

    answer = await ask(lean, port)

    assert isinstance(answer, Answer)
    assert len(heads) == 3


async def test_a_connection_that_an_exchange_left_and_that_dies_is_replaced_too(session, lean, serve):
    heads = []

    async def peer(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    port = await serve(peer)
    url = URL(f"http://127.0.0.1:{port}/")
    assert isinstance(await exchange(session, "GET", url, headers={}, timeout=5.0, limit=100), Answer)

    answer = await ask(lean, port)

    assert isinstance(answer, Answer)
    assert len(heads) == 3


async def test_what_left_on_a_kept_connection_counts_as_sent_though_no_new_one_can_be_made(lean):
    async def peer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.readuntil(b"\r\n\r\n")
        server.close()
        writer.close()

    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert isinstance(await ask(lean, port), Answer)

    failure = await ask(lean, port)

    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.CONNECT
    assert not failure.unsent


async def test_a_new_connection_that_dies_before_an_answer_is_not_tried_again(lean, serve):
    connections = []

    async def peer(reader, writer):
        connections.append(await reader.readuntil(b"\r\n\r\n"))

    port = await serve(peer)

    failure = await ask(lean, port)

    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.CONNECT
    assert len(connections) == 1


async def test_a_request_is_written_three_times_at_most_whatever_its_connections_seem_to_be(serve):
    heads = []

    async def peer(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    port = await serve(peer)
    async with aiohttp.ClientSession() as stranger:  # notes no dialling, so that each connection seems to be a kept one
        failure = await ask(Lean(stranger, keep_alive=5.0), port)

    assert isinstance(failure, Failure)
    assert len(heads) == 3


async def test_bytes_nobody_asked_for_end_a_kept_connection(lean, serve):
    more = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    peer = Peer(says=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + more)
    port = await serve(peer)

    answers = [await ask(lean, port) for _ in range(3)]

    assert [answer.body for answer in answers] == [b"ok"] * 3
    assert peer.connections == 3


async def test_two_at_once_never_share_a_connection(lean, serve):
    peer = Peer()
    port = await serve(peer)

    await asyncio.gather(*(ask(lean, port) for _ in range(10)))

    assert peer.connections == 10


async def test_origins_never_share_a_connection(lean, serve):
    first, second = Peer(), Peer()
    ports = [await serve(first), await serve(second)]

    for port in ports:
        await ask(lean, port)

    assert (first.connections, second.connections) == (1, 1)


async def test_an_exchange_cancelled_in_the_middle_leaves_no_connection_behind(lean, serve):
    gone = asyncio.Event()

    async def peer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        gone.set()

    port = await serve(peer)
    asking = asyncio.create_task(ask(lean, port))
    await asyncio.sleep(0.05)

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(gone.wait(), 5)


async def test_a_connection_that_lies_idle_too_long_is_closed(session, serve):
    gone = asyncio.Event()

    async def peer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.read()
        gone.set()

    lean = Lean(session, keep_alive=0.05)
    port = await serve(peer)
    assert isinstance(await ask(lean, port), Answer)

    await asyncio.wait_for(gone.wait(), 5)

    lean.close()


async def test_a_connection_in_steady_use_is_given_up_in_time_so_that_a_moved_name_is_followed(session, serve):
    peer = Peer(lives=10**9)
    port = await serve(peer)
    lean = Lean(session, keep_alive=5.0, life=0.2)
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.7

    while loop.time() < until:
        assert isinstance(await ask(lean, port), Answer)
    lean.close()

    assert 3 <= peer.connections <= 6


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\0b"])
async def test_no_header_can_smuggle_another(lean, value):
    with pytest.raises(ValueError, match="control character"):
        lean.road(URL("http://127.0.0.1:1/"), {"Authorization": value})
