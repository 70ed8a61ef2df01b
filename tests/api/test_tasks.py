import asyncio
import json
from dataclasses import replace

import pytest

from daemon.core.errors import StoreFault
from daemon.core.observation import Output
from daemon.core.record import StoredResult, ToEndpoint, ToUrl
from daemon.core.task import Wish
from daemon.core.wall import rfc3339

NOW = 1_795_000_000.0
BASE = {"provider": "amux", "remote_id": "abcd1234efgh"}
FIELDS = [
    "id", "provider", "remote_id", "model", "status", "progress", "queue_position", "outputs", "error", "metadata",
    "created_at", "registered_at", "updated_at", "ended_at", "deadline_at", "polls", "next_poll_at",
    "next_poll_reason", "last_miss", "webhook", "event_id", "late",
]  # fmt: skip


async def test_a_registration_answers_201_with_the_task_in_the_order_of_the_contract(api):
    status, task, headers = await api.call("POST", "/v1/tasks", json_body=BASE | {"metadata": {"order": 17}})

    assert status == 201
    assert list(task) == FIELDS
    assert task["metadata"] == {"order": 17}
    assert task["registered_at"].endswith("Z")
    assert task["registered_at"][-5] == "."
    assert task["webhook"] == {"endpoint": "default"}
    assert headers["Content-Type"] == "application/json"


async def test_the_same_task_again_answers_200(api):
    first = await api.register()

    status, again, _ = await api.call("POST", "/v1/tasks", json_body=BASE)

    assert (status, again["id"]) == (200, first["id"])


async def test_every_field_reaches_the_application(api):
    await api.register(
        webhook={"url": "https://app.example.com/hook"}, model="seedance-2.0", params={"size": "10", "n": 2, "f": 1.5},
        metadata={"a": [1]}, created_at="2026-01-02T03:04:05+01:00", deadline="30m", first_poll_after=90,
        fetch_result=True, events=["terminal", "task.running", "progress"],
        status_url="https://api.example.com/v1/x", submission={"id": "abcd1234efgh"},
    )  # fmt: skip

    [made] = api.tasks.applications
    assert made.target == ToUrl(url="https://app.example.com/hook")
    assert made.params == (("size", "10"), ("n", "2"), ("f", "1.5"))
    assert made.created_at == 1767319445.0
    assert (made.deadline, made.first_poll_after, made.fetch_result) == (1800.0, 90.0, True)
    assert made.wishes == {Wish.RUNNING, Wish.PROGRESS}
    assert made.submission == {"id": "abcd1234efgh"}
    assert api.checked == ["https://app.example.com/hook"]


async def test_without_a_webhook_the_default_endpoint_is_meant_where_there_is_one(api):
    await api.register()
    api.deliveries.known = ["ops"]
    await api.register(remote_id="second")

    assert [made.target for made in api.tasks.applications] == [ToEndpoint(name="default"), None]


async def test_a_status_url_may_be_a_path_for_the_definition_to_resolve(api):
    await api.register(status_url="/v1/queue/veo-3/requests/Q%2B%2F%3D/status?x=1")

    assert api.tasks.applications[0].status_url == "/v1/queue/veo-3/requests/Q%2B%2F%3D/status?x=1"


@pytest.mark.parametrize(("field", "fields"), [("(body)", {}), ("webhook", {"webhook": {}})])
async def test_thousands_of_fields_are_one_complaint(api, field, fields):
    many = {f"field-{number}": 1 for number in range(3000)}
    body = BASE | ({"webhook": many} if "webhook" in fields else many)

    status, problem, _ = await api.call("POST", "/v1/tasks", json_body=body)

    assert (status, [error["field"] for error in problem["errors"]]) == (422, [field])
    assert "at most 64 fields" in problem["detail"]


async def test_a_model_among_the_params_is_the_model(api):
    await api.register(params={"model": "m1", "size": "s"})

    assert (api.tasks.applications[0].model, api.tasks.applications[0].params) == ("m1", (("size", "s"),))


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"provider": None}, "provider", "provider must be a string, got null"),
        ({"provider": " "}, "provider", "provider must not be empty"),
        ({"remote_id": 7}, "remote_id", "remote_id must be a string, got a number"),
        ({"remote_id": ""}, "remote_id", "must not be empty"),
        ({"remote_id": "x" * 2049}, "remote_id", "at most 2048 bytes, got 2049"),
        ({"remote_id": "a\nb"}, "remote_id", "control characters"),
        ({"remote_id": None}, "remote_id", "remote_id or submission is required"),
        ({"remoteid": "x"}, "remoteid", 'did you mean "remote_id"?'),
        ({"webhook": {"endpont": "x"}}, "webhook.endpont", 'did you mean "endpoint"?'),
        ({"webhook": {}}, "webhook", "must be either"),
        ({"webhook": {"endpoint": "default", "url": "https://a.example.com"}}, "webhook", "must be either"),
        ({"webhook": "default"}, "webhook", "webhook must be an object, got a string"),
        ({"webhook": {"url": "ftp://a.example.com"}}, "webhook.url", "http or https"),
        ({"webhook": {"url": "https://u:p@a.example.com"}}, "webhook.url", "neither user"),
        ({"webhook": {"url": "https://a.example.com:99999"}}, "webhook.url", "valid host and port"),
        ({"status_url": "v1/x"}, "status_url", "http or https"),
        ({"status_url": "//evil.example.com/v1/x"}, "status_url", "without a host"),
        ({"status_url": "/v1/a b"}, "status_url", "no spaces"),
        ({"status_url": "/" + "x" * 4096}, "status_url", "at most 4096 characters"),
        ({"params": {"a": True}}, "params", "must be a string or a number"),
        ({"params": {"a": {"b": 1}}}, "params", "must be a string or a number"),
        ({"params": {"model": "a"}, "model": "b"}, "params.model", "not the same as model"),
        ({"metadata": [1]}, "metadata", "metadata must be an object"),
        ({"metadata": {"a": "x" * 4096}}, "metadata", "at most 4 KiB"),
        ({"created_at": "2026-01-02T03:04:05"}, "created_at", "RFC 3339"),
        ({"created_at": "2026-13-02T03:04:05Z"}, "created_at", "not a real time"),
        ({"created_at": "2036-01-02T03:04:05Z"}, "created_at", "must not lie in the future"),
        ({"created_at": 5}, "created_at", "RFC 3339"),
        ({"deadline": "45d"}, "deadline", 'deadline must be at most 30d, got "45d"'),
        ({"deadline": 0.5}, "deadline", "deadline must be at least 1s, got 0.5"),
        ({"deadline": "soon"}, "deadline", 'deadline must be a span of time such as "90s"'),
        ({"deadline": True}, "deadline", "plain seconds, got true"),
        ({"deadline": [1]}, "deadline", "plain seconds, got [1]"),
        ({"deadline": "1h" * 3000}, "deadline", "plain seconds, got"),
        ({"deadline": 10**400}, "deadline", "deadline must be at most 30d, got 1000"),
        ({"deadline": -(10**400)}, "deadline", "deadline must be at least 1s, got -1000"),
        ({"deadline": "9" * 90 + "d"}, "deadline", "deadline must be at most 30d, got"),
        ({"first_poll_after": "31d"}, "first_poll_after", "first_poll_after must be at most 30d"),
        ({"first_poll_after": -1}, "first_poll_after", "first_poll_after must be at least 0s, got -1"),
        ({"fetch_result": "yes"}, "fetch_result", "fetch_result must be true or false"),
        ({"events": ["finished"]}, "events", 'got "finished"'),
        ({"events": "terminal"}, "events", "must be an array"),
    ],
)
async def test_a_bad_field_is_named_with_what_is_allowed(api, change, field, said):
    status, problem, headers = await api.call("POST", "/v1/tasks", json_body=BASE | change)

    assert (status, problem["code"]) == (422, "invalid_registration")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert said in problem["errors"][0]["message"]
    assert problem["detail"] == problem["errors"][0]["message"]
    assert problem["detail"].count(field) <= 2
    assert len(problem["detail"]) < 200
    assert headers["Content-Type"] == "application/problem+json"
    assert api.tasks.records == {}


async def test_every_bad_field_is_listed_at_once(api):
    body = {"remote_id": 1, "deadline": "45d", "webhook": {"endpoint": "nowhere"}, "colour": "red"}

    _, problem, _ = await api.call("POST", "/v1/tasks", json_body=body)

    assert {error["field"] for error in problem["errors"]} == {
        "provider", "remote_id", "deadline", "webhook.endpoint", "colour",
    }  # fmt: skip
    assert list(problem) == ["type", "title", "status", "code", "detail", "errors"]


@pytest.mark.parametrize("body", [[], "x", 1, None, True])
async def test_a_body_that_is_no_object_is_a_bad_registration(api, body):
    status, problem, _ = await api.call(
        "POST", "/v1/tasks", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )

    assert (status, problem["code"]) == (422, "invalid_registration")


async def test_a_creation_a_little_ahead_of_our_clock_is_now(api):
    await api.register(created_at=rfc3339(NOW + 200))

    assert api.tasks.applications[0].created_at == NOW


async def test_an_unknown_endpoint_names_those_configured(api):
    status, problem, _ = await api.call("POST", "/v1/tasks", json_body=BASE | {"webhook": {"endpoint": "nowhere"}})

    assert (status, problem["code"]) == (422, "unknown_endpoint")
    assert "default, ops" in problem["detail"]


async def test_an_unknown_provider_names_those_configured(api):
    status, problem, _ = await api.call("POST", "/v1/tasks", json_body=BASE | {"provider": "nobody"})

    assert (status, problem["code"]) == (422, "unknown_provider")
    assert "amux" in problem["detail"]


async def test_a_refused_target_says_nothing_of_the_reason(api):
    url = "https://10.0.0.1/hook"

    status, problem, _ = await api.call("POST", "/v1/tasks", json_body=BASE | {"webhook": {"url": url}})

    assert (status, problem["code"]) == (422, "target_not_allowed")
    assert "10.0" not in str(problem)


async def test_what_the_definition_finds_wrong_is_listed_by_field(api):
    status, problem, _ = await api.call("POST", "/v1/tasks", json_body=BASE | {"remote_id": "bad"})

    assert status == 422
    assert problem["errors"] == [{"field": "params.size", "message": "params.size is required"}]


async def test_a_full_watchlist_says_when_to_ask_again(api):
    api.tasks.room = 0

    status, problem, headers = await api.call("POST", "/v1/tasks", json_body=BASE)

    assert (status, problem["code"], headers["Retry-After"]) == (503, "watchlist_full", "7")


async def test_a_store_fault_is_a_plain_500_and_is_reported(api):
    api.tasks.fault = StoreFault("disk I/O error at /secret/path")

    status, problem, _ = await api.call("POST", "/v1/tasks", json_body=BASE)

    assert (status, problem["code"]) == (500, "internal")
    assert "secret" not in str(problem)
    assert api.faults == [api.tasks.fault]


async def test_a_bug_is_a_plain_500_and_the_connection_lives(api):
    api.tasks.fault = ZeroDivisionError("secret")

    status, problem, _ = await api.call("POST", "/v1/tasks", json_body=BASE)

    assert (status, problem["code"]) == (500, "internal")
    assert "secret" not in str(problem)
    assert api.faults == []


async def test_an_idempotency_key_belongs_to_one_body(api):
    key = {"Idempotency-Key": "order-17"}
    first, _, _ = await api.call("POST", "/v1/tasks", json_body=BASE, headers=key)
    again, _, _ = await api.call("POST", "/v1/tasks", json_body=BASE, headers=key)

    status, problem, _ = await api.call("POST", "/v1/tasks", json_body=BASE | {"model": "m"}, headers=key)

    assert (first, again) == (201, 200)
    assert (status, problem["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9"])
async def test_an_unusable_idempotency_key_is_refused(api, key):
    status, problem, _ = await api.call("POST", "/v1/tasks", json_body=BASE, headers={"Idempotency-Key": key})

    assert (status, problem["code"]) == (400, "bad_idempotency_key")


async def test_a_batch_answers_each_item_in_order_and_keeps_the_good_ones(api):
    items = [
        BASE,
        {"provider": "amux"},
        BASE | {"provider": "nobody", "remote_id": "x"},
        BASE,
        BASE | {"remote_id": "second"},
        17,
        BASE | {"remote_id": "third", "webhook": {"url": "http://10.0.0.1/"}},
    ]

    status, answer, _ = await api.call("POST", "/v1/tasks/batch", json_body={"tasks": items})

    assert status == 200
    assert [item["status"] for item in answer["data"]] == [201, 422, 422, 200, 201, 422, 422]
    assert [item.get("problem", {}).get("code") for item in answer["data"]] == [
        None, "invalid_registration", "unknown_provider", None, None, "invalid_registration", "target_not_allowed",
    ]  # fmt: skip
    assert answer["data"][4]["task"]["remote_id"] == "second"
    assert len(api.tasks.records) == 2


async def test_a_batch_of_a_thousand_is_taken_and_one_more_is_not(api):
    items = [BASE | {"remote_id": f"r{number}"} for number in range(1001)]

    good, answer, _ = await api.call("POST", "/v1/tasks/batch", json_body={"tasks": items[:1000]})
    bad, problem, _ = await api.call("POST", "/v1/tasks/batch", json_body={"tasks": items})

    assert (good, len(answer["data"])) == (200, 1000)
    assert (bad, problem["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("body", "field"), [({"task": []}, "task"), ({}, "tasks"), ({"tasks": {}}, "tasks"), ([], "(body)")]
)
async def test_a_batch_without_its_array_is_refused(api, body, field):
    status, problem, _ = await api.call("POST", "/v1/tasks/batch", json_body=body)

    assert (status, problem["code"], problem["errors"][0]["field"]) == (422, "invalid_request", field)


async def test_an_empty_batch_is_answered_empty(api):
    assert (await api.call("POST", "/v1/tasks/batch", json_body={"tasks": []}))[1] == {"data": []}


async def test_a_list_is_paged_by_cursor_newest_first(api):
    made = [await api.register(remote_id=f"r{number}") for number in range(5)]

    _, first, _ = await api.call("GET", "/v1/tasks?limit=3")
    _, second, _ = await api.call("GET", f"/v1/tasks?limit=3&cursor={first['next']}")

    assert [task["id"] for task in first["data"] + second["data"]] == [task["id"] for task in reversed(made)]
    assert second["next"] is None


async def test_a_list_of_large_tasks_ends_past_4_mib_and_goes_on(api):
    outputs = tuple(Output(url=f"https://cdn.example.com/{n}/{'x' * 8000}", kind="video") for n in range(100))
    made = []
    for number in range(14):
        task = await api.register(remote_id=f"r{number}")
        api.tasks.records[task["id"]] = replace(api.tasks.records[task["id"]], outputs=outputs)
        made.append(task["id"])
    seen, cursor, sizes = [], "", []

    while cursor is not None:
        _, page, headers = await api.call("GET", f"/v1/tasks?limit=500{cursor and '&cursor=' + cursor}")
        seen += [task["id"] for task in page["data"]]
        sizes.append(int(headers["Content-Length"]))
        cursor = page["next"]

    assert seen == list(reversed(made))
    assert len(sizes) > 2
    assert max(sizes) < 5 * 1024 * 1024
    assert max(api.tasks.limits) <= 10


async def test_a_list_is_filtered(api):
    await api.register(model="a")
    ended = await api.register(remote_id="two", model="b")
    await api.tasks.end(ended["id"])

    _, by_status, _ = await api.call("GET", "/v1/tasks?status=succeeded&provider=amux")
    _, by_model, _ = await api.call("GET", "/v1/tasks?model=a")

    assert [task["model"] for task in by_status["data"]] == ["b"]
    assert [task["model"] for task in by_model["data"]] == ["a"]
    assert by_status["data"][0]["outputs"] == [
        {
            "url": "https://cdn.example.com/a.mp4",
            "kind": "video",
            "needs_auth": False,
            "expires_at": None,
            "saved": None,
        }
    ]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/tasks?limit=501", "limit"),
        ("/v1/tasks?limit=0", "limit"),
        ("/v1/tasks?limit=many", "limit"),
        ("/v1/tasks?status=finished", "status"),
        ("/v1/tasks?stauts=failed", "stauts"),
        ("/v1/tasks?limit=1&limit=2", "limit"),
        ("/v1/tasks/tsk_x?wait=61", "wait"),
        ("/v1/tasks/tsk_x?wait=nan", "wait"),
        ("/v1/tasks/tsk_x?wait=-1", "wait"),
        ("/v1/events?limit=501", "limit"),
        ("/v1/deliveries?state=lost", "state"),
        ("/healthz?token=x", "token"),
    ],
)
async def test_a_bad_query_is_refused_by_name(api, path, field):
    status, problem, _ = await api.call("GET", path)

    assert (status, problem["code"]) == (422, "invalid_query")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("cursor", ["x", "!!!", "dHNrXw", "%00", "c2VxOjE", "a" * 200, "%C3%A9"])
async def test_a_foreign_cursor_is_refused(api, cursor):
    status, problem, _ = await api.call("GET", f"/v1/tasks?cursor={cursor}")

    assert (status, problem["code"]) == (400, "bad_cursor")


async def test_one_task_is_shown_and_an_unknown_one_is_not_found(api):
    task = await api.register()

    assert (await api.call("GET", f"/v1/tasks/{task['id']}"))[1] == task
    status, problem, _ = await api.call("GET", "/v1/tasks/tsk_nobody")
    assert (status, problem["code"]) == (404, "not_found")


async def test_a_wait_returns_as_soon_as_the_task_ends(api):
    task = await api.register()
    waiting = asyncio.create_task(api.call("GET", f"/v1/tasks/{task['id']}?wait=30"))
    while not api.tasks.waits:
        await asyncio.sleep(0)

    await api.tasks.end(task["id"])

    async with asyncio.timeout(5):
        assert (await waiting)[1]["status"] == "succeeded"


async def test_a_wait_that_is_over_answers_the_task_as_it_stands(api):
    task = await api.register()

    _, shown, _ = await api.call("GET", f"/v1/tasks/{task['id']}?wait=0.01")

    assert shown["status"] == "queued"


async def test_a_wait_ends_when_the_caller_hangs_up(api):
    task = await api.register()
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        f"GET /v1/tasks/{task['id']}?wait=60 HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\n"
        f"Authorization: Bearer {api.token}\r\n\r\n".encode()
    )
    while not api.tasks.waits:
        await asyncio.sleep(0)

    writer.close()

    async with asyncio.timeout(5):
        while not api.tasks.cut:
            await asyncio.sleep(0)


async def test_past_the_bound_of_waits_the_oldest_is_answered_as_things_stand(serve):
    api = await serve(max_waits=2)
    task = await api.register()
    waiting = []
    for count in range(1, 4):
        waiting.append(asyncio.create_task(api.call("GET", f"/v1/tasks/{task['id']}?wait=60")))
        while api.tasks.waits < count:
            await asyncio.sleep(0)

    async with asyncio.timeout(5):
        _, shown, _ = await waiting[0]

    assert shown["status"] == "queued"
    assert not waiting[1].done()
    assert not waiting[2].done()
    await api.tasks.end(task["id"])
    assert [(await each)[1]["status"] for each in waiting[1:]] == ["succeeded"] * 2


async def test_closing_answers_held_calls_as_things_stand(api):
    task = await api.register()
    waiting = asyncio.create_task(api.call("GET", f"/v1/tasks/{task['id']}?wait=60"))
    while not api.tasks.waits:
        await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await api.listeners.close(5)

    assert (await waiting)[1]["status"] == "queued"


async def test_stopping_a_task_ends_it_once(api):
    task = await api.register()

    status, stopped, _ = await api.call("DELETE", f"/v1/tasks/{task['id']}")
    again, problem, _ = await api.call("DELETE", f"/v1/tasks/{task['id']}")

    assert (status, stopped["status"]) == (200, "stopped")
    assert (again, problem["code"]) == (409, "task_ended")


async def test_poll_now_tells_whether_it_was_made(api):
    task = await api.register()

    made, _, _ = await api.call("POST", f"/v1/tasks/{task['id']}/poll")
    api.tasks.was_polled = False
    queued, _, _ = await api.call("POST", f"/v1/tasks/{task['id']}/poll", json_body={})

    assert (made, queued) == (200, 202)


async def test_a_call_without_a_body_refuses_one(api):
    task = await api.register()

    status, problem, _ = await api.call("POST", f"/v1/tasks/{task['id']}/poll", json_body={"now": True})
    form, _, _ = await api.call(
        "POST", f"/v1/tasks/{task['id']}/poll", data=b"a=1", headers={"Content-Type": "text/plain"}
    )

    assert (status, problem["code"], form) == (422, "invalid_request", 415)


async def test_a_result_is_answered_by_its_parts_and_its_mistakes_by_code(api):
    task = await api.register()
    path = f"/v1/tasks/{task['id']}/result"
    not_ended = (await api.call("POST", path))[1]["code"]
    await api.tasks.end(task["id"])
    none = (await api.call("POST", path))[1]["code"]
    output = Output(url="https://cdn.example.com/a.mp4", kind="video", needs_auth=True)
    api.tasks.results[task["id"]] = StoredResult(
        task_id=task["id"], intended_at=NOW, stored_at=None, outputs=(output,), body={"data": [1]}
    )
    unresolved = (await api.call("POST", path, json_body={}))[1]["code"]

    status, result, _ = await api.call("POST", path, json_body={"repeat": True})

    assert (not_ended, none, unresolved) == ("task_not_ended", "no_result", "result_unresolved")
    assert status == 200
    assert list(result) == ["task_id", "outputs", "response", "requested_at", "stored_at"]
    assert result["response"] == {"data": [1]}


@pytest.mark.parametrize("body", [{"repeat": "yes"}, {"again": True}, [], False, 0])
async def test_a_bad_wish_for_a_result_is_refused(api, body):
    status, problem, _ = await api.call(
        "POST",
        "/v1/tasks/tsk_x/result",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )

    assert (status, problem["code"]) == (422, "invalid_request")


async def test_an_output_is_served_whole_and_in_ranges_as_a_download(api, tmp_path):
    task = await api.register()
    (tmp_path / "output-0").write_bytes(b"0123456789")
    path = f"/v1/tasks/{task['id']}/outputs/0"

    whole, body, headers = await api.call("GET", path)
    part, some, _ = await api.call("GET", path, headers={"Range": "bytes=2-4"})

    assert (whole, body) == (200, b"0123456789")
    assert (part, some) == (206, b"234")
    assert headers["Content-Type"] == "video/mp4"
    assert headers["Content-Disposition"] == f'attachment; filename="{task["id"]}-0.mp4"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("number", ["1", "9", "-1", "x", "1e3", "99999999999"])
async def test_an_output_that_is_not_there_is_not_found(api, number):
    task = await api.register()

    status, problem, _ = await api.call("GET", f"/v1/tasks/{task['id']}/outputs/{number}")

    assert (status, problem["code"]) == (404, "not_found")


async def test_calls_in_flight_finish_within_the_grace(api):
    api.tasks.registering = asyncio.Event()
    calling = asyncio.create_task(api.call("POST", "/v1/tasks", json_body=BASE))
    await asyncio.sleep(0)
    while not api.listeners._server.requests_count:
        await asyncio.sleep(0)

    closing = asyncio.create_task(api.listeners.close(5))
    await asyncio.sleep(0)
    api.tasks.registering.set()

    async with asyncio.timeout(5):
        await closing
        assert (await calling)[0] == 201
