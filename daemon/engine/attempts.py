"""What is kept and logged of an attempt."""

from __future__ import annotations

import structlog

from daemon.core.delivery import Delivered, Delivery, DeliveryState, GivenUp, Receipt, Refused, Retry, Settlement
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
    )
    state, due_at, reason = _left_in(settlement, attempt.detail, now_at)
    return Settled(delivery=delivery, attempt=attempt, state=state, due_at=due_at, reason=reason)


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
