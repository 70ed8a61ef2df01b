"""Second requests made from the status answer, and several tasks in one status request, against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.core.observation import Ended, Missed, Pending
from daemon.core.task import Miss, Status, Task
from daemon.providers.batch import parted
from daemon.providers.catalog import Catalog
from daemon.providers.client import HttpProvider
from daemon.providers.definition_request import BatchSpec

KEY = "sk-very-secret-0123456789"
WORDS = {"running": ["busy"], "succeeded": ["done"], "failed": ["broken"]}
CATALOG = Catalog()


@pytest.fixture
def bodies(server) -> list[str]:
    return []


@pytest.fixture
def answer(server, bodies) -> Callable[..., None]:
    def queue(*told: object) -> None:
        async def reply(body: object, request: web.Request) -> web.StreamResponse:
            bodies.append((await request.content.read()).decode())
            status, body = body if isinstance(body, tuple) else (200, body)
            return web.json_response(body, status=status)

        def made(body: object) -> Callable[[web.Request], object]:
            return lambda request: reply(body, request)

        server.answers += map(made, told)

    return queue


@pytest.fixture
def lane(server, session, lean) -> Callable[..., HttpProvider]:
    def made(**table: object) -> HttpProvider:
        fields = {"outputs": "url"}
        status = {"request": "GET /t/{id}", "state": "state", "states": WORDS, "fields": fields}
        status |= table.pop("status", {})  # type: ignore[arg-type]
        given = {"base_url": server.url, "api_key": KEY, "timeout": 5, "status": status} | table
        return HttpProvider(CATALOG.account("mine", given), session, lambda: 1.75e9, lean=lean)

    return made


@pytest.fixture
def party(make_task) -> Callable[..., list[Task]]:
    def made(*ids: str, **fields: object) -> list[Task]:
        return [make_task(each, id=f"tsk_{each}", **fields) for each in ids]

    return made


def urls(seen: object) -> list[str]:
    assert isinstance(seen, Ended), seen
    return [output.url for output in seen.outputs]


async def test_a_result_is_keyed_by_what_the_status_answer_told(lane, server, answer, make_task) -> None:
    result = {
        "request": "GET /files",
        "query": {"file_id": "{file}"},
        "variables": {"file": "file_id"},
        "outputs": "link",
    }
    answer({"state": "done", "file_id": 842250903629086785}, {"link": "https://cdn.example.com/1"})

    seen = await lane(result=result).poll(make_task("a"))

    assert urls(seen) == ["https://cdn.example.com/1"]
    assert server.asked == ["/t/a", "/files?file_id=842250903629086785"]


async def test_without_what_keys_it_a_result_is_missing(lane, server, answer, make_task) -> None:
    answer({"state": "done"})

    seen = await lane(result={"request": "GET /f/{file}", "variables": {"file": "file_id"}}).poll(make_task("a"))

    assert isinstance(seen, Missed)
    assert (seen.miss, seen.detail) == (Miss.RESULT_MISSING, "the request needs file")
    assert seen.known is not None


EACH = {"request": "GET /g/{item}", "each": "generations[].id", "outputs": "link"}


async def test_each_output_has_a_request_of_its_own(lane, server, answer, make_task) -> None:
    answer({"state": "done", "generations": [{"id": "g/1"}, {"id": 2}, {"id": 2}]}, {"link": "https://c.example/1"},
           {"link": "https://c.example/2"})  # fmt: skip

    seen = await lane(result=EACH).poll(make_task("a"))

    assert urls(seen) == ["https://c.example/1", "https://c.example/2"]
    assert server.asked == ["/t/a", "/g/g%2F1", "/g/2"]


async def test_one_output_that_is_not_there_yet_holds_back_all(lane, answer, make_task) -> None:
    answer({"state": "done", "generations": [{"id": 1}, {"id": 2}]}, {"link": "https://c.example/1"}, (202, {}))

    seen = await lane(result=EACH).poll(make_task("a"))

    assert isinstance(seen, Missed)
    assert seen.miss is Miss.RESULT_MISSING


async def test_a_link_is_told_and_never_fetched(lane, server, answer, make_task) -> None:
    link = {"request": "GET /t/{id}/content?v=1", "kind": "link", "output_kind": "video"}
    answer({"state": "done"})

    seen = await lane(result=link, auth={"scheme": "query"}).poll(make_task("a b"))

    assert isinstance(seen, Ended)
    (output,) = seen.outputs
    assert (output.url, output.kind, output.needs_auth) == (f"{server.url}/t/a%20b/content?v=1", "video", True)
    assert server.asked == [f"/t/a%20b?key={KEY}"]


async def test_a_link_per_output(lane, server, answer, make_task) -> None:
    link = {"request": "GET /g/{item}/content", "kind": "link", "each": "ids"}
    answer({"state": "done", "ids": ["x", "y"]})

    seen = await lane(result=link).poll(make_task("a"))

    assert urls(seen) == [f"{server.url}/g/x/content", f"{server.url}/g/y/content"]


async def test_a_result_asked_for_by_hand_asks_for_its_variables_first(lane, server, answer, make_task) -> None:
    result = {"request": "GET /f/{file}", "variables": {"file": "file"}, "when": "asked", "outputs": "link"}
    provider = lane(result=result)
    answer({"state": "busy"}, {"state": "done", "file": "f1"}, {"link": "https://c.example/1"})

    early, seen = await provider.result(make_task("a")), await provider.result(make_task("a"))

    assert isinstance(early, Pending)
    assert urls(seen) == ["https://c.example/1"]
    assert server.asked == ["/t/a", "/t/a", "/f/f1"]


ARK = {"request": "GET /tasks", "query": {"filter.ids": ["{ids}"]}, "items": "items", "id": "id", "max": 10}


async def test_several_tasks_ride_in_one_request(lane, server, answer, party) -> None:
    provider = lane(batch=ARK)
    answer({"items": [{"id": "b&", "state": "busy"}, {"id": "a", "state": "done", "url": "https://c.example/a"}]})

    seen = await provider.poll_many(party("a", "b&", "c"))

    assert provider.party == 10
    assert server.asked == ["/tasks?filter.ids=a&filter.ids=b%26&filter.ids=c"]
    assert urls(seen["tsk_a"]) == ["https://c.example/a"]
    assert isinstance(seen["tsk_b&"], Pending)
    assert "tsk_c" not in seen


@pytest.mark.parametrize(
    ("spec", "path", "body"),
    [
        ({"query": {"ids": "{ids}"}}, "/tasks?ids=a%2Cb", None),
        ({"query": {"ids": "{ids}"}, "separator": "|"}, "/tasks?ids=a%7Cb", None),
        ({"request": "GET /tasks/{ids}"}, "/tasks/a%2Cb", None),
        ({"request": "POST /fetch", "body": {"ids": ["{ids}"], "n": 1}}, "/fetch", {"ids": ["a", "b"], "n": 1}),
        ({"request": "GET /videos?limit=100"}, "/videos?limit=100", None),
    ],
)
async def test_ids_travel_as_the_provider_wants_them(lane, server, answer, party, bodies, spec, path, body) -> None:
    provider = lane(batch={"request": "GET /tasks", "items": "data", "id": "id"} | spec)
    answer({"data": [{"id": "a", "state": "busy"}, {"id": "b", "state": "busy"}, {"id": "z", "state": "done"}]})

    seen = await provider.poll_many(party("a", "b"))

    assert set(seen) == {"tsk_a", "tsk_b"}
    assert server.asked == [path]
    assert bodies == [json.dumps(body) if body else ""]


async def test_an_object_keyed_by_id_is_read_as_a_single_answer_is(lane, answer, party) -> None:
    batch = {"request": "GET /history", "items": "@", "wrap": "{id}", "absent": "empty"}
    status = {"state": "values(@)[0].state", "rules": [{"when": "length(keys(@)) == `0`", "state": "running"}]}
    answer({"a": {"state": "done"}, "b": {"state": "broken"}})

    seen = await lane(batch=batch, status=status).poll_many(party("a", "b", "c"))

    assert [getattr(seen[f"tsk_{each}"], "outcome", None) for each in "ab"] == [Status.SUCCEEDED, Status.FAILED]
    assert isinstance(seen["tsk_c"], Pending)


async def test_an_item_is_put_back_into_its_envelope(lane, answer, party) -> None:
    batch = {"request": "GET /tasks", "items": "data", "id": "task_id", "wrap": "data"}
    rules = [{"when": "code != `0`", "state": "no_news"}]
    answer({"code": 0, "data": [{"task_id": "a", "state": "busy"}, {"task_id": "b", "state": "done"}]})

    seen = await lane(batch=batch, status={"state": "data.state", "rules": rules}).poll_many(party("a", "b"))

    assert isinstance(seen["tsk_a"], Pending)
    assert isinstance(seen["tsk_b"], Ended)


async def test_tasks_of_another_model_take_the_next_request(lane, server, answer, make_task) -> None:
    tasks = [make_task(each, id=f"tsk_{each}", model=model) for each, model in (("a", "m"), ("b", "n"), ("c", "m"))]
    answer({"items": [{"id": "a", "state": "busy"}, {"id": "c", "state": "busy"}]})

    seen = await lane(batch=ARK | {"same": ["model"]}).poll_many(tasks)

    assert server.asked == ["/tasks?filter.ids=a&filter.ids=c"]
    assert seen["tsk_b"] == Missed(miss=Miss.UNLISTED, detail="rides with the next request", unsent=True)
    assert isinstance(seen["tsk_a"], Pending)


async def test_a_variable_of_the_request_is_shared_without_being_named(lane, server, answer, make_task) -> None:
    tasks = [make_task(each, id=f"tsk_{each}", model=each) for each in "ab"]
    answer({"items": []})

    seen = await lane(batch=ARK | {"request": "GET /m/{model}/tasks"}).poll_many(tasks)

    assert server.asked == ["/m/a/tasks?filter.ids=a"]
    assert set(seen) == {"tsk_b"}


@pytest.mark.parametrize(
    ("status", "miss"), [(429, Miss.THROTTLED), (500, Miss.SERVER_ERROR), (401, Miss.UNAUTHORIZED)]
)
async def test_weather_is_the_same_for_all_who_ride(lane, answer, party, status, miss) -> None:
    answer((status, {"error": KEY}))

    seen = await lane(batch=ARK).poll_many(party("a", "b"))

    assert seen["tsk_a"] == seen["tsk_b"]
    assert isinstance(seen["tsk_a"], Missed)
    assert (seen["tsk_a"].miss, seen["tsk_a"].http_status) == (miss, status)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 410])
async def test_a_refused_batch_blames_nobody_and_sends_all_alone(lane, answer, party, status) -> None:
    answer((status, {"error": "no"}))

    assert await lane(batch=ARK).poll_many(party("a", "b")) == {}


async def test_an_answer_without_a_list_is_no_news_and_the_third_sends_all_alone(lane, answer, party) -> None:
    provider = lane(batch=ARK)
    answer({"code": 1302}, {"items": None}, {})

    seen = [await provider.poll_many(party("a", "b")) for _ in range(3)]

    assert [{getattr(each, "miss", None) for each in told.values()} for told in seen] == [{Miss.UNREADABLE}] * 2 + [
        set()
    ]


async def test_an_item_that_says_not_found_is_asked_for_alone(lane, answer, party) -> None:
    status = {"states": WORDS | {"not_found": ["gone"]}}
    answer({"items": [{"id": "a", "state": "gone"}, {"id": "b", "state": "busy"}]})

    assert set(await lane(batch=ARK, status=status).poll_many(party("a", "b"))) == {"tsk_b"}


async def test_an_end_without_outputs_is_confirmed_alone(lane, server, answer, party) -> None:
    answer(
        {"items": [{"id": "a", "state": "done"}, {"id": "b", "state": "busy"}]},
        {"state": "done", "url": "https://c.example/a"},
    )

    seen = await lane(batch=ARK | {"confirm_ends": True}).poll_many(party("a", "b"))

    assert urls(seen["tsk_a"]) == ["https://c.example/a"]
    assert server.asked[1:] == ["/t/a"]


async def test_an_end_in_a_batch_is_completed_by_its_result_request(lane, server, answer, party) -> None:
    result = {"request": "GET /t/{id}/result", "outputs": "link"}
    answer({"items": [{"id": "a", "state": "done"}, {"id": "b", "state": "busy"}]}, {"link": "https://c.example/a"})

    seen = await lane(batch=ARK, result=result).poll_many(party("a", "b"))

    assert urls(seen["tsk_a"]) == ["https://c.example/a"]
    assert server.asked[1:] == ["/t/a/result"]


async def test_whoever_cannot_ride_goes_alone(lane, server, answer, make_task, party) -> None:
    by_url = make_task("u", id="tsk_u", status_url=f"{server.url}/u")
    provider = lane(batch=ARK)
    answer({"items": [{"id": "a", "state": "busy"}]}, {"state": "busy"})

    seen = await provider.poll_many([by_url, *party("a", "x,y")])
    alone = await provider.poll_many([by_url, *party("x,y")])

    assert set(seen) == {"tsk_a"}
    assert set(alone) == {"tsk_u"}
    assert server.asked == ["/tasks?filter.ids=a", "/u"]


async def test_ids_beyond_the_room_of_a_url_take_the_next_request(lane, server, answer, party) -> None:
    ids = [f"{n}" + "x" * 1900 for n in range(5)]
    answer({"items": []})

    seen = await lane(batch=ARK).poll_many(party(*ids))

    assert len(seen) == 2
    assert len(server.asked[0]) < 8000


async def test_a_big_batch_is_read_off_the_loop_and_right(lane, answer, party) -> None:
    items = [{"id": f"{n}", "state": "busy", "pad": "x" * 500} for n in range(200)]
    answer({"items": items})

    seen = await lane(batch=ARK | {"max": 200, "query": {}}).poll_many(party(*(f"{n}" for n in range(200))))

    assert len(seen) == 200


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "items", "a"]), inner, max_size=3))  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=JSON, keyed=st.booleans(), wrap=st.sampled_from([None, "{id}", "data"]))
def test_no_answer_makes_the_parting_raise(body: object, keyed: bool, wrap: str | None) -> None:
    table = {"request": "GET /t", "items": "items", "wrap": wrap} | ({} if keyed else {"id": "id"})

    told = parted(BatchSpec.model_validate(table), body)  # type: ignore[arg-type]

    assert told is None or all(isinstance(known, str) and known for known in told)
