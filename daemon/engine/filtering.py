"""Which events an endpoint wants: types, providers, and a JMESPath predicate over the event.

An event filtered out is not owed. A predicate that fails on an event lets it through and says so once: a filter may
keep events away, a mistake in one may not.
"""

from __future__ import annotations

import json

import structlog

from daemon.core.endpoint import Endpoint, takes
from daemon.core.event import Event
from daemon.core.observation import Json
from daemon.engine.predicates import KEPT, PredicateFailed, holds

_TASK = "task."

log = structlog.get_logger()


class Filter:
    """Asks endpoints what they want; remembers whose predicate failed already."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def wants(self, endpoint: Endpoint, event: Event) -> bool:
        """Whether *endpoint* is to be owed *event*; ``providers`` speaks of task events alone."""
        if not takes(endpoint.events, event.type):
            return False
        is_by_provider = bool(endpoint.providers) and event.type.startswith(_TASK)
        if not is_by_provider and endpoint.where is None:
            return True
        body = json.loads(event.body)
        if is_by_provider and body["data"].get("provider") not in endpoint.providers:
            return False
        return endpoint.where is None or self._holds(endpoint.name, endpoint.where, body)

    def _holds(self, name: str, where: str, body: Json) -> bool:
        try:
            return holds(where, body)
        except PredicateFailed as failure:
            if (name, where) not in self._told and len(self._told) < KEPT:
                self._told.add((name, where))
                log.warning("endpoint.filter_failed", endpoint=name, why=str(failure)[:200], then="events are sent")
            return True
