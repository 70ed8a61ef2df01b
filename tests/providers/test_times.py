"""Moments of the clock in a request, and a list that is cut by them."""

from __future__ import annotations

import json
import tomllib
from datetime import datetime
from math import floor

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.core.observation import Ended, Pending
from daemon.providers.catalog import Catalog
from daemon.providers.check import check_examples
from daemon.providers.client import HttpProvider
from daemon.providers.mistakes import DefinitionError
from daemon.providers.times import Moment

CATALOG = Catalog()
NOW = 1_764_000_000.0

WINDOWED = """
base_url = "{base}"
api_key = "sk-windowed-0123456789"
[status]
request = "GET /jobs/{{id}}"
state = "state"
states = {{ running = ["busy"], succeeded = ["done"], failed = ["broken"] }}
[status.fields]
outputs = "url"
[batch]
request = "POST /jobs/search"
body = {{ from = "{{since}}", to = "{{until}}", page = 1 }}
headers = {{ X-Asked-At = "{{asked}}" }}
max = 50
items = "jobs"
id = "job"
confirm_ends = true
[batch.times]
since = {{ shift = "-23h", format = "%Y-%m-%d %H:%M:%S", zone = "+08:00" }}
until = {{ format = "rfc3339" }}
asked = {{ format = "unix_ms" }}
"""


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "1764000000"),
        ({"shift": "-1h"}, "1763996400"),
        ({"shift": 1.5, "format": "unix_ms"}, "1764000001500"),
        ({"format": "%Y%m%d%H%M%S"}, "20251124160000"),
        ({"format": "%Y%m%d%H%M%S", "zone": "+08:00"}, "20251125000000"),
        ({"format": "%H:%M", "zone": "-03:30", "shift": "+30m"}, "13:00"),
        ({"format": "rfc3339", "zone": "+08:00"}, "2025-11-25T00:00:00+08:00"),
    ],
)
def test_a_moment_is_told_as_the_provider_writes_it(table, told):
    assert Moment.model_validate(table).told(NOW) == told


@given(
    at=st.integers(40_000_000 * 8, 4_000_000_000 * 8).map(lambda eighths: eighths / 8),
    shift=st.sampled_from(["-1d", "0", "+1d", "366d"]),
    zone=st.sampled_from(["+14:00", "-12:45", "+00:00"]),
)
def test_a_moment_in_any_zone_is_the_same_moment(at, shift, zone):
    text = Moment(shift=shift, format="rfc3339", zone=zone).told(at)

    assert datetime.fromisoformat(text).timestamp() == floor(at + Moment(shift=shift).shift)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"shift": "yesterday"}, "a span"),
        ({"shift": "-400d"}, "at most a year"),
        ({"shift": True}, "-12h"),
        ({"format": "%c"}, "%Y%m%d%H%M%S"),
        ({"format": "today"}, "unix, unix_ms, rfc3339"),
        ({"format": "%Y\n"}, "pattern"),
        ({"zone": "Europe/Berlin"}, "+08:00"),
        ({"zone": "+19:00"}, "14 hours"),
    ],
)
def test_a_moment_that_is_none_is_refused_with_what_is_allowed(table, says):
    with pytest.raises(ValidationError) as refused:
        Moment.model_validate(table)

    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        ({"times": {"id": {}}}, "meaning of its own"),
        ({"times": {"model": {}}}, "meaning of its own"),
        ({"request": "GET /jobs/{since}", "times": {"since": {}}}, "not in request"),
        ({"query": {"a": "{sinse}"}, "times": {"since": {}}}, 'did you mean "since"'),
        ({"times": {"since": {"formatt": "unix"}}}, 'did you mean "format"'),
    ],
)
def test_a_time_out_of_place_is_refused_with_its_place(batch, says):
    table = {
        "base_url": "https://a.example",
        "api_key": "k",
        "status": {"request": "GET /{id}", "state": "s", "states": {"running": "busy"}},
        "batch": {"request": "GET /jobs", "items": "jobs", "id": "job"} | batch,
    }

    with pytest.raises(DefinitionError) as refused:
        CATALOG.account("mine", table)

    assert says in str(refused.value)
    assert "batch" in str(refused.value)


async def test_a_list_cut_by_time_tells_who_is_on_it_and_leaves_the_rest_to_be_asked_alone(server, session, make_task):
    asked: list[tuple[object, str]] = []

    async def page(request: web.Request) -> web.Response:
        asked.append((json.loads(await request.content.read()), request.headers["X-Asked-At"]))
        return web.json_response({"jobs": [{"job": "a", "state": "busy"}, {"job": "b", "state": "done"}]})

    server.answers += [page, web.json_response({"state": "done", "url": "https://c.example/b"})]
    table = tomllib.loads(WINDOWED.format(base=server.url))
    provider = HttpProvider(CATALOG.account("mine", table), session, lambda: NOW)

    seen = await provider.poll_many([make_task(each, id=f"tsk_{each}") for each in "abc"])

    assert asked == [
        ({"from": "2025-11-24 01:00:00", "to": "2025-11-24T16:00:00+00:00", "page": 1}, "1764000000000"),
    ]
    assert isinstance(seen["tsk_a"], Pending)
    assert isinstance(seen["tsk_b"], Ended)
    assert [output.url for output in seen["tsk_b"].outputs] == ["https://c.example/b"]
    assert "tsk_c" not in seen
    assert server.asked == ["/jobs/search", "/jobs/b"]


async def test_a_time_may_stand_in_a_single_poll_and_needs_nothing_of_the_registration(server, session, make_task):
    status = {"request": "GET /jobs/{id}", "query": {"at": "{now}"}, "times": {"now": {}}, "state": "state"}
    table = {"base_url": server.url, "api_key": "sk-0123456789abc", "status": status | {"states": {"running": "busy"}}}
    server.answers.append(web.json_response({"state": "busy"}))

    seen = await HttpProvider(CATALOG.account("mine", table), session, lambda: NOW).poll(make_task("a"))

    assert isinstance(seen, Pending)
    assert server.asked == ["/jobs/a?at=1764000000"]


async def test_the_list_of_dashscope_is_asked_for_its_last_hours(server, session, make_task):
    server.answers.append(web.json_response({"data": [{"task_id": "a", "status": "RUNNING"}]}))
    account = CATALOG.account("dashscope", {"base_url": server.url, "api_key": "sk-0123456789abc"})

    seen = await HttpProvider(account, session, lambda: NOW).poll_many([make_task(each, id=each) for each in "ab"])

    assert set(seen) == {"a"}
    assert server.asked == ["/api/v1/tasks/?start_time=20251124120000&end_time=20251125010000&page_no=1&page_size=100"]


def test_a_batch_needs_an_example_and_its_examples_are_read():
    status = {"request": "GET /{id}", "state": "s", "states": {"running": ["busy"]}}
    example = {"of": "batch", "id": "a", "state": "running", "body": {"jobs": [{"job": "a", "s": "busy"}]}}
    table = {
        "base_url": "https://a.example",
        "api_key": "k",
        "status": status,
        "batch": {"request": "GET /jobs", "items": "jobs", "id": "job"},
        "examples": [{"state": "running", "body": {"s": "busy"}}],
    }

    def faults(*examples):
        return check_examples(CATALOG.account("m", table | {"examples": [*table["examples"], *examples]}).definition)

    assert faults() == ["no example shows an answer to [batch]"]
    assert faults(example) == []
    assert faults(example | {"state": "succeeded"}) == [
        "example 2 (batch, succeeded): read as running, expected succeeded"
    ]
    assert "unlisted" in faults(example | {"id": "z"})[0]
    assert faults(example | {"id": "z", "state": None, "miss": "unlisted"}) == []
