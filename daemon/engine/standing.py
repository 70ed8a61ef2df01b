"""How endpoints stand: disabled, or failing and since when; both outlive a restart."""

from __future__ import annotations

from dataclasses import dataclass, replace

from daemon.core.record import EndpointState
from daemon.engine.clock import Clock
from daemon.engine.ports import Ledger

REFUSALS = 5
SEEN_FAILING = 3600.0
"""Seconds that an endpoint must have failed in this very run before a rule of days may fire: a clock that was wrong at
the start has been set right by then."""


@dataclass(slots=True)
class _Run:
    """Refusals in a row, the first of them that of the delivery ``first``."""

    first: str
    refusals: int = 0
    is_of_several: bool = False


class Standing:
    """The state of every endpoint. Since when it fails is a wall-clock record, how long is measured monotonically."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._states: dict[str, EndpointState] = {}
        self._seen: dict[str, tuple[float, float]] = {}
        self._runs: dict[str, _Run] = {}

    async def load(self) -> None:
        """Take the states as the store has them."""
        self._states = await self._ledger.endpoints()
        now, now_at = self._clock.now(), self._clock.now_at()
        for name, state in self._states.items():
            if state.failing_since is not None:
                self._seen[name] = (now, max(0.0, now_at - state.failing_since))

    def disabled(self, name: str) -> tuple[float, str] | None:
        """Return since when (wall-clock) and why *name* is disabled; None where it is not."""
        state = self._states.get(name)
        if state is None or state.disabled_at is None:
            return None
        return state.disabled_at, state.disabled_reason or "no reason given"

    def failing(self, name: str) -> tuple[float, str] | None:
        """Return since when (wall-clock) and why *name* fails."""
        state = self._states.get(name)
        if state is None or state.failing_since is None:
            return None
        return state.failing_since, state.failing_why or "no reason given"

    def has_failed_for(self, name: str, seconds: float) -> bool:
        """Whether *name* has failed that long without a success; a clock step makes it neither longer nor shorter."""
        if name not in self._seen:
            return False
        began, before = self._seen[name]
        here = self._clock.now() - began
        return before + here >= seconds and here >= min(seconds, SEEN_FAILING)

    async def disable(self, name: str, reason: str) -> None:
        """Disable *name* durably."""
        now_at = self._clock.now_at()
        await self._ledger.save_disabled(name, now_at, reason)
        self._states[name] = replace(self._of(name), disabled_at=now_at, disabled_reason=reason)

    async def enable(self, name: str) -> None:
        """Enable *name* durably; what it failed before is forgotten."""
        await self._ledger.save_disabled(name, None, None)
        self._states[name] = replace(self._of(name), disabled_at=None, disabled_reason=None)
        await self.recovers(name)

    async def refuses(self, name: str, delivery_id: str, why: str) -> None:
        """Note that *name* did not take a delivery: it fails once it refused five times in a row, and more than one.

        From then on it fails until it takes something, whatever it answers meanwhile; since when is recorded.
        """
        if self.failing(name) is not None:
            return
        run = self._runs.setdefault(name, _Run(first=delivery_id))
        run.refusals += 1
        run.is_of_several = run.is_of_several or delivery_id != run.first
        if run.refusals >= REFUSALS and run.is_of_several:
            del self._runs[name]
            now_at = self._clock.now_at()
            self._states[name] = replace(self._of(name), failing_since=now_at, failing_why=why)
            self._seen[name] = (self._clock.now(), 0.0)
            await self._ledger.save_failing(name, now_at, why)

    async def recovers(self, name: str) -> None:
        """Record that *name* took an event again."""
        self._runs.pop(name, None)
        if self.failing(name) is not None:
            self._states[name] = replace(self._of(name), failing_since=None, failing_why=None)
            self._seen.pop(name, None)
            await self._ledger.save_failing(name, None, None)

    def forget(self, name: str) -> None:
        """Forget an endpoint that was deleted."""
        self._runs.pop(name, None)
        self._states.pop(name, None)
        self._seen.pop(name, None)

    def _of(self, name: str) -> EndpointState:
        return self._states.get(name) or EndpointState(name=name)
