"""One endpoint as a running daemon has it, read from beside it: nothing is written, and no daemon need run."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.config import Settings
from daemon.core.endpoint import Endpoint, EndpointSpec
from daemon.core.errors import NotFound
from daemon.core.keyring import StoredKey
from daemon.service.endpoints import EndpointBook
from daemon.service.secrets import sealing_key
from daemon.store.peek import PeekedEndpoints, peek_endpoints


async def peeked_endpoint(settings: Settings, name: str, database: Path) -> Endpoint:
    """Return the endpoint *name*, of the config file or kept in *database*, with the keys that sign now.

    Raises NotFound that says what there is, and StoreFault where what the daemon keeps cannot be read.
    """
    configured = settings.endpoints.get(name)
    is_whole = configured is not None and configured.secret is not None
    kept = PeekedEndpoints() if is_whole else _kept(database)
    alone = {} if configured is None else {name: configured}
    book = EndpointBook(b"", _ReadOnly(kept), time.time)
    await book.adopt(settings.model_copy(update={"endpoints": alone}))
    found = book.find(name, None)
    if found is None:
        known = ", ".join(sorted({*settings.endpoints, *kept.specs})) or "none"
        raise NotFound(f'there is no endpoint "{name}", in the config file or made over the API; there are: {known}')
    return found


def _kept(database: Path) -> PeekedEndpoints:
    return peek_endpoints(database, sealing_key(os.environ)) if database.exists() else PeekedEndpoints()


@dataclass(frozen=True, slots=True)
class _ReadOnly:
    """An EndpointStore that writes nothing."""

    kept: PeekedEndpoints

    async def specs(self) -> dict[str, EndpointSpec]:
        return dict(self.kept.specs)

    async def keys(self) -> dict[str, tuple[StoredKey, ...]]:
        return dict(self.kept.keys)

    async def save_keys(self, name: str, keys: Sequence[StoredKey]) -> None:
        del keys
        raise NotFound(f'endpoint "{name}" has no secret yet: it is made when the daemon first starts with it')

    async def write(self, name: str, spec: EndpointSpec, keys: Sequence[StoredKey]) -> None:
        del spec, keys
        raise NotFound(f'endpoint "{name}" is only read here')

    async def drop(self, name: str) -> None:
        raise NotFound(f'endpoint "{name}" is only read here')
