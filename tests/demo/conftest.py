"""A simulation whose jobs age by a clock that the test turns, and a client that holds every account's key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import aiohttp
import pytest

from daemon.demo.plan import Faults, Pace
from daemon.demo.providers import Simulation
from daemon.demo.simulated import SimulatedProvider


@dataclass
class Clock:
    """Wall-clock seconds that stand still until told."""

    now: float = 1_776_352_017.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Rig:
    """A running simulation, its clock and a client."""

    simulation: Simulation
    clock: Clock
    session: aiohttp.ClientSession

    def __getitem__(self, name: str) -> SimulatedProvider:
        return self.simulation.providers[name]

    async def get(self, name: str, path: str, *, scheme: str = "Bearer", key: str | None = None) -> tuple[int, object]:
        provider = self[name]
        headers = {"Authorization": f"{scheme} {key or provider.key}"}
        async with self.session.get(provider.base_url + path, headers=headers) as response:
            is_json = response.content_type == "application/json"
            return response.status, await (response.json() if is_json else response.read())


@pytest.fixture
async def rig() -> AsyncIterator[Callable[..., Awaitable[Rig]]]:
    opened: list[Rig] = []

    async def open_rig(
        *, seed: int = 0, failing: float = 0.0, canceled: float = 0.0, faults: Faults | None = None
    ) -> Rig:
        clock = Clock()
        pace = Pace(queued=(10, 10), running=(100, 100), failing=failing, canceled=canceled)
        simulation = await Simulation(seed=seed, pace=pace, faults=faults, clock=clock).__aenter__()
        opened.append(Rig(simulation, clock, aiohttp.ClientSession()))
        return opened[-1]

    yield open_rig
    for one in opened:
        await one.session.close()
        await one.simulation.__aexit__()
