"""Nothing is dialled that the rules forbid: judged on the address, however it was spelled or resolved."""

from __future__ import annotations

import asyncio
import socket
import threading
from ipaddress import IPv4Address

import pytest
from yarl import URL

from daemon.core.egress import allowance
from daemon.net.exchange import Answer, Failure, FailureKind, exchange
from daemon.net.guard import Guard
from daemon.net.session import open_session

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
async def listening(serve):
    """A server on loopback that counts who reaches it."""
    reached = []

    async def peer(reader, writer):
        reached.append(1)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)

    return await serve(peer), reached


@pytest.fixture
def resolver(monkeypatch):
    """Answers of the system's resolver by name; others go to the real one."""
    answers: dict[str, list[str] | Exception] = {}
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(name, port, **kinds):
        asked.append(name)
        found = answers.get(name)
        if found is None:
            return real(name, port, **kinds)
        if isinstance(found, Exception):
            raise found
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in found]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, 0)) for family, address in zip(families, found, strict=True)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    answers["asked"] = asked
    return answers


async def fetch(guard: Guard | None, url: str, **rest):
    async with open_session(guard=guard) as session:
        return await exchange(session, "GET", URL(url, encoded=True), headers={}, timeout=5, limit=100, **rest)


LOOPBACKS = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "0x7f000001",
    "0x7f.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "0",
    "１２７.0.0.1",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "localhost",
    "localhost.",
    "LOCALHOST",
]


@pytest.mark.parametrize("host", LOOPBACKS)
@pytest.mark.parametrize("normalised", [True, False])
async def test_no_spelling_of_loopback_gets_past_the_guard(listening, host, normalised):
    port, reached = listening
    url = URL(f"http://{host}:{port}/", encoded=not normalised)

    async with open_session(guard=Guard()) as session:
        seen = await exchange(session, "GET", url, headers={}, timeout=5, limit=100)

    assert isinstance(seen, Failure)
    assert seen.kind in (FailureKind.TARGET_NOT_ALLOWED, FailureKind.DNS)
    assert seen.unsent
    assert not reached


async def test_a_literal_is_refused_as_not_allowed_and_named(listening):
    port, _ = listening

    seen = await fetch(Guard(), f"http://127.0.0.1:{port}/?key=hunter2")

    assert isinstance(seen, Failure)
    assert seen.kind is FailureKind.TARGET_NOT_ALLOWED
    assert "127.0.0.1" in seen.detail
    assert "hunter2" not in seen.detail


async def test_an_allowed_address_and_port_is_reached_by_literal_and_by_name(listening, resolver):
    port, reached = listening
    resolver["app.example."] = ["127.0.0.1"]
    guard = Guard(allow=[allowance(f"127.0.0.1/32:{port}")])

    seen = [await fetch(guard, f"http://{host}:{port}/") for host in ("127.0.0.1", "localhost", "app.example")]

    assert all(isinstance(answer, Answer) for answer in seen), seen
    assert len(reached) == 3


async def test_an_allowance_opens_its_own_port_only(listening):
    port, reached = listening

    seen = await fetch(Guard(allow=[allowance("127.0.0.1/32:9")]), f"http://127.0.0.1:{port}/")

    assert isinstance(seen, Failure)
    assert not reached


async def test_the_operators_own_url_reaches_loopback_but_not_the_daemons_own_listener(listening):
    port, reached = listening
    own = {(IPv4Address("127.0.0.1"), port)}

    reaches = await fetch(Guard(is_trusted=True), f"http://localhost:{port}/")
    refused = await fetch(Guard(is_trusted=True, own=own), f"http://localhost:{port}/")

    assert isinstance(reaches, Answer)
    assert isinstance(refused, Failure)
    assert refused.kind is FailureKind.TARGET_NOT_ALLOWED
    assert len(reached) == 1


@pytest.mark.parametrize(
    "answers",
    [
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
        ["93.184.216.34", "fd00::1"],
        ["2606:2800:220:1::1", "10.0.0.1"],
        ["93.184.216.34", "::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["fe80::1%2"],
    ],
)
@pytest.mark.parametrize("remember", [0.0, 60.0])
async def test_one_bad_address_among_several_condemns_the_name(resolver, answers, remember):
    resolver["split.example."] = answers

    async with open_session(guard=Guard(), remember_names=remember) as session:
        seen = [
            await exchange(session, "GET", URL("https://split.example/"), headers={}, timeout=5, limit=100)
            for _ in range(2)
        ]

    for failure in seen:
        assert isinstance(failure, Failure)
        assert (failure.kind, failure.unsent) == (FailureKind.TARGET_NOT_ALLOWED, True)
        assert ("mixed" in failure.detail) == (len(answers) > 1)


async def test_a_name_that_turns_bad_after_its_first_answer_is_judged_again(listening, resolver):
    port, reached = listening
    guard = Guard(allow=[allowance(f"127.0.0.1/32:{port}")])
    resolver["rebind.example."] = ["127.0.0.1"]
    async with open_session(guard=guard, keep_alive=0) as session:
        url = URL(f"http://rebind.example:{port}/")
        first = await exchange(session, "GET", url, headers={}, timeout=5, limit=100)
        resolver["rebind.example."] = ["127.0.0.2"]

        second = await exchange(session, "GET", url, headers={}, timeout=5, limit=100)

    assert isinstance(first, Answer)
    assert isinstance(second, Failure)
    assert second.kind is FailureKind.TARGET_NOT_ALLOWED
    assert len(reached) == 1


async def test_plain_http_never_leaves_for_a_public_address_even_where_the_operator_typed_it(resolver):
    resolver["public.example"] = ["93.184.216.34"]

    seen = await fetch(Guard(is_trusted=True), "http://public.example/")

    assert isinstance(seen, Failure)
    assert seen.kind is FailureKind.TARGET_NOT_ALLOWED
    assert "plain http" in seen.detail


async def test_strangers_names_are_asked_for_as_absolute_and_the_operators_as_typed(resolver):
    for name in ("a.example.", "a.example"):
        resolver[name] = ["127.0.0.1"]

    await fetch(Guard(), "https://a.example/")
    await fetch(Guard(is_trusted=True, own=()), "https://a.example:1/")

    assert resolver["asked"] == ["a.example.", "a.example"]


async def test_a_name_that_hangs_delays_no_other_and_is_a_timeout_with_nothing_sent(listening, monkeypatch):
    port, _ = listening
    release = threading.Event()
    hung: list[str] = []

    def look_up(name, *_args, **_kwargs):
        if name == "hangs":
            hung.append(name)
            release.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with open_session(guard=Guard(is_trusted=True)) as session:

        def ask(host: str, timeout: float):
            return exchange(session, "GET", URL(f"http://{host}:{port}/"), headers={}, timeout=timeout, limit=100)

        *stuck, fine = await asyncio.gather(*(ask("hangs", 0.3) for _ in range(100)), ask("fine", 5))
        release.set()

    assert isinstance(fine, Answer)
    assert all(isinstance(one, Failure) and one.kind is FailureKind.TIMEOUT and one.unsent for one in stuck)
    assert hung == ["hangs"]
