"""Ways of their own for endpoints that trust authorities of their own: no connection is shared with any other.

Guarded here: a connection whose certificate was judged by one endpoint's authorities never carries another's events.
"""

from __future__ import annotations

from collections import OrderedDict

from daemon.core.endpoint import Endpoint
from daemon.net.guard import Guard
from daemon.net.session import tls_context
from daemon.webhooks.sender import Way, open_way

WAYS_KEPT = 1_000
"""As many as there may be endpoints: only what no endpoint uses any more is ever put away."""


class OwnWays:
    """Opens a way at first use and keeps the ones used last."""

    def __init__(self, trusting: Guard, guard: Guard, proxy: str | None = None) -> None:
        self._trusting = trusting
        self._proxy = proxy
        self._guard = guard
        self._ways: OrderedDict[tuple[str, bool, str], Way] = OrderedDict()

    async def of(self, endpoint: Endpoint) -> Way | None:
        """Return the way of an endpoint that names authorities, None for any other."""
        if endpoint.ca is None:
            return None
        key = (endpoint.name, endpoint.is_trusted, endpoint.ca)
        if key not in self._ways:
            guard = self._trusting if endpoint.is_trusted else self._guard
            self._ways[key] = open_way(guard, tls_context(ca=endpoint.ca), self._proxy)
        self._ways.move_to_end(key)
        way = self._ways[key]
        if len(self._ways) > WAYS_KEPT:
            _, oldest = self._ways.popitem(last=False)
            await oldest.close()
        return way

    async def close(self) -> None:
        """Close all of them."""
        while self._ways:
            _, way = self._ways.popitem()
            await way.close()
