"""Webhook URLs that come over the API: refused with one neutral code, whatever the egress rules found."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from daemon.core.errors import TargetNotAllowed

log = structlog.get_logger()


def require_allowed(url: str, check_target: Callable[[str], str | None]) -> None:
    """Raise TargetNotAllowed where *check_target* says why *url* is refused; the reason is for the log alone."""
    reason = check_target(url)
    if reason is not None:
        log.warning("target.refused", reason=reason)
        raise TargetNotAllowed("the egress rules do not allow this webhook URL; the operator finds why in the log")
