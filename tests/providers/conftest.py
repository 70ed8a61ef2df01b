"""What the provider tests share: the catalog, accounts that point at loopback, and a provider that answers as told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import aiohttp
import pytest
import structlog
import structlog.testing
from aiohttp import web

from daemon.core.ids import TaskId
from daemon.core.task import LaneName, Task
from daemon.net.lean import Lean
from daemon.net.session import open_session
from daemon.providers.account import Account
from daemon.providers.catalog import Catalog
from daemon.providers.client import HttpProvider

KEY = "sk-very-secret-0123456789"
NOW_AT = 1_750_000_000.0

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


def task_of(remote_id: str = "abc", **fields: object) -> Task:
    """A task that is due."""
    values: dict[str, object] = {
        "id": TaskId("tsk_1"),
        "provider": LaneName("lane"),
        "remote_id": remote_id,
        "model": None,
        "updated_at": 0.0,
        "born": 0.0,
        "deadline": 1e9,
        "next_at": 0.0,
    }
    return Task(**(values | fields))  # type: ignore[arg-type]


@dataclass
class FakeProvider:
    """A real HTTP server on loopback: answers from a queue, remembers what it was asked."""

    url: str = ""
    answers: list[web.StreamResponse | Answering] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    authorized: list[str | None] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        self.authorized.append(request.headers.get("Authorization"))
        told = self.answers.pop(0)
        return await told(request) if callable(told) and not isinstance(told, web.StreamResponse) else told


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog()


@pytest.fixture
def logged(_quiet_logs: None) -> Iterator[list[structlog.typing.EventDict]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET))
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def make_task() -> Callable[..., Task]:
    return task_of


@pytest.fixture
async def server() -> AsyncIterator[FakeProvider]:
    fake = FakeProvider()
    app = web.Application(client_max_size=1)
    app.router.add_route("*", "/{tail:.*}", fake.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    yield fake
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    opened = open_session(guard=None, keep_alive=5.0)
    yield opened
    await opened.close()


@pytest.fixture
async def lean(session: aiohttp.ClientSession) -> AsyncIterator[Lean]:
    made = Lean(session, keep_alive=5.0)
    yield made
    made.close()


@pytest.fixture
def connect(
    catalog: Catalog, session: aiohttp.ClientSession, lean: Lean, server: FakeProvider
) -> Callable[..., HttpProvider]:
    """Make the provider of a preset, its base URL on the fake server."""

    def connected(preset: str, **table: object) -> HttpProvider:
        given = {"base_url": server.url, "api_key": KEY, "preset": preset, "timeout": 5} | table
        account: Account = catalog.account("lane", given)
        return HttpProvider(account, session, lambda: NOW_AT, lean=lean)

    return connected
