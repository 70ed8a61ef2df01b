"""What the service has and a person's shell has not: its credentials, and the socket that systemd made for it.

Only where the system's own configuration is read: who names another file asks about another daemon.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CREDENTIALS = Path("/etc/pollhook/credentials")
SOCKET = Path("/run/pollhook/api.sock")


def service_environ(config: Path | None, folder: Path = CREDENTIALS) -> Mapping[str, str]:
    """Return the environment; with the service's credentials where its configuration is read by who may see them."""
    environ = dict(os.environ)
    if is_of_system(config) and "CREDENTIALS_DIRECTORY" not in environ and os.access(folder, os.R_OK | os.X_OK):
        environ["CREDENTIALS_DIRECTORY"] = str(folder)
    return environ


def is_of_system(config: Path | None) -> bool:
    """Whether no other configuration than the system's own is named."""
    return config is None and not os.environ.get("POLLHOOK_CONFIG")
