"""Downloads from real servers on loopback that cut, lie, drip, redirect and never stop."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from daemon.core.egress import allowance
from daemon.core.saving import Access, Copied, Save, SaveBounds, SaveFault, Uncopied
from daemon.net.download import HttpFetcher
from daemon.net.guard import Guard
from daemon.net.session import open_session

BODY = bytes(range(256)) * 12_000
DIGEST = hashlib.sha256(BODY).hexdigest()


@dataclass
class Host:
    """One origin; what it answers is set by the test, what it was asked is kept."""

    base: str = ""
    answer: object = None
    asked: list[dict] = field(default_factory=list)


@pytest.fixture
async def hosts() -> AsyncIterator[tuple[Host, Host]]:
    runners, made = [], []
    for _ in range(2):
        host = Host()

        async def handle(request: web.Request, host: Host = host) -> web.StreamResponse:
            host.asked.append(dict(request.headers) | {"path": request.path_qs})
            return await host.answer(request)

        app = web.Application()
        app.router.add_get("/{tail:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        runners.append(runner)
        made.append(host)
    yield made[0], made[1]
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def fetch(hosts, tmp_path: Path):
    ports = [int(host.base.rpartition(":")[2]) for host in hosts]
    home = open_session(guard=Guard(is_trusted=True))
    strangers = open_session(guard=Guard(allow=[allowance(f"127.0.0.1/32:{port}") for port in ports]))
    fetcher = HttpFetcher(home=home, strangers=strangers, now_at=lambda: 0.0, stall=0.3)

    async def one(path="/v.mp4", *, needs_auth=False, grows=lambda size: None, url=None, home_is=None, **bounds):
        save = Save(
            task_id="tsk_1",
            number=0,
            lane="amux",
            url=url or hosts[0].base + path,
            kind="video",
            needs_auth=needs_auth,
            expires_at=None,
        )

        async def access(link):
            return Access(url=link, headers={"Authorization": "Bearer sk-1", "Accept": "application/json"})

        return await fetcher.fetch(
            save,
            tmp_path / "0.part",
            bounds=SaveBounds(**bounds),
            home=home_is if home_is is not None else hosts[0].base,
            access=access,
            grows=grows,
        )

    one.part = tmp_path / "0.part"
    yield one
    await home.close()
    await strangers.close()


def whole(content=BODY, **headers):
    async def answer(request):
        return web.Response(body=content, headers={"Content-Type": "video/mp4", "ETag": '"v1"'} | headers)

    return answer


def cut_after(count: int, etag='"v1"', content=BODY):
    """Send *count* bytes of what is asked for, then break the connection."""

    async def answer(request):
        start = 0
        if "Range" in request.headers and request.headers.get("If-Range") == etag:
            start = int(request.headers["Range"][6:-1])
        response = web.StreamResponse(status=206 if start else 200)
        response.headers.update({"Content-Type": "video/mp4", "ETag": etag})
        response.content_length = len(content) - start
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        await response.prepare(request)
        await response.write(content[start : start + count])
        if start + count < len(content):
            request.transport.close()
        return response

    return answer


async def test_an_output_comes_whole_with_its_digest_and_type(hosts, fetch):
    hosts[0].answer = whole()

    got = await fetch()

    assert isinstance(got, Copied)
    assert (got.size, got.sha256, got.content_type) == (len(BODY), DIGEST, "video/mp4")
    assert fetch.part.read_bytes() == BODY
    assert [file.name for file in fetch.part.parent.iterdir()] == ["0.part"]


async def test_a_cut_download_goes_on_where_it_broke_off_and_its_digest_is_right(hosts, fetch):
    hosts[0].answer = cut_after(1_200_000)

    tries = [await fetch() for _ in range(3)]

    assert [type(each) for each in tries] == [Uncopied, Uncopied, Copied]
    assert tries[2].sha256 == DIGEST
    assert fetch.part.read_bytes() == BODY
    starts = [int(asked["Range"][6:-1]) for asked in hosts[0].asked if "Range" in asked]
    assert 0 < starts[0] <= 1_200_000
    assert starts[0] < starts[1] <= 2_400_000


async def test_an_output_that_changed_meanwhile_begins_anew(hosts, fetch):
    hosts[0].answer = cut_after(1_200_000, etag='"old"', content=b"o" * len(BODY))
    await fetch()
    hosts[0].answer = cut_after(len(BODY), etag='"new"')

    got = await fetch()

    assert hosts[0].asked[1]["If-Range"] == '"old"'
    assert got.sha256 == DIGEST
    assert fetch.part.read_bytes() == BODY


async def test_without_a_validator_nothing_is_resumed(hosts, fetch):
    hosts[0].answer = cut_after(1_200_000, etag="")
    await fetch()

    await fetch()

    assert "Range" not in hosts[0].asked[1]


async def test_bytes_written_before_the_machine_restarted_are_not_trusted(hosts, fetch):
    hosts[0].answer = cut_after(1_200_000)
    await fetch()
    beside = fetch.part.with_name("0.part.json")
    beside.write_text(json.dumps(json.loads(beside.read_text()) | {"boot": "another"}))
    hosts[0].answer = whole()

    got = await fetch()

    assert "Range" not in hosts[0].asked[1]
    assert got.sha256 == DIGEST


async def test_a_part_other_than_the_one_asked_for_is_refused_and_the_next_try_begins_anew(hosts, fetch):
    hosts[0].answer = cut_after(1_200_000)
    await fetch()

    async def another(request):
        return web.Response(status=206, body=b"x" * 10, headers={"Content-Range": "bytes 0-9/3072000"})

    hosts[0].answer = another
    assert (await fetch()).fault is SaveFault.PROTOCOL
    hosts[0].answer = whole()

    assert (await fetch()).sha256 == DIGEST


async def test_parts_that_do_not_make_the_announced_length_are_no_output(hosts, fetch):
    hosts[0].answer = cut_after(1_200_000)
    await fetch()

    async def short(request):
        start = int(request.headers["Range"][6:-1])
        return web.Response(
            status=206, body=b"x" * 10, headers={"Content-Range": f"bytes {start}-{start + 9}/{len(BODY)}"}
        )

    hosts[0].answer = short
    got = await fetch()

    assert got.fault is SaveFault.PROTOCOL
    assert "were announced" in got.detail


async def test_a_length_that_only_a_later_part_tells_holds_and_a_short_part_is_gone_on_from(hosts, fetch):
    content, came = bytes(range(250)) * 4, asyncio.Event()

    def grows(size):
        if size >= 100:
            came.set()

    async def windows(request):
        head = {"Content-Type": "video/mp4", "ETag": '"v1"'}
        if "Range" in request.headers:
            start = int(request.headers["Range"][6:-1])
            part = content[start : start + 450]
            head["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
            return web.Response(status=206, body=part, headers=head)
        response = web.StreamResponse(headers=head)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(content[:100])
        await came.wait()
        request.transport.close()
        return response

    hosts[0].answer = windows
    tries = [await fetch(grows=grows) for _ in range(3)]

    assert [getattr(one, "left", None) for one in tries] == [100, 550, None]
    assert tries[1].fault is SaveFault.PROTOCOL
    assert (tries[2].size, tries[2].sha256) == (1000, hashlib.sha256(content).hexdigest())


async def test_a_try_that_failed_tells_how_much_lies_on_the_disk_not_what_was_announced(hosts, fetch):
    hosts[0].answer = cut_after(1_200_000)
    got = await fetch()

    assert got.left == fetch.part.stat().st_size
    assert 0 < got.left < len(BODY)


async def endless(request):
    response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        while True:
            await response.write(b"x" * 65536)
    except ConnectionError:
        return response


async def test_an_endless_body_is_cut_at_max_bytes(hosts, fetch):
    hosts[0].answer = endless

    got = await fetch(max_bytes=3_000_000)

    assert got.fault is SaveFault.TOO_LARGE
    assert fetch.part.stat().st_size <= 3_000_000


async def test_an_announced_size_past_the_bound_costs_no_byte(hosts, fetch):
    hosts[0].answer = whole()

    got = await fetch(max_bytes=1000)

    assert got.fault is SaveFault.TOO_LARGE
    assert fetch.part.stat().st_size == 0


async def test_no_room_stops_it_while_it_comes(hosts, fetch):
    hosts[0].answer = endless

    got = await fetch(grows=lambda size: "full" if size > 2_000_000 else None)

    assert (got.fault, got.detail) == (SaveFault.NO_ROOM, "full")
    assert fetch.part.stat().st_size <= 2_000_000


async def test_a_drip_is_stalled_long_before_the_deadline(hosts, fetch):
    async def drip(request):
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        response.content_length = 1_000_000
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)

    hosts[0].answer = drip

    async with asyncio.timeout(5):
        got = await fetch(timeout=60.0)

    assert got.fault is SaveFault.STALLED


async def test_one_deadline_runs_over_the_whole_try(hosts, fetch):
    async def hang(request):
        await asyncio.sleep(30)

    hosts[0].answer = hang

    async with asyncio.timeout(5):
        got = await fetch(timeout=0.2)

    assert got.fault is SaveFault.TIMEOUT


async def test_the_key_goes_to_a_link_that_needs_it_and_to_no_other(hosts, fetch):
    hosts[0].answer = whole()

    await fetch()
    await fetch(needs_auth=True)

    assert "Authorization" not in hosts[0].asked[0]
    assert hosts[0].asked[1]["Authorization"] == "Bearer sk-1"
    assert hosts[0].asked[1]["Accept"] == "*/*"


def to(url: str):
    async def answer(request):
        return web.Response(status=302, headers={"Location": url})

    return answer


async def test_a_redirect_to_another_origin_drops_the_key_and_one_back_does_not_bring_it_again(hosts, fetch):
    async def first(request):
        if request.path == "/v.mp4":
            return web.Response(status=302, headers={"Location": hosts[1].base + "/hop?sig=a%2Fb"})
        return await whole()(request)

    hosts[0].answer, hosts[1].answer = first, to(hosts[0].base + "/back")

    got = await fetch(needs_auth=True, home_is="")

    assert isinstance(got, Copied), got
    assert hosts[0].asked[0]["Authorization"] == "Bearer sk-1"
    assert "Authorization" not in hosts[1].asked[0]
    assert hosts[1].asked[0]["path"] == "/hop?sig=a%2Fb"
    assert "Authorization" not in hosts[0].asked[1]


async def test_a_redirect_within_the_origin_keeps_the_key(hosts, fetch):
    async def first(request):
        if request.path == "/v.mp4":
            return web.Response(status=307, headers={"Location": "/w.mp4"})
        return await whole()(request)

    hosts[0].answer = first

    await fetch(needs_auth=True)

    assert hosts[0].asked[1]["Authorization"] == "Bearer sk-1"


async def test_redirects_have_an_end(hosts, fetch):
    hosts[0].answer = to("/again")

    got = await fetch()

    assert got.fault is SaveFault.PROTOCOL
    assert len(hosts[0].asked) == 6


@pytest.mark.parametrize("link", ["http://169.254.169.254/latest", "http://127.0.0.1:1/x", "http://10.0.0.1/x"])
async def test_neither_a_link_nor_a_redirect_leads_into_the_private_network(hosts, fetch, link):
    hosts[0].answer = to(link)

    told, led = await fetch(url=link), await fetch()

    assert told.fault is SaveFault.NOT_ALLOWED
    assert led.fault is SaveFault.NOT_ALLOWED


async def test_only_links_on_the_lane_s_own_origin_may_stand_on_a_private_address(hosts, fetch, tmp_path):
    hosts[0].answer = whole()
    async with open_session(guard=Guard(is_trusted=True)) as home, open_session(guard=Guard()) as strangers:
        fetcher = HttpFetcher(home=home, strangers=strangers, now_at=lambda: 0.0)
        save = Save(
            task_id="t",
            number=0,
            lane="l",
            url=hosts[0].base + "/v",
            kind="video",
            needs_auth=False,
            expires_at=None,
        )

        async def tried(home_is):
            return await fetcher.fetch(
                save, tmp_path / "p", bounds=SaveBounds(), home=home_is, access=None, grows=lambda size: None
            )

        assert isinstance(await tried(hosts[0].base), Copied)
        assert (await tried("https://api.example:443")).fault is SaveFault.NOT_ALLOWED


@pytest.mark.parametrize("status", [403, 404, 410, 500])
async def test_a_link_that_is_refused_says_with_what(hosts, fetch, status):
    async def refuse(request):
        return web.Response(status=status, headers={"Retry-After": "7"})

    hosts[0].answer = refuse

    got = await fetch(path="/v.mp4?X-Secret=abc")

    assert (got.fault, got.http_status, got.retry_after) == (SaveFault.HTTP, status, 7.0)
    assert "abc" not in got.detail


async def test_a_page_in_place_of_a_video_and_an_empty_answer_are_no_output(hosts, fetch):
    hosts[0].answer = whole(b"<html>link expired", **{"Content-Type": "text/html; charset=utf-8"})
    assert (await fetch()).fault is SaveFault.NOT_THE_OUTPUT

    hosts[0].answer = whole(b"")
    assert (await fetch()).fault is SaveFault.NOT_THE_OUTPUT


@pytest.mark.parametrize("url", ["s3://bucket/key", "gs://b/k", "https://user:pw@host/x", "https://h:0/", "nonsense"])
async def test_what_is_no_link_is_told_apart_from_weather(fetch, url):
    got = await fetch(url=url)

    assert got.fault is SaveFault.UNFETCHABLE
    assert "pw" not in got.detail


async def test_a_cancelled_try_leaves_its_bytes_for_the_next_one(hosts, fetch):
    begun = asyncio.Event()

    async def slow(request):
        response = web.StreamResponse(headers={"Content-Type": "video/mp4", "ETag": '"v1"'})
        response.content_length = len(BODY)
        await response.prepare(request)
        await response.write(BODY[:1_500_000])
        begun.set()
        await asyncio.sleep(30)

    hosts[0].answer = slow
    seen = asyncio.create_task(fetch())
    await begun.wait()
    while not fetch.part.exists() or fetch.part.stat().st_size == 0:
        await asyncio.sleep(0.005)
    seen.cancel()
    await asyncio.wait([seen])
    hosts[0].answer = cut_after(len(BODY))

    got = await fetch()

    assert got.sha256 == DIGEST
    assert int(hosts[0].asked[1]["Range"][6:-1]) > 1_000_000
