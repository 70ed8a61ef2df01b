"""Five simulated providers on loopback that speak the seed dialects word for word.

A ``Simulation`` runs inside a test's event loop or, by ``python -m daemon.demo.providers``, as its own process. The
truth about every job is in its ledger: ``Simulation.ledger()`` from Python, ``GET /_ledger`` of each over HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Self

from daemon.core.task import Status
from daemon.demo.companion import Words, live_as_companion
from daemon.demo.job import Dialect, Entry
from daemon.demo.plan import Faults, Pace
from daemon.demo.queues import ModelMax, SeaCloud
from daemon.demo.simulated import Clock, SimulatedProvider
from daemon.demo.videos import Amux, MixRoute, Token360

DIALECTS: tuple[Dialect, ...] = (ModelMax(), SeaCloud(), MixRoute(), Token360(), Amux())


class Simulation:
    """All five providers (or those of *names*), open for as long as the ``async with`` lasts.

    *speed* divides every duration; *clock* tells wall-clock seconds and may be a test's own, so that jobs age
    without anyone waiting.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        speed: float = 1.0,
        pace: Pace | None = None,
        faults: Faults | None = None,
        clock: Clock = time.time,
        names: Sequence[str] | None = None,
    ) -> None:
        self.providers = {
            dialect.name: SimulatedProvider(
                dialect, seed=seed, speed=speed, pace=pace or Pace(), faults=faults or Faults(), clock=clock
            )
            for dialect in DIALECTS
            if names is None or dialect.name in names
        }
        self._open = AsyncExitStack()

    @property
    def base_urls(self) -> dict[str, str]:
        """Where each provider listens: the ``base_url`` of its lane."""
        return {name: provider.base_url for name, provider in self.providers.items()}

    @property
    def keys(self) -> dict[str, str]:
        """The API key of each provider."""
        return {name: provider.key for name, provider in self.providers.items()}

    def ledger(self) -> list[Entry]:
        """Return the truth about every job of every provider."""
        return [entry for provider in self.providers.values() for entry in provider.ledger()]

    def outcomes(self) -> dict[tuple[str, str], Status]:
        """Return how each job ends, by (provider, remote id)."""
        return {(job["provider"], job["remote_id"]): Status(job["outcome"]) for job in self.ledger()}

    async def __aenter__(self) -> Self:
        """Open every server."""
        for provider in self.providers.values():
            runner = await provider.open()
            self._open.push_async_callback(runner.cleanup)
        return self

    async def __aexit__(self, *failure: object) -> None:
        """Close every server."""
        await self._open.aclose()


async def _main(words: Words) -> None:
    simulation = Simulation(seed=int(words.number("seed")), speed=words.number("speed", 1.0), faults=_faults(words))
    async with simulation:
        words.tell({"base_urls": dict(simulation.base_urls), "keys": dict(simulation.keys)})
        await words.farewell()


def _faults(words: Words) -> Faults:
    return Faults(
        throttled=words.number("throttled"),
        server_error=words.number("server_error"),
        hang=words.number("hang"),
        html=words.number("html"),
        unknown_word=words.number("unknown_word"),
        retry_after=int(words.number("retry_after", 1)),
        hang_seconds=words.number("hang_seconds", 5.0),
    )


if __name__ == "__main__":
    live_as_companion(_main)
