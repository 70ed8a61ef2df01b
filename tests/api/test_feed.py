import asyncio
import base64
import json

import pytest

from daemon.core.delivery import DeliveryState
from daemon.core.errors import StoreFault


async def test_the_feed_answers_the_signed_bytes_and_where_to_go_on(api):
    body = '{"type":"task.succeeded","data":{"b":1,  "a":"é"}}'.encode()
    item = api.outbox.add(body)
    api.outbox.add()

    raw = await _raw(api, "/v1/events?limit=1")
    _, feed, _ = await api.call("GET", "/v1/events?limit=1")
    _, rest, _ = await api.call("GET", f"/v1/events?after={feed['next']}")

    assert body in raw
    assert list(feed["data"][0]) == ["id", "type", "created_at", "body"]
    assert feed["data"][0]["id"] == item.id
    assert feed["data"][0]["body"] == json.loads(body)
    assert len(rest["data"]) == 1


async def test_an_empty_feed_still_says_where_to_go_on(api):
    _, empty, _ = await api.call("GET", "/v1/events")
    item = api.outbox.add()

    _, feed, _ = await api.call("GET", f"/v1/events?after={empty['next']}")
    _, done, _ = await api.call("GET", f"/v1/events?after={feed['next']}")

    assert empty["data"] == []
    assert [event["id"] for event in feed["data"]] == [item.id]
    assert (done["data"], done["next"]) == ([], feed["next"])


async def test_the_feed_goes_on_after_an_event_id(api):
    first, second = api.outbox.add(), api.outbox.add()

    _, feed, _ = await api.call("GET", f"/v1/events?after={first.id}")

    assert [event["id"] for event in feed["data"]] == [second.id]


async def test_an_unknown_event_id_is_not_found(api):
    status, problem, _ = await api.call("GET", "/v1/events?after=msg_" + "0" * 26)

    assert (status, problem["code"]) == (404, "not_found")


@pytest.mark.parametrize("text", ["seq:-1", "seq:x", "seq:" + "9" * 30, "tsk_x", "seq", "seq:\u0663"])
async def test_a_forged_cursor_is_refused(api, text):
    forged = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    status, problem, _ = await api.call("GET", f"/v1/events?after={forged}")

    assert (status, problem["code"]) == (400, "bad_cursor")


async def test_a_waiting_reader_is_answered_by_the_next_event(api):
    waiting = asyncio.create_task(api.call("GET", "/v1/events?wait=30"))
    while not api.deliveries.waits:
        await asyncio.sleep(0)

    item = api.outbox.add()
    api.deliveries.news.set()

    async with asyncio.timeout(5):
        assert [event["id"] for event in (await waiting)[1]["data"]] == [item.id]


async def test_a_reader_does_not_wait_where_there_is_news(api):
    api.outbox.add()

    async with asyncio.timeout(5):
        await api.call("GET", "/v1/events?wait=30")

    assert api.deliveries.waits == 0


async def test_a_page_is_bounded_in_bytes_as_well(api):
    body = json.dumps({"data": "x" * 250_000}).encode()
    for _ in range(120):
        api.outbox.add(body)

    _, first, _ = await api.call("GET", "/v1/events?limit=500")
    _, second, _ = await api.call("GET", f"/v1/events?limit=500&after={first['next']}")

    assert len(first["data"]) == len(second["data"]) == 50
    assert first["data"][-1]["id"] < second["data"][0]["id"]


async def test_a_limit_above_a_step_is_filled(api):
    for _ in range(130):
        api.outbox.add()

    assert len((await api.call("GET", "/v1/events?limit=120"))[1]["data"]) == 120


async def test_one_event_comes_with_its_deliveries_and_its_exact_bytes(api):
    item = api.outbox.add(b'{"type": "task.failed",  "data": {}}')
    owed = api.outbox.owe(item)

    _, event, _ = await api.call("GET", f"/v1/events/{item.id}")
    body = await _raw(api, f"/v1/events/{item.id}/body")

    assert list(event) == ["id", "type", "created_at", "body", "deliveries"]
    assert [delivery["id"] for delivery in event["deliveries"]] == [owed.id]
    assert body == item.body


@pytest.mark.parametrize("path", ["/v1/events/msg_x", "/v1/events/msg_x/body", "/v1/deliveries/dlv_x",
                                  "/v1/endpoints/nobody", "/v1/providers/nobody", "/v1/tasks/tsk_x",
                                  "/v1/tasks/tsk_x/outputs/0"])  # fmt: skip
async def test_what_is_unknown_is_not_found(api, path):
    status, problem, _ = await api.call("GET", path)

    assert (status, problem["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "path",
    ["/v1/events/msg_x/redeliver", "/v1/endpoints/nobody/test", "/v1/endpoints/nobody/enable",
     "/v1/endpoints/nobody/disable", "/v1/tasks/tsk_x/poll", "/v1/tasks/tsk_x/result"],
)  # fmt: skip
async def test_deeds_on_what_is_unknown_are_not_found(api, path):
    status, problem, _ = await api.call("POST", path)

    assert (status, problem["code"]) == (404, "not_found")


async def test_redelivery_answers_202_with_what_is_owed(api):
    item = api.outbox.add()

    status, answer, _ = await api.call("POST", f"/v1/events/{item.id}/redeliver")

    assert status == 202
    assert [delivery["event_id"] for delivery in answer["data"]] == [item.id]


async def test_deliveries_are_listed_filtered_and_paged(api):
    item = api.outbox.add()
    dead = api.outbox.owe(item, DeliveryState.DEAD)
    live = [api.outbox.owe(item, endpoint="ops") for _ in range(3)]

    _, by_state, _ = await api.call("GET", "/v1/deliveries?state=dead")
    _, first, _ = await api.call("GET", "/v1/deliveries?endpoint=ops&limit=2")
    _, second, _ = await api.call("GET", f"/v1/deliveries?endpoint=ops&limit=2&cursor={first['next']}")

    assert [delivery["id"] for delivery in by_state["data"]] == [dead.id]
    assert [one["id"] for one in first["data"] + second["data"]] == [one.id for one in reversed(live)]
    assert second["next"] is None


async def test_a_delivery_shows_its_attempts_but_maps_no_network(api):
    record = api.outbox.owe(api.outbox.add())

    _, delivery, _ = await api.call("GET", f"/v1/deliveries/{record.id}")

    refused, answered = delivery["attempts"]
    assert (refused["refusal"], refused["detail"], refused["address"], refused["seconds"]) == (
        "target_not_allowed", None, None, None,
    )  # fmt: skip
    assert (answered["http_status"], answered["seconds"], answered["address"]) == (500, 0.25, "93.184.216.34")
    assert delivery["attempt_count"] == 1


async def test_endpoints_are_shown_enabled_disabled_and_tested(api):
    _, listed, _ = await api.call("GET", "/v1/endpoints")
    _, disabled, _ = await api.call("POST", "/v1/endpoints/default/disable")
    _, shown, _ = await api.call("GET", "/v1/endpoints/default")
    _, enabled, _ = await api.call("POST", "/v1/endpoints/default/enable", json_body={})
    status, delivery, _ = await api.call("POST", "/v1/endpoints/default/test")

    assert [endpoint["name"] for endpoint in listed["data"]] == ["default", "ops"]
    assert listed["next"] is None
    assert (disabled["state"], shown["state"], enabled["state"]) == ("disabled", "disabled", "ok")
    assert shown["keys"] == ["0badcafe"]
    assert (status, delivery["event_type"]) == (202, "endpoint.test")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_endpoints_of_the_config_file_are_read_only(api, method):
    status, problem, _ = await api.call(method, "/v1/endpoints/default", json_body={})

    assert (status, problem["code"]) == (409, "read_only")


async def test_an_endpoint_shows_no_query_of_its_url(api):
    api.deliveries.url = "https://app.example.com/hooks?token=hunter2"

    answers = [
        (await api.call(method, path))[1]
        for method, path in (
            ("GET", "/v1/endpoints/default"),
            ("POST", "/v1/endpoints/default/disable"),
            ("POST", "/v1/endpoints/default/enable"),
        )
    ]
    _, listed, _ = await api.call("GET", "/v1/endpoints")

    assert {one["url"] for one in answers + listed["data"]} == {"https://app.example.com/hooks?…"}


@pytest.mark.parametrize("call", ["turn", "again"])
async def test_a_call_that_endpoints_do_not_have_names_those_they_have(api, call):
    status, problem, _ = await api.call("POST", f"/v1/endpoints/default/{call}", json_body={})

    assert (status, problem["code"]) == (404, "not_found")
    for known in ("GET /v1/endpoints,", "POST /v1/endpoints/{name}/test", "POST /v1/endpoints/{name}/enable"):
        assert known in problem["detail"]
    assert "/v1/tasks" not in problem["detail"]


async def test_a_lane_is_shown_with_times_as_text_and_no_infinities(api):
    _, listed, _ = await api.call("GET", "/v1/providers")
    _, lane, _ = await api.call("GET", "/v1/providers/amux")

    assert listed == {"data": [lane], "next": None}
    assert lane["rate"] is None
    assert lane["since_at"].endswith("Z")
    assert (lane["misses"], lane["unknown_words"], lane["typical"]) == ({"timeout": 2}, ["pondering"], 90.0)


async def test_a_fault_while_reading_is_reported(api):
    api.outbox.fault = StoreFault("gone")

    status, _, _ = await api.call("GET", "/v1/events")

    assert status == 500
    assert api.faults == [api.outbox.fault]


async def _raw(api, path):
    url = f"http://127.0.0.1:{api.port}{path}"
    async with api.session.get(url, headers={"Authorization": f"Bearer {api.token}"}) as response:
        assert response.headers["Content-Type"] == "application/json"
        return await response.read()
