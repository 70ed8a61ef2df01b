"""SIGHUP on the real process: what changes at once, what is named to wait, and that nothing is dropped."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from daemon.demo.plan import Pace
from daemon.demo.ports import free_port
from tests.e2e.rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
QUICK = Pace(queued=(0.0, 0.2), running=(0.3, 1.0))
SLOW = Pace(queued=(0.0, 0.1), running=(60.0, 60.0))


class Held:
    """A server that holds every request until it is let go, and counts those it holds."""

    def __init__(self) -> None:
        self.holding: Counter[str] = Counter()
        self.total = 0
        self.gate = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.holding[request.path.split("/")[1]] += 1
        self.total += 1
        try:
            await self.gate.wait()
        finally:
            self.holding[request.path.split("/")[1]] -= 1
        return web.json_response({"status": "pending"})

    def now(self) -> int:
        return sum(self.holding.values())


@asynccontextmanager
async def held_server():
    held, app = Held(), web.Application()
    app.router.add_route("*", "/{path:.*}", held.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", held
    finally:
        held.gate.set()
        await runner.cleanup()


async def reloaded(rig: Rig, **tables) -> None:
    before = len(rig.log_lines("config.reloaded"))
    rig.write_config(**tables)
    rig.reload()
    await rig.until(lambda: len(rig.log_lines("config.reloaded")) > before, what="the reload")


async def test_more_polls_in_flight_are_allowed_at_once_though_every_poll_out_hangs(tmp_path):
    async with held_server() as (url, held), Rig(tmp_path) as rig:
        lane = {"preset": "amux", "api_key": "sk-held-0123456789", "base_url": url, "timeout": "60s"}
        lanes = {f"providers.held{n}": lane for n in range(4)}
        rig.tables = lanes
        rig.write_config(polling={"max_in_flight": 2})
        await rig.start()
        for n in range(8):
            body = {"provider": f"held{n % 4}", "remote_id": f"job-{n}", "first_poll_after": 0}
            assert (await rig.call("POST", "/v1/tasks", body))[0] == 201
        await rig.until(lambda: held.now() == 2, what="the bound in use")
        await asyncio.sleep(0.5)
        assert held.now() == 2

        await reloaded(rig, polling={"max_in_flight": 100})

        await rig.until(lambda: held.now() == 8, what="the new bound in use")
        assert held.total == 8


async def test_changed_bounds_of_deliveries_hold_for_what_waits_already(tmp_path):
    async with held_server() as (url, held), Rig(tmp_path, pace=QUICK) as rig:
        rig.write_config(
            **{
                "endpoints.default": {"url": url + "/hook", "concurrency": None},
                "delivery": {"concurrency": 1, "timeout": "60s"},
            }
        )
        await rig.start()
        jobs = [rig.simulation.providers["amux"].create() for _ in range(6)]
        for job in jobs:
            body = {"provider": "amux", "remote_id": job.id, "model": job.model}
            assert (await rig.call("POST", "/v1/tasks", body))[0] == 201
        await rig.until(lambda: held.now() == 1, what="one delivery in flight")
        await asyncio.sleep(1)
        assert held.total == 1, "with more events waiting"

        more = {"delivery": {"concurrency": 8, "timeout": "60s", "max_in_flight": 50}}
        await reloaded(rig, **{"endpoints.default": {"url": url + "/hook", "concurrency": None}}, **more)
        await rig.until(lambda: held.now() == 2, what="the window of a lane that has not answered yet")
        await reloaded(rig)
        held.gate.set()
        await rig.until(lambda: len(rig.receiver.arrivals) == 4, what="the endpoint's new URL in use")

        async def settled() -> bool:
            return len((await rig.call("GET", "/v1/deliveries?state=delivered"))[1]["data"]) == 6

        await rig.until(settled, what="every delivery")


async def test_a_failing_endpoint_is_tried_at_once_at_the_address_that_a_reload_gives_it(tmp_path):
    async with Rig(tmp_path, pace=QUICK) as rig:
        dead = {"url": "http://127.0.0.1:9/hook", "concurrency": None}
        rig.write_config(**{"endpoints.default": dead, "delivery": {"schedule": ["1h"]}})
        await rig.start()
        for _ in range(8):
            job = rig.simulation.providers["amux"].create()
            await rig.call("POST", "/v1/tasks", {"provider": "amux", "remote_id": job.id, "model": job.model})

        async def is_failing() -> bool:
            return (await rig.call("GET", "/v1/endpoints/default"))[1]["state"] == "failing"

        await rig.until(is_failing, what="an open breaker")
        for _ in range(8):
            job = rig.simulation.providers["amux"].create()
            await rig.call("POST", "/v1/tasks", {"provider": "amux", "remote_id": job.id, "model": job.model})
        began = time.monotonic()
        await reloaded(rig)
        await rig.until(lambda: len(rig.receiver.arrivals) >= 1, what="a first arrival at the new address")

        assert time.monotonic() - began < 4


async def test_what_only_a_restart_applies_is_named_again_at_every_reload(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        await _reload_what_waits(tmp_path, manager)


async def _reload_what_waits(tmp_path, manager):
    async with Rig(tmp_path) as rig:
        rig.environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        await rig.start()
        wanted = {"server": {"open_metrics": True, "max_connections": 99}, "egress": {"allow": ["10.0.0.1/32:80"]}}

        for _ in range(2):
            await reloaded(rig, **wanted)
        named = [line["settings"] for line in rig.log_lines("config.needs_restart")]
        assert named == [["server.open_metrics", "server.max_connections", "egress.allow"]] * 2
        assert (await rig.call("GET", "/metrics"))[0] == 200
        async with rig.session.get(f"{rig.api}/metrics") as answer:
            assert answer.status == 401, "as at the start"

        said = _heard(manager)
        assert any(
            "server.max_connections, egress.allow of the new configuration: after a restart" in one for one in said
        )
        await reloaded(rig)
        assert len(rig.log_lines("config.needs_restart")) == 2
        await rig.until(
            lambda: any(one.startswith("STATUS=watching") for one in _heard(manager)), what="a plain status"
        )


def _heard(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


async def test_lanes_rates_watchlist_and_log_level_change_at_once(tmp_path):
    async with Rig(tmp_path, pace=SLOW) as rig:
        await rig.start()
        amux = {"rate": 7.0, "concurrency": 3, "min_gap": "900ms"}

        await reloaded(rig, **{"providers.amux": amux, "polling": {"max_tasks": 1}, "log": {"level": "debug"}})

        lane = (await rig.call("GET", "/v1/providers/amux"))[1]
        assert (lane["rate"], lane["concurrency"], lane["min_gap"]) == (7.0, 3, 0.9)
        job = rig.simulation.providers["amux"].create()
        assert (await rig.call("POST", "/v1/tasks", {"provider": "amux", "remote_id": job.id}))[0] == 201
        assert (await rig.call("POST", "/v1/tasks", {"provider": "amux", "remote_id": "x"}))[0] == 503
        rig.write_config(log={"level": "error"})
        rig.reload()
        await rig.until(lambda: _is_quiet(rig), what="the quiet")


async def _is_quiet(rig: Rig) -> bool:
    size = rig.log.stat().st_size
    job = rig.simulation.providers["amux"].create()
    status, _ = await rig.call("POST", "/v1/tasks", {"provider": "amux", "remote_id": job.id})
    return status == 201 and rig.log.stat().st_size == size


async def test_ten_reloads_under_load_drop_and_double_nothing(tmp_path):
    async with Rig(tmp_path, pace=QUICK) as rig:
        await rig.start()
        tasks: list[str] = []
        is_over = asyncio.Event()

        async def register() -> None:
            while not is_over.is_set():
                for name, provider in rig.simulation.providers.items():
                    job = provider.create()
                    body = {"provider": name, "remote_id": job.id, "model": job.model}
                    status, task = await rig.call("POST", "/v1/tasks", body)
                    assert status == 201, task
                    tasks.append(task["id"])

        registering = asyncio.create_task(register())
        for n in range(10):
            bad = n % 3 == 2
            if bad:
                rig.config.write_text(rig.config.read_text() + "\n[nonsense]\n")
                rig.reload()
                await rig.until(lambda n=n: len(rig.log_lines("config.refused")) == n // 3 + 1)
            else:
                rate = {"rate": 100.0 + n, "concurrency": 20 + n}
                await reloaded(rig, **{"providers.token360": rate, "polling": {"max_in_flight": 50 + n}})
        is_over.set()
        await registering
        await rig.until(lambda: {a["task_id"] for a in rig.receiver.arrivals} == set(tasks), what="every end told")

        assert len(tasks) > 10
        endings = Counter(json.dumps(event["body"]["data"]["task_id"]) for event in await rig.all_events())
        assert set(endings.values()) == {1}
        assert not rig.log_lines("work.crashed")


async def test_a_port_that_moves_waits_for_the_restart_and_the_old_one_serves(tmp_path):
    async with Rig(tmp_path) as rig:
        await rig.start()
        await reloaded(rig, server={"listen": [f"127.0.0.1:{free_port()}"]})
        assert rig.log_lines("config.needs_restart")[0]["settings"] == ["server.listen"]
        assert await rig.is_ready()
