"""The real command as a process, against a small server that answers with the documented shapes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.cli import forked

ROOT = Path(__file__).parents[2]
TASK = {
    "id": "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3", "provider": "amux", "remote_id": "abcd1234efgh", "model": "seedance-2.0",
    "status": "running", "progress": 0.4, "queue_position": None, "outputs": [], "error": None,
    "metadata": {"order": 17}, "created_at": "2026-11-21T20:10:05.000Z", "registered_at": "2026-11-21T20:10:06.000Z",
    "updated_at": "2026-11-21T20:10:09.000Z", "ended_at": None, "deadline_at": "2026-11-21T20:40:05.000Z", "polls": 3,
    "next_poll_at": "2099-11-21T20:10:12.000Z", "next_poll_reason": "first poll at the 4 % quantile of 212 endings",
    "last_miss": None, "webhook": {"endpoint": "default"}, "event_id": None,
}  # fmt: skip
SUCCEEDED = TASK | {
    "status": "succeeded", "progress": None, "next_poll_at": None, "next_poll_reason": None,
    "ended_at": "2026-11-21T20:11:40.512Z", "event_id": "msg_01k2m3n4p5q6r7s8t9v0w1x2y3",
    "outputs": [{"url": "https://cdn.example.com/result.mp4", "kind": "video", "needs_auth": False, "expires_at": None}],
}  # fmt: skip
FAILED = SUCCEEDED | {
    "status": "failed", "outputs": [],
    "error": {"code": "50001", "message": "rejected by \x1b[31mpolicy", "kind": "content_blocked"},
}  # fmt: skip
DELIVERY = {
    "id": "dlv_01k2m3n4p5q6r7s8t9v0w1x2y3", "event_id": "msg_01k2m3n4p5q6r7s8t9v0w1x2y3", "event_type": "task.succeeded",
    "task_id": TASK["id"], "endpoint": "default", "url": None, "state": "dead", "attempt_count": 2, "due_at": None,
    "reason": "no success in 2 attempts", "created_at": "2026-11-21T20:11:40.512Z",
    "updated_at": "2026-11-21T20:11:45.512Z",
}  # fmt: skip


def event(number: int) -> dict[str, Any]:
    data = {"task_id": TASK["id"], "provider": "amux", "remote_id": f"r{number}"}
    body = {"type": "task.succeeded", "timestamp": "2026-11-21T20:11:40.512Z", "data": data}
    return {"id": f"msg_{number}", "type": "task.succeeded", "created_at": "2026-11-21T20:11:40.512Z", "body": body}


@dataclass
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Asked:
    """One request that arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class FakeApi:
    """Answers each (method, path) with its queued answers, the last one for ever; remembers what was asked."""

    token: str | None = "secret-token"
    address: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)

    def on(self, method: str, path: str, *answers: Any, status: int = 200) -> None:
        self.answers[method, path] = [(status, answer) for answer in answers]

    async def answer(self, request: web.Request) -> web.Response:
        content = await request.read()
        self.asked.append(
            Asked(request.method, request.path, dict(request.query), dict(request.headers),
                  json.loads(content) if content else None)
        )  # fmt: skip
        if self.token is not None and request.headers.get("Authorization") != f"Bearer {self.token}":
            return problem(401, "unauthorized", "A bearer token is needed", "send Authorization: Bearer")
        if request.method != "GET" and request.headers.get("Content-Type") != "application/json":
            return problem(415, "unsupported_media_type", "The body must be application/json", "none")
        queue = self.answers.get((request.method, request.path))
        if queue is None:
            return problem(404, "not_found", "Not found", f"no {request.path}")
        status, value = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(value, bytes):
            return web.Response(body=value, status=status)
        return web.json_response(value, status=status)


def problem(status: int, code: str, title: str, detail: str, **more: Any) -> web.Response:
    document = {
        "type": f"urn:pollhook:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return web.json_response(document | more, status=status, content_type="application/problem+json")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[FakeApi]:
    fake = FakeApi()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", fake.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await web.UnixSite(runner, str(tmp_path / "api.sock")).start()
    fake.address = f"127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLLHOOK_")}
    return kept | {
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PYTHONPATH": str(ROOT),
        "TZ": "UTC",
    }


@pytest.fixture
def start(environment: dict[str, str]) -> Callable[..., Awaitable[asyncio.subprocess.Process]]:
    async def begin(*words: str, **variables: str) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "daemon", *words, stdin=pipe, stdout=pipe, stderr=pipe, env=environment | variables
        )

    return begin


@pytest.fixture
def pollhook(environment: dict[str, str], api: FakeApi, tmp_path_factory) -> Callable[..., Awaitable[Ran]]:
    async def run(*words: str, stdin: bytes = b"", server: bool = True, **variables: str) -> Ran:
        if server:
            variables = {"POLLHOOK_SERVER": api.address, "POLLHOOK_TOKEN": "secret-token"} | variables
        folder = tmp_path_factory.mktemp("ran")
        return Ran(*await asyncio.to_thread(forked.run, words, environment | variables, folder, stdin))

    return run


@pytest.fixture
def shapes() -> dict[str, Any]:
    return {"task": TASK, "succeeded": SUCCEEDED, "failed": FAILED, "delivery": DELIVERY, "event": event}
