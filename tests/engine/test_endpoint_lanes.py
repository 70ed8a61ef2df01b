"""The lanes of endpoints over a reload: named ones and those made from a URL."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from daemon.core.endpoint import Endpoint
from daemon.engine.clock import Clock
from daemon.engine.endpoint_lanes import EndpointLanes
from daemon.engine.pump import Pump
from tests.engine.fakes import simulate


@pytest.mark.parametrize(("name", "url"), [("default", None), ("https://app.example.com", "https://app.example.com/a")])
def test_new_bounds_reach_lanes_that_are_there(name, url):
    async def main():
        loop, bounds = asyncio.get_running_loop(), SimpleNamespace(concurrency=1)
        clock = Clock(now=loop.time, now_at=loop.time)
        standing = SimpleNamespace(disabled=lambda _: None, failing=lambda _: None)

        def find(name, url):
            known = url is None if name == "default" else url is not None
            return Endpoint(name=name, url=url or "", keys=(), concurrency=bounds.concurrency) if known else None

        pump = Pump("deliver", None, cap=10, clock=clock, on_crash=lambda _: None)
        lanes = EndpointLanes(pump, find, standing, clock)
        lane = lanes.of(name, url)
        assert lane.slots == 1

        bounds.concurrency = 7
        lanes.renew()

        assert lane.slots == 7

    simulate(main)
