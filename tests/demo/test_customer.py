"""The customer registers what it submitted: singly and as a batch, by id and by submission, through outages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from daemon.demo.customer import Account, Customer, RegistrationRefused, remote_id


class Desk:
    """A registration desk that takes everything, after dropping the first ``drops`` connections."""

    def __init__(self) -> None:
        self.singles: list[Any] = []
        self.batches: list[Any] = []
        self.drops = 0
        self.refuses = False
        self.url = ""

    async def register(self, request: web.Request) -> web.Response:
        if self.drops:
            self.drops -= 1
            assert request.transport is not None
            request.transport.abort()
            raise web.HTTPServiceUnavailable
        if self.refuses:
            return web.json_response({"detail": "The watchlist is full"}, status=503)
        self.singles.append(await request.json())
        return web.json_response({"id": "tsk_1"}, status=201)

    async def register_batch(self, request: web.Request) -> web.Response:
        tasks = (await request.json())["tasks"]
        self.batches.append(tasks)
        return web.json_response({"data": [{"status": 201, "task": {}} for _ in tasks]})


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    application = web.Application()
    application.router.add_post("/v1/tasks", desk.register)
    application.router.add_post("/v1/tasks/batch", desk.register_batch)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    desk.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield desk
    await runner.cleanup()


def customer_of(it, desk: Desk) -> Customer:
    providers = it.simulation.providers.values()
    accounts = [Account(dialect=one.dialect, base_url=one.base_url, key=one.key) for one in providers]
    return Customer(it.session, accounts, desk.url, seed=1)


async def test_every_submitted_job_is_registered_once(rig, desk):
    it = await rig()
    customer = customer_of(it, desk)

    await customer.order(25, 0.0)

    told = [*desk.singles, *desk.batches[0]]
    ids = {one.get("remote_id") or remote_id(one["submission"]) for one in told}
    assert (customer.registered, len(desk.batches[0]), len(desk.batches)) == (25, 5, 1)
    assert ids == {job["remote_id"] for job in it.simulation.ledger()}
    assert {one["provider"] for one in told} == set(it.simulation.providers)
    assert {"submission" in one for one in told} == {True, False}
    assert {one["provider"] for one in told if "fetch_result" in one} == {"modelmax"}


async def test_a_registration_that_nobody_answered_is_made_again(rig, desk):
    it = await rig()
    desk.drops = 2

    await customer_of(it, desk).order(3, 0.0)

    assert len(desk.singles) == 3


async def test_a_refused_registration_is_told(rig, desk):
    it = await rig()
    desk.refuses = True

    with pytest.raises(ExceptionGroup) as refused:
        await customer_of(it, desk).order(1, 0.0)

    assert refused.group_contains(RegistrationRefused, match="503 The watchlist is full")
