"""Finding the daemon: --server or $POLLHOOK_SERVER, else where the configuration says it listens.

Over a unix socket no token is needed; over TCP it comes from $POLLHOOK_TOKEN, else from the ``api-token`` file beside
the database. The configuration is read only where it is needed.
"""

from __future__ import annotations

import os
from pathlib import Path

from daemon.cli.client import Address, Api, address


def connect(server: str | None, config: Path | None) -> Api:
    """Return the client of the daemon that these options, the environment and the configuration name."""
    token = os.environ.get("POLLHOOK_TOKEN", "").strip()
    where = None if server is None else address(server)
    if where is not None and where.path is not None:
        return Api(where, None)
    if where is not None and token:
        return Api(where, token, "$POLLHOOK_TOKEN")
    return _by_settings(where, token, config)


def _by_settings(where: Address | None, token: str, config: Path | None) -> Api:
    from daemon.cli import settings as found  # noqa: PLC0415 (pydantic is imported only where it is needed)

    settings = found.read_settings(config)
    where = where or found.listening(settings, config)
    if where.path is not None:
        return Api(where, None)
    if token:
        return Api(where, token, "$POLLHOOK_TOKEN")
    path = found.token_file(settings)
    if settings.server.auth == "none" or not found.exists(path):
        return Api(where, None)
    return Api(where, found.read_state(path, "API token").decode("ascii", "replace").strip(), str(path))
