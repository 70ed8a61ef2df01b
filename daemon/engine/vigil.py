"""The vigil: whether the daemon gets on with what it owes, asked by whoever feeds the watchdog.

A loop that turns proves little: a lost wake-up leaves work due for ever while the loop idles along. So progress is
judged by the work itself. Lanes that could start at one look and have started nothing by the next stand still, and so
do tries that outlast every deadline and a commit that never returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from daemon.engine.clock import Clock
from daemon.engine.pump import Pump

LONGEST_TRY = 900.0
LONGEST_COMMIT = 120.0


@dataclass(slots=True, kw_only=True)
class Vigil:
    """Looks at the pumps; the tries of *brief* ones end within 900 s whatever happens, as each has its own deadline.

    ``committing_since`` answers since when the store commits, None while it does not.
    """

    brief: Sequence[Pump]
    lengthy: Sequence[Pump]
    committing_since: Callable[[], float | None]
    clock: Clock
    _could_start: dict[tuple[str, str], int] = field(default_factory=dict)
    _ends: dict[str, tuple[int, float]] = field(default_factory=dict)

    def standstill(self) -> str | None:
        """Return what has stood still since the last look, None where all goes on; looks are seconds apart."""
        now = self.clock.now()
        return self._idle_lane(now) or self._endless_try(now) or self._endless_commit(now)

    def _idle_lane(self, now: float) -> str | None:
        before, self._could_start = self._could_start, {}
        idle = None
        for pump in (*self.brief, *self.lengthy):
            for lane in pump.startable(now):
                name = (pump.kind, lane.name)
                self._could_start[name] = lane.starts
                if before.get(name) == lane.starts:
                    waited = now - lane.agenda.first_due()
                    idle = (
                        f"{pump.kind} {lane.name}: work is due for {waited:.0f} s and may start, but nothing starts it"
                    )
        return idle

    def _endless_try(self, now: float) -> str | None:
        for pump in self.brief:
            ends, since = self._ends.get(pump.kind, (-1, now))
            if ends != pump.ends or not pump.in_flight:
                self._ends[pump.kind] = (pump.ends, now)
            elif now - since > LONGEST_TRY:
                return f"{pump.kind}: none of {pump.in_flight} tries in flight has ended for {now - since:.0f} s"
        return None

    def _endless_commit(self, now: float) -> str | None:
        since = self.committing_since()
        if since is None or now - since <= LONGEST_COMMIT:
            return None
        return f"the database has not finished a commit for {now - since:.0f} s"
