"""Outputs saved by the real daemon from a provider that is slow, cut and killed in the midst of it."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from daemon.demo.receiver import is_delivered
from tests.e2e.rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
BODY = bytes(range(256)) * 40_000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Provider:
    """A provider whose every task has succeeded, with one video that comes as fast as the test lets it."""

    def __init__(self) -> None:
        self.flow = asyncio.Event()
        self.asked: list[dict[str, str]] = []
        self.status = 200
        self.is_forgotten = False
        self.polls = 0

    async def stands(self, request: web.Request) -> web.Response:
        self.polls += 1
        if self.is_forgotten:
            return web.json_response({"error": "no such job"}, status=404)
        return web.json_response({"state": "done", "outputs": [f"/files/{request.match_info['id']}.mp4"]})

    async def file(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.headers))
        if self.status != 200:
            return web.Response(status=self.status)
        start = int(request.headers["Range"][6:-1]) if "Range" in request.headers else 0
        response = web.StreamResponse(status=206 if start else 200)
        response.headers.update({"Content-Type": "video/mp4", "ETag": '"v1"'})
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        response.content_length = len(BODY) - start
        await response.prepare(request)
        half = max(start, len(BODY) // 2)
        await response.write(BODY[start:half])
        await self.flow.wait()
        await response.write(BODY[half:])
        return response


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    app = web.Application()
    app.router.add_get("/jobs/{id}", made.stands)
    app.router.add_get("/files/{name}", made.file)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def rig(tmp_path, provider) -> AsyncIterator[Rig]:
    lane = "providers.local"
    tables = {
        lane: {
            "base_url": provider.base,
            "api_key": "sk-local-1234567890",
            "min_gap": "200ms",
            "not_found_grace": "500ms",
            "save_outputs": True,
        },
        f"{lane}.typical": {"duration": "200ms"},
        f"{lane}.status": {"request": "GET /jobs/{id}", "state": "state"},
        f"{lane}.status.states": {"succeeded": ["done"]},
        f"{lane}.status.fields.outputs": {"path": "outputs", "kind": "video", "needs_auth": True},
        "outputs": {"schedule": ["300ms", "300ms", "300ms"]},
    }
    async with Rig(tmp_path, tables=tables) as made:
        await made.start()
        yield made


async def register(rig: Rig, remote_id: str, **more) -> str:
    status, task = await rig.call("POST", "/v1/tasks", {"provider": "local", "remote_id": remote_id} | more)
    assert status == 201, task
    return task["id"]


async def saved(rig: Rig, task_id: str) -> dict | None:
    _, task = await rig.surely("GET", f"/v1/tasks/{task_id}")
    return task["outputs"][0]["saved"] if task["outputs"] else None


def holds(rig: Rig, task_id: str, state: str):
    async def claim() -> bool:
        found = await saved(rig, task_id)
        return found is not None and found["state"] == state

    return claim


async def test_a_download_killed_in_the_midst_goes_on_and_is_served(rig, provider):
    task_id = await register(rig, "job")
    part = rig.folder / "state" / "outputs" / task_id / "0.part"
    await rig.until(lambda: part.exists() and part.stat().st_size > 1_000_000, what="half of it came")
    assert (await saved(rig, task_id))["state"] == "pending"
    await rig.until(lambda: any(map(is_delivered, rig.receiver.arrivals)), what="the event did not wait")
    await rig.kill()
    provider.flow.set()
    await rig.start()
    await rig.until(holds(rig, task_id, "saved"), what="it was saved")

    shown = await saved(rig, task_id)
    assert shown == {
        "state": "saved",
        "bytes": len(BODY),
        "sha256": DIGEST,
        "content_type": "video/mp4",
        "reason": None,
    }
    assert int(provider.asked[-1]["Range"][6:-1]) > 1_000_000
    assert provider.asked[-1]["Authorization"] == "Bearer sk-local-1234567890"
    status, content = await rig.call("GET", f"/v1/tasks/{task_id}/outputs/0")
    assert status == 200
    assert hashlib.sha256(content).hexdigest() == DIGEST
    status, some = await rig.call("GET", f"/v1/tasks/{task_id}/outputs/0", Range="bytes=100-199")
    assert (status, some) == (206, BODY[100:200])
    (event,) = [event for event in await rig.all_events() if event["type"] == "task.succeeded"]
    (output,) = event["body"]["data"]["outputs"]
    assert "saved" not in output
    assert len(rig.log_lines("output.saved")) == 1
    _, metrics = await rig.call("GET", "/metrics")
    assert b'pollhook_output_saves_total{lane="local",result="saved"} 1.0' in metrics
    assert b'pollhook_output_bytes_total{lane="local"} 1.024e+07' in metrics


async def test_before_event_nothing_is_told_until_the_copy_is_there(rig, provider):
    task_id = await register(rig, "job", save_outputs="before_event")
    await rig.until(lambda: provider.asked, what="the download began")
    _, task = await rig.call("GET", f"/v1/tasks/{task_id}")
    assert task["status"] == "queued"
    assert not rig.receiver.arrivals
    await rig.kill()
    await rig.start()
    provider.flow.set()
    await rig.until(lambda: any(map(is_delivered, rig.receiver.arrivals)), what="the event came")

    assert (await saved(rig, task_id))["state"] == "saved"
    (event,) = await rig.all_events()
    assert event["body"]["data"]["outputs"][0]["url"].endswith("/files/job.mp4")


async def test_a_success_seen_before_the_kill_is_told_though_the_provider_has_forgotten_it_since(rig, provider):
    await register(rig, "job", save_outputs="before_event")
    await rig.until(lambda: provider.asked, what="the download began")
    await rig.kill()
    provider.is_forgotten, before = True, provider.polls
    await rig.start()
    await rig.until(lambda: provider.polls > before + 3, what="it was polled again")
    assert not rig.receiver.arrivals
    provider.flow.set()
    await rig.until(lambda: any(map(is_delivered, rig.receiver.arrivals)), what="the event came")

    (event,) = await rig.all_events()
    assert event["type"] == "task.succeeded"
    assert event["body"]["data"]["outputs"][0]["url"].endswith("/files/job.mp4")
    assert rig.log_lines("service.recovered")[-1]["held"] == 1


async def test_an_end_whose_copies_were_settled_before_the_kill_is_told_at_the_start(rig, provider):
    await register(rig, "job", save_outputs="before_event")
    await rig.until(lambda: provider.asked, what="the download began")
    await rig.kill()
    with sqlite3.connect(rig.folder / "state" / "pollhook.db") as database:
        database.execute("UPDATE saves SET state = 'failed', due_at = NULL, reason = 'as if given up just before'")
    database.close()
    provider.is_forgotten, before = True, provider.polls
    await rig.start()
    await rig.until(lambda: any(map(is_delivered, rig.receiver.arrivals)), what="the event came")

    (event,) = await rig.all_events()
    assert event["type"] == "task.succeeded"
    assert provider.polls == before


async def test_a_link_that_expired_fails_with_a_reason_that_is_shown(rig, provider):
    provider.status = 403
    task_id = await register(rig, "job")
    await rig.until(holds(rig, task_id, "failed"), what="it was given up")

    assert "HTTP 403" in (await saved(rig, task_id))["reason"]
    assert len(provider.asked) == 4
    status, problem = await rig.call("GET", f"/v1/tasks/{task_id}/outputs/0")
    assert status == 404
    assert "HTTP 403" in problem["detail"]
    assert len(rig.log_lines("output.failed")) == 1
    assert not (rig.folder / "state" / "outputs" / task_id).exists()


async def test_a_registration_can_ask_for_no_copy_and_bad_words_are_refused(rig, provider):
    task_id = await register(rig, "job", save_outputs=False)
    await rig.call("GET", f"/v1/tasks/{task_id}?wait=10")

    assert await saved(rig, task_id) is None
    assert provider.asked == []
    status, problem = await rig.call(
        "POST", "/v1/tasks", {"provider": "local", "remote_id": "x", "save_outputs": "later"}
    )
    assert status == 422
    assert 'true, false or "before_event"' in problem["errors"][0]["message"]


async def test_sigterm_does_not_wait_for_a_download_and_loses_nothing_of_it(rig, provider):
    task_id = await register(rig, "job")
    await rig.until(lambda: provider.asked)
    async with asyncio.timeout(10):
        assert await rig.stop() == 0
    provider.flow.set()
    await rig.start()

    await rig.until(holds(rig, task_id, "saved"))
