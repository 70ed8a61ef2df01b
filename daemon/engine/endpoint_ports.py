"""What the engine keeps of endpoints, and what the API asks about writing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from daemon.core.endpoint import EndpointSpec
from daemon.core.keyring import StoredKey, Version
from daemon.engine.desks import EndpointView


class EndpointStore(Protocol):
    """The endpoints written over the API and every stored key, on disk and sealed; same laws as the watchlist."""

    async def specs(self) -> dict[str, EndpointSpec]:
        """Return every endpoint that was written over the API."""
        ...

    async def keys(self) -> dict[str, tuple[StoredKey, ...]]:
        """Return the stored keys of every endpoint, those of the config file's among them."""
        ...

    async def write(self, name: str, spec: EndpointSpec, keys: Sequence[StoredKey]) -> None:
        """Write an endpoint and its keys in one transaction, replacing both."""
        ...

    async def save_keys(self, name: str, keys: Sequence[StoredKey]) -> None:
        """Replace the stored keys of an endpoint."""
        ...

    async def drop(self, name: str) -> None:
        """Forget an endpoint, its keys and how it stood."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDraft:
    """An endpoint as a caller writes it: its settings, and keys of the caller's own choice.

    None leaves a key as it is; at the creation of an endpoint it means a new secret, and no pair.
    """

    spec: EndpointSpec
    secret: str | None = field(default=None, repr=False)
    signing_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A new key beside the old one: which of the two kinds, how long both sign, and the key itself if it is given."""

    version: Version
    grace: float
    key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """An endpoint, and the key that was made for it just now, which is told this once; ``is_new`` at its creation."""

    view: EndpointView
    secret: str | None = field(default=None, repr=False)
    signing_key: str | None = field(default=None, repr=False)
    is_new: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which deliveries to send again: made since, and before; ``states`` by name. Wall-clock seconds."""

    since: float
    until: float
    states: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How many deliveries a window holds, by state, and whether they are now due."""

    matched: dict[str, int]
    oldest_at: float | None
    newest_at: float | None
    is_dry: bool


class Endpoints(Protocol):
    """Whoever writes endpoints. Unknown names raise NotFound, those of the config file ReadOnly."""

    def require_writable(self, name: str) -> None:
        """Raise ReadOnly where *name* stands in the config file."""
        ...

    async def put(self, name: str, draft: EndpointDraft) -> Revealed:
        """Create or replace an endpoint; raises InvalidEndpoint, TooManyEndpoints."""
        ...

    async def delete(self, name: str) -> EndpointView:
        """Delete an endpoint; what it is still owed is parked with a reason. Return how it last stood."""
        ...

    async def rotate(self, name: str, rotation: Rotation) -> Revealed:
        """Give an endpoint a new key beside the old one; raises TooManyKeys, InvalidEndpoint."""
        ...

    async def replay(self, name: str, window: Window, *, dry_run: bool) -> Replayed:
        """Owe the endpoint again what it was owed in a window; raises EndpointDisabled."""
        ...
