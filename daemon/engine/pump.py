"""The pump: turns lanes into asyncio.

Its contract is one line: *work(key) does one try and returns when it wants another, or None for never*.
Lanes take turns, so none waits behind another; a bug in one item is caught here, once, and the item rests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from heapq import heapify, heappop, heappush
from math import inf

import structlog

from daemon.core.agenda import Entry
from daemon.core.errors import Fault
from daemon.core.lane import Lane
from daemon.engine.clock import Clock

Work = Callable[[str], Awaitable[float | None]]

REST = 60.0
STARTS_PER_TURN = 256
FEW = 4

log = structlog.get_logger()


class Pump:
    """Drives any number of lanes under one bound.

    ``cap`` is the number of tries in flight over all lanes. Half of it is for whoever comes; the third quarter for
    lanes with fewer than four in flight; the last one for the first try of a lane that answered well lately. So
    nothing that hangs, however well it did before, takes the room of what works.
    """

    def __init__(self, kind: str, work: Work, *, cap: int, clock: Clock, on_crash: Callable[[str], None]) -> None:
        self.kind = kind
        self.cap = cap
        self.lanes: dict[str, Lane] = {}
        self.in_flight = 0
        self.ends = 0
        self._tries = 0
        self._work = work
        self._clock = clock
        self._on_crash = on_crash
        self._ready: deque[Lane] = deque()
        self._is_ready: set[str] = set()
        self._alarms: list[tuple[float, str]] = []
        self._alarm_at: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._turn_due = False
        self._group: asyncio.TaskGroup | None = None
        self._closing = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, lane: Lane) -> Lane:
        """Drive *lane* from now on."""
        self.lanes[lane.name] = lane
        self.wake(lane)
        return lane

    def plan(self, lane: Lane, key: str, due: float, rank: float = 0.0) -> None:
        """Put *key* on the lane's agenda for monotonic *due*."""
        lane.plan(key, due, rank)
        self.wake(lane)

    def fill(self, lane: Lane, entries: Sequence[Entry]) -> None:
        """Put many keys on the lane's agenda at once."""
        lane.fill(entries)
        self.wake(lane)

    def wake(self, lane: Lane) -> None:
        """Look at *lane* again: something about it changed."""
        if lane.name not in self._is_ready:
            self._is_ready.add(lane.name)
            self._ready.append(lane)
        self._turn_soon()

    async def run(self) -> None:
        """Drive the lanes until ``close``; a Fault in any try ends this with that Fault."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._turn_soon()
            try:
                await self._closing.wait()
            finally:
                self.close()

    def close(self) -> None:
        """Start nothing more; ``run`` returns when the tries in flight have ended."""
        self._closing.set()
        if self._timer is not None:
            self._timer.cancel()

    async def drained(self) -> None:
        """Return once nothing is in flight."""
        await self._idle.wait()

    def startable(self, now: float) -> list[Lane]:
        """Return the lanes that have work due and may start it; in a pump that turns, they do so within a moment."""
        if self._closing.is_set() or self.in_flight >= self.cap:
            return []
        return [lane for lane in self.lanes.values() if lane.ready_at() <= now and self._has_room_for(lane)]

    def _turn_soon(self) -> None:
        if self._group is not None and not self._turn_due and not self._closing.is_set():
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        if self._closing.is_set():
            return
        now = self._clock.now()
        self._ring_alarms(now)
        deferred: list[Lane] = []
        starts = 0
        while self._ready and self.in_flight < self.cap and starts < STARTS_PER_TURN:
            lane = self._ready.popleft()
            if not self._has_room_for(lane):
                deferred.append(lane)
                continue
            key = lane.take(now)
            if key is None:
                self._is_ready.discard(lane.name)
                self._set_alarm(lane)
                continue
            self._start(lane, key)
            for rider in lane.take_along(now):
                self._start(lane, rider, is_rider=True)
            self._ready.append(lane)
            starts += 1
        self._ready.extend(deferred)
        if starts == STARTS_PER_TURN:
            self._turn_soon()
        self._set_timer(now)

    def _has_room_for(self, lane: Lane) -> bool:
        if self.in_flight < self.cap / 2:
            return True
        if self.in_flight < self.cap * 3 / 4:
            return len(lane.running) < FEW
        return lane.is_trusted and not lane.running

    def forget_idle(self, names: Callable[[str], bool]) -> None:
        """Let go of lanes with one of *names* that have nothing to do and nothing to remember."""
        now = self._clock.now()
        for lane in list(self.lanes.values()):
            is_idle = not len(lane) and lane.name not in self._is_ready
            if is_idle and not lane.breaker.is_open and lane.held_until <= now and names(lane.name):
                del self.lanes[lane.name]
                self._alarm_at.pop(lane.name, None)

    def _ring_alarms(self, now: float) -> None:
        while self._alarms and self._alarms[0][0] <= now:
            at, name = heappop(self._alarms)
            if self._alarm_at.get(name) == at:
                del self._alarm_at[name]
                if name not in self._is_ready and name in self.lanes:
                    self._is_ready.add(name)
                    self._ready.append(self.lanes[name])

    def _set_alarm(self, lane: Lane) -> None:
        at = lane.ready_at()
        if at < self._alarm_at.get(lane.name, inf):
            self._alarm_at[lane.name] = at
            heappush(self._alarms, (at, lane.name))
            if len(self._alarms) > 3 * len(self.lanes) + 64:
                self._alarms = [(when, name) for name, when in self._alarm_at.items()]
                heapify(self._alarms)

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._alarms and not self._closing.is_set():
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._alarms[0][0] - now), self._turn)

    def _start(self, lane: Lane, key: str, *, is_rider: bool = False) -> None:
        assert self._group is not None
        self.in_flight += not is_rider
        self._tries += 1
        self._idle.clear()
        self._group.create_task(self._try(lane, key, is_rider=is_rider), name=f"{self.kind} {lane.name} {key}")

    async def _try(self, lane: Lane, key: str, *, is_rider: bool) -> None:
        due: float | None = None
        try:
            due = await self._work(key)
        except Fault:
            raise
        except Exception:
            log.exception("work.crashed", kind=self.kind, lane=lane.name, key=key, rests_for=REST)
            self._on_crash(self.kind)
            due = self._clock.now() + REST
        finally:
            self.in_flight -= not is_rider
            self.ends += 1
            self._tries -= 1
            lane.done(key, due)
            self.wake(lane)
            if not self._tries:
                self._idle.set()
