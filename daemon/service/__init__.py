"""The composition root: the only place that knows everyone.

``serve`` runs the daemon from its configuration to its exit code.
"""

from __future__ import annotations

from daemon.service.secrets import endpoint_secret
from daemon.service.serving import serve

__all__ = ["endpoint_secret", "serve"]
