"""Settings: read once from every source, validated, frozen, and turned into core values.

Nothing below ``service.py`` sees a Settings object, and no message or repr holds a secret.
"""

from __future__ import annotations

from daemon.config.loading import load
from daemon.config.located import located
from daemon.config.problems import ConfigError, Problem, nearest
from daemon.config.settings import EndpointSettings, Settings
from daemon.config.shown import Field, describe, fields, secrets
from daemon.config.values import (
    SPARE_FILES,
    Listener,
    TcpListener,
    UnixListener,
    allowances,
    endpoint_spec,
    files_needed,
    listeners,
    save_bounds,
    shared_keys,
)

__all__ = [
    "SPARE_FILES",
    "ConfigError",
    "EndpointSettings",
    "Field",
    "Listener",
    "Problem",
    "Settings",
    "TcpListener",
    "UnixListener",
    "allowances",
    "describe",
    "endpoint_spec",
    "fields",
    "files_needed",
    "listeners",
    "load",
    "located",
    "nearest",
    "save_bounds",
    "secrets",
    "shared_keys",
]
