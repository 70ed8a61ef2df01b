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


REFUSED = [
    *["0.0.0.1", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.255.255.254", "168.63.129.16", "169.254.169.254", "169.254.170.2"],
    *["172.16.0.1", "172.31.255.255", "192.0.0.9", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1"],
    *["192.168.0.1", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1"],
    *["240.0.0.1", "255.255.255.255"],
    *(f"[{six}]" for six in ["::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:30::1", "2001:db8::1", "2002:a00:1::", "2620:4f:8000::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fec0::1", "ff02::1", "2606:4700::5efe:a00:1", "2606:4700::200:5efe:a00:1"]),
]  # fmt: skip


@pytest.mark.parametrize("is_trusted", [False, True])
async def test_no_address_of_the_table_is_dialled_but_the_operators_own_network(is_trusted):
    dialled = []

    class Watched(Guard):
        def check(self, host, port):
            complaint = super().check(host, port)
            dialled.extend([] if complaint else [host])
            return complaint

    guard = Watched(is_trusted=is_trusted, allow=[allowance("0.0.0.0/0:1"), allowance("[::]/0:1")])
    async with open_session(guard=guard) as session:
        seen = [
            await exchange(session, "GET", URL(f"https://{host}/", encoded=True), headers={}, timeout=0.05, limit=1)
            for host in REFUSED
        ]

    assert all(one.kind is FailureKind.TARGET_NOT_ALLOWED for one in seen) or is_trusted
    own = ("10.", "127.", "172.", "192.168.", "::1", "fc", "fd", "::ffff:10")
    assert not [host for host in dialled if not (is_trusted and host.startswith(own))]


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "168.63.129.16", "[::ffff:169.254.169.254]"])
async def test_a_metadata_address_is_refused_to_the_operator_and_to_an_allowance_round_it(host):
    allow = [allowance("0.0.0.0/0:80"), allowance("[::]/0:80")]

    seen = await fetch(Guard(is_trusted=True, allow=allow), f"http://{host}/latest/meta-data/")

    assert (seen.kind, seen.unsent) == (FailureKind.TARGET_NOT_ALLOWED, True)


@pytest.mark.parametrize("zone", ["%25lo", "%25eth0", "%lo", "%251"])
async def test_a_zone_id_opens_nothing(listening, zone):
    port, reached = listening

    for address in ("::1", "fe80::1"):
        try:
            seen = await fetch(Guard(), f"http://[{address}{zone}]:{port}/")
        except ValueError:
            continue
        assert seen.kind in (FailureKind.TARGET_NOT_ALLOWED, FailureKind.DNS)
    assert not reached


async def test_a_port_of_a_known_daemon_is_refused_where_only_dialling_can_tell(resolver):
    resolver["db.example."] = ["93.184.216.34"]

    seen = [await fetch(Guard(), f"https://db.example:{port}/") for port in (22, 6379, 5432, 11211)]

    assert all(one.kind is FailureKind.TARGET_NOT_ALLOWED and "port" in one.detail for one in seen)


async def test_a_name_that_changes_with_every_question_never_leads_to_the_bad_address(listening, serve, monkeypatch):
    port, good = listening
    bad = []

    async def victim(reader, writer):
        bad.append(1)

    server = await asyncio.start_server(victim, "127.0.0.2", port)
    turn = iter(range(1000))

    def look_up(*_args, **_kinds):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{1 + next(turn) % 2}", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    guard = Guard(allow=[allowance(f"127.0.0.1/32:{port}")])
    seen = [await fetch(guard, f"http://rebind.example:{port}/") for _ in range(10)]
    server.close()

    assert [isinstance(one, Answer) for one in seen] == [True, False] * 5
    assert (len(good), len(bad)) == (5, 0)


async def test_what_the_resolver_let_through_is_judged_again_at_the_socket(listening):
    """The resolver's verdict is not what protects: an answer that changed after it meets the socket's."""
    port, reached = listening
    guard = Guard()
    async with open_session(guard=guard) as session:
        session.connector._resolver._judge = lambda *_: None

        seen = await exchange(session, "GET", URL(f"http://localhost:{port}/"), headers={}, timeout=5, limit=9)

    assert (seen.kind, seen.unsent) == (FailureKind.TARGET_NOT_ALLOWED, True)
    assert not reached
