"""What is kept and logged of an attempt."""

from __future__ import annotations

import structlog

from daemon.core.delivery import (
    RETRY_AFTER_CAP,
    Delivered,
    Delivery,
    DeliveryState,
    GivenUp,
    Receipt,
    Refused,
    Retry,
    Settlement,
)
from daemon.core.record import AttemptRecord
from daemon.engine.ports import Settled

log = structlog.get_logger()


def settled_by(
    delivery: Delivery, receipt: Receipt, settlement: Settlement, *, started_at: float, now_at: float
) -> Settled:
    """Return what one transaction commits after an attempt; both times are wall-clock seconds."""
    refused = receipt if isinstance(receipt, Refused) else None
    attempt = AttemptRecord(
        number=delivery.attempts + 1,
        started_at=started_at,
        seconds=receipt.seconds,
        http_status=receipt.http_status,
        refusal=None if refused is None else refused.refusal,
        detail=None if refused is None else refused.detail,
        address=receipt.address,
        stages=receipt.stages,
        keys=receipt.keys,
        next_at=now_at + settlement.delay if isinstance(settlement, Retry) else None,
        next_why=_why(delivery, receipt, settlement),
        response=receipt.response,
    )
    state, due_at, reason = _left_in(settlement, attempt.detail, now_at)
    counts = not isinstance(settlement, Retry) or settlement.counts
    return Settled(delivery=delivery, attempt=attempt, state=state, due_at=due_at, reason=reason, counts=counts)


def _why(delivery: Delivery, receipt: Receipt, settlement: Settlement) -> str | None:
    """Say why the next try is when it is, or why there is none."""
    match settlement:
        case Delivered():
            return None
        case GivenUp():
            return settlement.reason
        case Retry():
            if settlement.why is not None:
                return settlement.why
            wish = receipt.retry_after if isinstance(receipt, Refused) else None
            if wish and settlement.delay == min(wish, RETRY_AFTER_CAP):
                return f"the endpoint asked for {wish:g} s"
            return f"wait {delivery.tries + 1} of the schedule, jittered"


def _left_in(
    settlement: Settlement, detail: str | None, now_at: float
) -> tuple[DeliveryState, float | None, str | None]:
    match settlement:
        case Delivered():
            return DeliveryState.DELIVERED, None, None
        case Retry():
            return DeliveryState.PENDING, now_at + settlement.delay, detail
        case GivenUp():
            return DeliveryState.DEAD, None, settlement.reason


def log_attempt(settled: Settled, settlement: Settlement) -> None:
    """Write the one line of an attempt, after it was recorded."""
    log.info(
        "delivery.attempted",
        delivery=settled.delivery.id,
        event_id=settled.delivery.event_id,
        endpoint=settled.delivery.endpoint,
        attempt=settled.attempt.number,
        code=settled.attempt.http_status,
        refusal=settled.attempt.refusal,
        detail=settled.attempt.detail,
        state=settled.state,
        retry_in=settlement.delay if isinstance(settlement, Retry) else None,
        flagged=isinstance(settlement, Retry) and settlement.flagged,
    )
