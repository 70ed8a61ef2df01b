"""The presets of Kling, MiniMax, Ark and others as they ask: the documented URLs, second requests, several at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

import pytest
from aiohttp import web
from yarl import URL

from daemon.core.errors import HostNotAllowed
from daemon.core.ids import TaskId
from daemon.core.observation import Ended, Observation, Pending
from daemon.core.record import Application
from daemon.core.task import Status, Task
from daemon.providers.account import Account
from daemon.providers.admission import admit
from daemon.providers.catalog import Catalog
from daemon.providers.client import HttpProvider
from daemon.providers.request import Requests

PARAMS = {"kling": (("kind", "videos/text2video"),)}


class Server(Protocol):
    """The provider on loopback, as conftest makes it."""

    answers: list[web.StreamResponse]
    asked: list[str]
    authorized: list[str | None]


Connect = Callable[..., HttpProvider]
MakeTask = Callable[..., Task]


def requests_of(catalog: Catalog, preset: str) -> Requests:
    return Requests(Account("lane", preset, catalog.definition(preset), "key"), lambda: 0.0)


def told(seen: Observation) -> Status | None:
    if isinstance(seen, Ended):
        return seen.outcome
    return seen.status if isinstance(seen, Pending) else None


def test_bfl_is_asked_at_the_url_of_its_answer_and_never_without_it(catalog: Catalog) -> None:
    requests = requests_of(catalog, "bfl")
    foreign_url = "https://bfl.ai.example.com/v1/get_result?id=req-123"
    polling_url = "https://api.us1.bfl.ai/v1/get_result?id=req-123"

    admission = admit(requests, Application(provider="lane", submission={"id": "req-123", "polling_url": polling_url}))

    assert admission.status_url == polling_url
    with pytest.raises(HostNotAllowed):
        admit(requests, Application(provider="lane", submission={"id": "req-123", "polling_url": foreign_url}))


@pytest.mark.parametrize(
    ("preset", "url"),
    [
        ("kling", "https://api-singapore.klingai.com/v1/videos/text2video/abc"),
        ("minimax", "https://api.minimax.io/v1/query/video_generation?task_id=abc"),
        ("minimax-template", "https://api.minimax.io/v1/query/video_template_generation?task_id=abc"),
        ("piapi", "https://api.piapi.ai/api/v1/task/abc"),
        (
            "aiml-luma",
            "https://api.aimlapi.com/v2/generate/video/luma-ai/generation?generation_id=abc&state=completed",
        ),
        ("together-video", "https://api.together.ai/v2/videos/abc"),
        ("xai", "https://api.x.ai/v1/videos/abc"),
    ],
)
def test_the_status_request_is_the_documented_one(catalog: Catalog, make_task: MakeTask, preset: str, url: str) -> None:
    prepared = requests_of(catalog, preset).status(make_task("abc", params=PARAMS.get(preset, ())))

    assert (prepared.method, str(prepared.url)) == ("GET", url)


@pytest.mark.parametrize("preset", ["byteplus-ark", "volcengine-ark"])
async def test_ark_tells_several_tasks_in_one_request(
    connect: Connect, server: Server, make_task: MakeTask, preset: str
) -> None:
    running, done = make_task("a", id=TaskId("tsk_a")), make_task("b", id=TaskId("tsk_b"))
    content = {"video_url": "https://cdn.example.com/v.mp4"}
    items = [{"id": "a", "status": "running"}, {"id": "b", "status": "succeeded", "content": content}]
    server.answers.append(web.json_response({"items": items, "total": 2}))

    seen = await connect(preset).poll_many([running, done])

    end = seen[done.id]
    assert isinstance(seen[running.id], Pending)
    assert isinstance(end, Ended)
    assert [output.url for output in end.outputs] == ["https://cdn.example.com/v.mp4"]
    (asked,) = server.asked
    assert asked.startswith("/contents/generations/tasks?filter.task_ids=a&filter.task_ids=b&")


async def test_aiml_tells_several_generations_in_one_request(
    connect: Connect, server: Server, make_task: MakeTask
) -> None:
    tasks = [make_task("a", id=TaskId("tsk_a")), make_task("b", id=TaskId("tsk_b"))]
    server.answers.append(web.json_response([{"id": "a", "state": "dreaming"}, {"id": "b", "state": "failed"}]))

    seen = await connect("aiml-luma").poll_many(tasks)

    assert [told(seen[task.id]) for task in tasks] == [Status.RUNNING, Status.FAILED]
    assert URL(server.asked[0]).query == {"generation_ids": "a,b", "state": "queued"}


async def test_minimax_fetches_the_link_by_the_id_of_the_file(
    connect: Connect, server: Server, make_task: MakeTask
) -> None:
    good = {"status_code": 0, "status_msg": "success"}
    server.answers += [
        web.json_response({"task_id": "t", "status": "Success", "file_id": 176844028768320, "base_resp": good}),
        web.json_response({"file": {"download_url": "https://cdn.example.com/v.mp4"}, "base_resp": good}),
    ]

    seen = await connect("minimax").poll(make_task("t"))

    assert isinstance(seen, Ended)
    assert [(output.url, output.kind) for output in seen.outputs] == [("https://cdn.example.com/v.mp4", "video")]
    assert server.asked[1] == "/v1/files/retrieve?file_id=176844028768320"


async def test_revai_fetches_the_transcript_whole(connect: Connect, server: Server, make_task: MakeTask) -> None:
    transcript = {"monologues": [{"speaker": 0, "elements": [{"type": "text", "value": "Galileo"}]}]}
    server.answers += [web.json_response({"id": "j", "status": "transcribed"}), web.json_response(transcript)]

    seen = await connect("revai").poll(make_task("j"))

    assert isinstance(seen, Ended)
    (output,) = seen.outputs
    assert output.inline is not None
    assert json.loads(output.inline.content) == transcript
    assert server.asked[1] == "/speechtotext/v1/jobs/j/transcript"


async def test_kling_tells_the_tasks_on_its_list_and_asks_for_others_alone(
    connect: Connect, server: Server, make_task: MakeTask
) -> None:
    listed, unlisted = (make_task(name, id=TaskId(f"tsk_{name}"), params=PARAMS["kling"]) for name in "ab")
    item = {"task_id": "a", "task_status": "failed", "task_status_msg": "no"}
    server.answers.append(web.json_response({"code": 0, "message": "SUCCEED", "data": [item]}))

    seen = await connect("kling").poll_many([listed, unlisted])

    assert seen.keys() == {listed.id}
    assert told(seen[listed.id]) is Status.FAILED
    assert server.asked == ["/v1/videos/text2video?pageNum=1&pageSize=100"]


async def test_kling_sends_a_token_made_of_the_pair_of_keys(
    connect: Connect, server: Server, make_task: MakeTask
) -> None:
    body = {"code": 0, "data": {"task_id": "t", "task_status": "processing"}}
    server.answers.append(web.json_response(body))

    seen = await connect("kling-legacy", api_key="access:secret").poll(make_task("t", params=PARAMS["kling"]))

    assert isinstance(seen, Pending)
    (sent,) = server.authorized
    assert sent is not None
    assert sent.startswith("Bearer ey")
    assert sent.count(".") == 2
