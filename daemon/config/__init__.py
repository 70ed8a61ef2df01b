"""Settings: read once from every source, validated, frozen, and turned into core values.

Nothing below ``service.py`` sees a Settings object, and no message or repr holds a secret.
"""

from __future__ import annotations

from daemon.config.loading import load
from daemon.config.problems import ConfigError, Problem, nearest
from daemon.config.settings import EndpointSettings, Settings
from daemon.config.shown import Field, describe, fields, secrets
from daemon.config.values import Listener, TcpListener, UnixListener, allowances, endpoint, listeners, shared_keys

__all__ = [
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
    "endpoint",
    "fields",
    "listeners",
    "load",
    "nearest",
    "secrets",
    "shared_keys",
]
