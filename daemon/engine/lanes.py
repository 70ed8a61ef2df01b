"""A lane as people see it, and as it is kept over a restart."""

from __future__ import annotations

from math import inf

from daemon.core.breaker import Trouble
from daemon.core.cadence import RUN
from daemon.core.record import LaneState
from daemon.engine.account import Account
from daemon.engine.clock import Clock
from daemon.engine.desks import LaneView, LearnedDurations

DURATIONS_SHOWN = 50
_STATES = {Trouble.CREDENTIALS: "parked", Trouble.OUTAGE: "outage", Trouble.DISABLED: "disabled"}


def lane_view(account: Account, tasks: int, clock: Clock) -> LaneView:
    """Describe an account at this moment."""
    lane, facts = account.lane, account.facts
    state, reason, since_at, resumes = _state(account, clock.now())
    return LaneView(
        name=account.name,
        preset=facts.preset,
        base_url=facts.base_url,
        state=state,
        reason=reason,
        since_at=since_at,
        resumes_at=None if resumes is None or resumes == inf else resumes - clock.shift,
        tasks=tasks,
        in_flight=len(lane.running),
        rate=facts.rate,
        burst=facts.burst,
        concurrency=facts.concurrency,
        min_gap=facts.min_gap,
        max_gap=facts.max_gap,
        deadline=facts.deadline,
        price=account.cadence.price,
        typical=facts.typical,
        polls=account.polls,
        misses=dict(account.misses),
        last_miss=account.last_miss,
        last_miss_at=account.last_miss_at,
        unknown_words=account.provider.unknown_words,
        reading_troubles=account.provider.reading_troubles,
        durations=_durations(account),
        evidence=facts.evidence,
    )


def lane_state(account: Account, clock: Clock) -> LaneState:
    """Return what must survive a restart: limiter, hold, and a parked credential with the mark of its key."""
    lane, shift = account.lane, clock.shift
    is_parked = account.is_parked
    return LaneState(
        name=account.name,
        trouble=Trouble.CREDENTIALS if is_parked else None,
        trouble_at=account.trouble_at if is_parked else None,
        held_until_at=lane.held_until - shift,
        tat_at=lane.pace.tat - shift,
        key_mark=account.facts.key_mark,
    )


def restore(account: Account, saved: LaneState, clock: Clock, *, hold_cap: float) -> None:
    """Bring a lane back to its saved state; a park lapses where the key has changed since.

    Saved times are clamped to what the lane itself could have set, so a clock that was wrong cannot stall it.
    """
    lane, now, shift = account.lane, clock.now(), clock.shift
    held = min(saved.held_until_at + shift, now + hold_cap)
    if held > now:
        lane.hold(held, "the provider asked for it before the restart")
    lane.pace.tat = max(lane.pace.tat, min(saved.tat_at + shift, now + lane.pace.burst / lane.pace.rate))
    if saved.trouble is Trouble.CREDENTIALS and saved.key_mark == account.facts.key_mark:
        lane.trip(Trouble.CREDENTIALS, now)
        account.trouble_at, account.trouble_why = saved.trouble_at, "the key was refused before the restart"


def _durations(account: Account) -> tuple[LearnedDurations, ...]:
    shown = []
    for model in sorted(name for name in account.cadence.tables() if not name.startswith(RUN)):
        law = account.cadence.law_of(model or None)
        if law.endings >= 1:
            low, middle, high = (round(law.quantile(share), 2) for share in (0.1, 0.5, 0.9))
            shown.append(
                LearnedDurations(model=model or None, endings=round(law.endings), p10=low, p50=middle, p90=high)
            )
    return tuple(shown[:DURATIONS_SHOWN])


def _state(account: Account, now: float) -> tuple[str, str | None, float | None, float | None]:
    lane = account.lane
    if not account.is_configured:
        return "unconfigured", "tasks of this lane are kept, but the configuration no longer has it", None, None
    if lane.breaker.trouble is not None:
        ready = lane.breaker.ready_at()
        return _STATES[lane.breaker.trouble], account.trouble_why, account.trouble_at, ready
    if lane.held_until > now:
        return "held", lane.hold_reason, None, lane.held_until
    return "ok", None, None, None
