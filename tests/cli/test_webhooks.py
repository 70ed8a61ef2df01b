"""events, deliveries, redeliver, endpoint, provider."""

from __future__ import annotations

import asyncio
import json

import pytest


async def test_events_reads_the_feed_to_its_end(api, pollhook, shapes):
    event = shapes["event"]
    api.on("GET", "/v1/events", {"data": [event(1), event(2)], "next": "c2"}, {"data": [], "next": "c2"})

    ran = await pollhook("events", "--after", "msg_0", "--json")

    assert ran.lines == [event(1), event(2)]
    assert [asked.query["after"] for asked in api.asked] == ["msg_0", "c2"]


async def test_events_follows_the_feed_for_as_long_as_it_is_let(api, start, shapes):
    event = shapes["event"]
    api.on("GET", "/v1/events", *({"data": [event(n)], "next": f"c{n}"} for n in (1, 2)))
    process = await start("events", "--follow", "--json", POLLHOOK_SERVER=api.address, POLLHOOK_TOKEN="secret-token")

    lines = [json.loads(await asyncio.wait_for(process.stdout.readline(), 20)) for _ in range(2)]
    process.terminate()
    await process.communicate()

    assert lines == [event(1), event(2)]
    assert [(asked.query.get("after"), asked.query["wait"]) for asked in api.asked[:2]] == [
        (None, "30.0"),
        ("c1", "30.0"),
    ]


async def test_events_prints_a_table(api, pollhook, shapes):
    api.on("GET", "/v1/events", {"data": [shapes["event"](1)], "next": "c1"}, {"data": [], "next": "c1"})

    ran = await pollhook("events")

    assert ran.out.splitlines()[1].split()[-4:] == ["task.succeeded", "amux", "r1", "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3"]


async def test_deliveries_are_listed_by_state_and_endpoint(api, pollhook, shapes):
    api.on("GET", "/v1/deliveries", {"data": [shapes["delivery"]], "next": None})

    table = await pollhook("deliveries", "--state", "dead", "--endpoint", "default")
    plain = await pollhook("deliveries", "--json")

    assert api.asked[0].query == {"state": "dead", "endpoint": "default", "limit": "50"}
    assert "no success in 2 attempts" in table.out
    assert plain.lines == [shapes["delivery"]]


async def test_a_delivery_is_shown_with_its_attempts(api, pollhook, shapes):
    attempt = {
        "number": 1, "started_at": "2026-11-21T20:11:40.600Z", "seconds": 0.02, "http_status": 302,
        "refusal": "redirect", "detail": "302 to https://elsewhere.example.com/", "address": "192.0.2.1",
    }  # fmt: skip
    path = f"/v1/deliveries/{shapes['delivery']['id']}"
    api.on("GET", path, shapes["delivery"] | {"attempts": [attempt]})

    ran = await pollhook("deliveries", shapes["delivery"]["id"])

    assert "302 to https://elsewhere.example.com/" in ran.out
    assert "attempts  2" in ran.out
    assert "task.succeeded" in ran.out


async def test_an_unknown_state_is_bad_usage(api, pollhook):
    ran = await pollhook("deliveries", "--state", "lost")

    assert (ran.status, api.asked) == (2, [])


async def test_redeliver_posts_and_prints_what_is_owed(api, pollhook, shapes):
    api.on("POST", "/v1/events/msg_1/redeliver", {"data": [shapes["delivery"]], "next": None}, status=202)

    ran = await pollhook("redeliver", "msg_1", "--json")

    assert (ran.status, ran.lines, api.asked[0].body) == (0, [shapes["delivery"]], None)


@pytest.mark.parametrize("deed", ["enable", "disable"])
async def test_an_endpoint_is_enabled_and_disabled(api, pollhook, deed):
    api.on("POST", f"/v1/endpoints/default/{deed}", {"name": "default", "state": "ok", "keys": ["0a1b2c3d"]})

    ran = await pollhook("endpoint", deed, "default")

    assert ran.status == 0
    assert "0a1b2c3d" in ran.out


async def test_an_endpoint_is_tested_and_the_delivery_named(api, pollhook, shapes):
    api.on("POST", "/v1/endpoints/default/test", shapes["delivery"], status=202)

    ran = await pollhook("endpoint", "test", "default")

    assert f"pollhook deliveries {shapes['delivery']['id']}" in ran.err


async def test_providers_and_endpoints_are_listed(api, pollhook):
    lane = {"name": "amux", "preset": "amux", "state": "parked", "tasks": 4, "in_flight": 0, "polls": 9, "rate": 10.0}
    api.on("GET", "/v1/providers", {"data": [lane], "next": None})
    api.on("GET", "/v1/endpoints", {"data": [], "next": None})
    api.on(
        "GET", "/v1/providers/amux", lane | {"reason": "the key was refused", "since_at": "2026-11-21T20:11:40.600Z"}
    )

    listed = await pollhook("provider", "list")
    shown = await pollhook("provider", "show", "amux")
    none = await pollhook("endpoint", "list")

    assert listed.out.splitlines()[1].split()[:3] == ["amux", "amux", "parked"]
    assert "the key was refused" in shown.out
    assert none.err.startswith("no endpoint is configured")
