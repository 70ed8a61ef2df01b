"""What operators should know of a lane: the trouble that begins with an answer, and a wait nobody could mean.

Guarded here: each is told once, when it begins, to the journal and to the endpoint ``ops``.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from daemon.core.breaker import Trouble
from daemon.core.observation import Json, Observation
from daemon.core.task import Task
from daemon.engine.account import HOLD_CAP, Account
from daemon.engine.alerts import Alerts
from daemon.engine.clock import Clock

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LaneAlerts:
    """Lets lanes learn from answers, and tells what that brought to light."""

    alerts: Alerts
    clock: Clock

    def heed(self, account: Account, task: Task, seen: Observation) -> None:
        """Let the lane learn from *seen*; tell what begins with it."""
        trouble = account.heed(task, seen, now=self.clock.now(), now_at=self.clock.now_at())
        if trouble is not None:
            self._tell_trouble(account, trouble)
        asked, account.absurd_wish = account.absurd_wish, None
        if asked is not None:
            log.warning("lane.absurd_retry_after", lane=account.name, asked=asked, taken=HOLD_CAP)
            wish: dict[str, Json] = {"provider": account.name, "asked_seconds": asked, "taken_seconds": HOLD_CAP}
            self.alerts.tell("provider.absurd_retry_after", wish)

    def _tell_trouble(self, account: Account, trouble: Trouble) -> None:
        kind = "provider.credentials_rejected" if trouble is Trouble.CREDENTIALS else "provider.unreachable"
        log.warning(kind, lane=account.name, why=account.trouble_why)
        self.alerts.tell(kind, {"provider": account.name, "reason": account.trouble_why})
