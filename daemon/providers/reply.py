"""An HTTP answer as reading needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from daemon.providers.excision import Cuts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer; ``headers`` ignore case or are lower case, ``now_at`` is wall-clock.

    ``cuts`` is what was taken out of the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    asked: URL
    now_at: float
    cuts: Cuts = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is no body but blanks."""
        return not self.body or self.body.isspace()
