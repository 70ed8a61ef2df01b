"""Troubles: the answers of one lane that were JSON and yet could not be read, for whoever mends the definition."""

from __future__ import annotations

from typing import Final

import structlog

from daemon.providers.shape import Trouble

KEPT: Final = 5
LOGGED: Final = 200

log = structlog.get_logger(__name__)


class Troubles:
    """The last few troubles of *lane*, each cause once, with the shape of the body it came with last."""

    def __init__(self, lane: str) -> None:
        self._lane = lane
        self._kept: dict[str, Trouble] = {}
        self._logged: set[str] = set()

    @property
    def told(self) -> tuple[str, ...]:
        """The troubles as text, the last one last."""
        return tuple(map(str, self._kept.values()))

    def note(self, trouble: Trouble) -> None:
        """Remember *trouble*; log its cause once."""
        self._kept.pop(trouble.cause, None)
        self._kept[trouble.cause] = trouble
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        if trouble.cause not in self._logged and len(self._logged) < LOGGED:
            self._logged.add(trouble.cause)
            log.warning("provider.unreadable", lane=self._lane, cause=trouble.cause, shape=trouble.shape)
