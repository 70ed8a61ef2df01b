"""How endpoints stand: disabled durably, or failing for the moment."""

from __future__ import annotations

from daemon.core.record import EndpointState
from daemon.engine.clock import Clock
from daemon.engine.ports import Ledger


class Standing:
    """The state of every endpoint; a disabling outlives a restart, a failing is known from the next attempts."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._states: dict[str, EndpointState] = {}
        self._failing: dict[str, tuple[float, str]] = {}

    async def load(self) -> None:
        """Take the states as the store has them."""
        self._states = await self._ledger.endpoints()

    def disabled(self, name: str) -> tuple[float, str] | None:
        """Return since when (wall-clock) and why *name* is disabled; None where it is not."""
        state = self._states.get(name)
        if state is None or state.disabled_at is None:
            return None
        return state.disabled_at, state.disabled_reason or "no reason given"

    def failing(self, name: str) -> tuple[float, str] | None:
        """Return since when and why *name* fails, where its breaker is open."""
        return self._failing.get(name)

    async def disable(self, name: str, reason: str) -> None:
        """Disable *name* durably."""
        await self._save(name, disabled_at=self._clock.now_at(), reason=reason)

    async def enable(self, name: str) -> None:
        """Enable *name* durably."""
        await self._save(name, disabled_at=None, reason=None)
        self._failing.pop(name, None)

    def fails(self, name: str, why: str) -> None:
        """Note that the breaker of *name* opened."""
        self._failing[name] = (self._clock.now_at(), why)

    def recovers(self, name: str) -> None:
        """Note that the breaker of *name* closed."""
        self._failing.pop(name, None)

    async def _save(self, name: str, *, disabled_at: float | None, reason: str | None) -> None:
        await self._ledger.save_disabled(name, disabled_at, reason)
        self._states[name] = EndpointState(name=name, secret=None, disabled_at=disabled_at, disabled_reason=reason)
