"""An HTTP answer as reading needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from yarl import URL

from daemon.providers.excision import Cuts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer; ``headers`` ignore case or are lower case, ``now_at`` is wall-clock.

    ``asked`` is the URL that was asked, its text where parsing it can wait: few answers need it. ``cuts`` is what was
    taken out of the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    asked: URL | str
    now_at: float
    cuts: Cuts = field(default_factory=dict)

    @property
    def url(self) -> URL:
        """The URL that was asked, which relative ones in the answer are resolved against."""
        return self.asked if isinstance(self.asked, URL) else URL(self.asked, encoded=True)

    @property
    def is_empty(self) -> bool:
        """Whether there is no body but blanks."""
        return not self.body or self.body.isspace()
