"""The stored keys of an endpoint and their rotation: an old one signs beside the new one for a grace, then no more.

Expiry is a wall-clock record, so a rotation goes on over a restart; the present key never expires by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Literal

from daemon.core.errors import TooManyKeys
from daemon.core.wall import rfc3339

DAY = 86400.0
DEFAULT_GRACE = DAY
LONGEST_GRACE = 7 * DAY
MOST_KEYS = 3

Version = Literal["v1", "v1a"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """One key as it is kept, sealed: a ``whsec_`` secret (v1) or a ``whsk_`` pair (v1a); times are wall-clock."""

    version: Version
    secret: str = field(repr=False)
    made_at: float
    expires_at: float | None = None

    def signs_at(self, now_at: float) -> bool:
        """Whether it still signs."""
        return self.expires_at is None or now_at < self.expires_at


def signing(keys: Sequence[StoredKey], now_at: float) -> tuple[StoredKey, ...]:
    """Return the keys that sign at *now_at*: the present one of each version first, then the older ones."""
    live = [key for key in keys if key.signs_at(now_at)]
    return tuple(sorted(live, key=lambda key: (key.version, key.expires_at is not None, -key.made_at)))


def next_expiry(keys: Sequence[StoredKey], now_at: float) -> float:
    """Return when the next of the signing *keys* stops signing; infinite where none will."""
    return min((key.expires_at or inf for key in keys if key.signs_at(now_at)), default=inf)


def rotated(keys: Sequence[StoredKey], fresh: StoredKey, grace: float) -> tuple[StoredKey, ...]:
    """Return *keys* with *fresh* as the present one; those before it of its version sign for *grace* seconds more.

    An older key keeps its own end where that comes first. A grace of 0 ends all of them at once, which is what a
    leaked key needs. Raises TooManyKeys where more than three would sign.
    """
    now_at = fresh.made_at
    others = tuple(key for key in keys if key.version != fresh.version)
    mine = [key for key in signing(keys, now_at) if key.version == fresh.version]
    older = [replace(key, expires_at=min(key.expires_at or inf, now_at + grace)) for key in mine] if grace > 0 else []
    if len(older) >= MOST_KEYS:
        first = min(key.expires_at or inf for key in older)
        raise TooManyKeys(
            f"{len(older)} keys sign already and {MOST_KEYS} may: wait until {rfc3339(first)}, when the next one stops,"
            ' or send {"grace": 0}, which stops all older ones at once'
        )
    return (*others, fresh, *older)
