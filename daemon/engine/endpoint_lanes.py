"""The lanes of endpoints: one per configured name and one per ad-hoc origin, made at first use."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from daemon.core.breaker import Breaker, Temper, Trouble
from daemon.core.endpoint import Endpoint
from daemon.core.lane import Lane, Pace
from daemon.core.ramp import Ramp
from daemon.core.turns import Turns
from daemon.engine.clock import Clock
from daemon.engine.pump import Pump
from daemon.engine.standing import Standing

TEMPER = Temper(failures=5, probe=5.0, probe_cap=300.0)
BURST = 10.0


class EndpointLanes:
    """Finds, makes and renews lanes on one pump; ``find`` answers the endpoint of a name and maybe URL."""

    def __init__(
        self, pump: Pump, find: Callable[[str, str | None], Endpoint | None], standing: Standing, clock: Clock
    ) -> None:
        self._pump = pump
        self._find = find
        self._standing = standing
        self._clock = clock

    def of(self, name: str, url: str | None) -> Lane:
        """Return the lane of an endpoint; one that is disabled starts nothing, one that failed before a restart is
        probed.
        """
        lane = self._pump.lanes.get(name)
        return self._made(name, url) if lane is None else lane

    def renew(self) -> None:
        """Bring the lanes up to date with endpoints that changed."""
        for lane in self._pump.lanes.values():
            endpoint = self._find(lane.name, lane.name if "://" in lane.name else None)
            if endpoint is not None:
                lane.slots = endpoint.concurrency
                lane.pace.change(endpoint.rate, _burst(endpoint.rate), self._clock.now())
                self._pump.wake(lane)

    def _made(self, name: str, url: str | None) -> Lane:
        endpoint = self._find(name, url)
        slots, rate = (1, inf) if endpoint is None else (endpoint.concurrency, endpoint.rate)
        lane = Lane(
            name=name,
            slots=slots,
            pace=Pace(rate=rate, burst=_burst(rate)),
            breaker=Breaker(TEMPER),
            agenda=Turns(),
            ramp=Ramp(),
        )
        if self._standing.disabled(name) is not None:
            lane.trip(Trouble.DISABLED, self._clock.now())
        elif self._standing.failing(name) is not None:
            lane.trip(Trouble.OUTAGE, self._clock.now())
        return self._pump.add(lane)


def _burst(rate: float) -> float:
    return max(1.0, min(rate, BURST))
