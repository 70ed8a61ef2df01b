"""Settings turned into what the rest of the daemon knows."""

from __future__ import annotations

from math import inf

from daemon.config.listening import Listener, TcpListener, UnixListener, listener
from daemon.config.settings import EndpointSettings, Settings
from daemon.core.egress import Allowance, allowance
from daemon.core.endpoint import Endpoint
from daemon.core.saving import SaveBounds
from daemon.core.signing import Key, hmac_key

__all__ = [
    "Listener",
    "TcpListener",
    "UnixListener",
    "allowances",
    "endpoint",
    "listeners",
    "save_bounds",
    "shared_keys",
]


def listeners(settings: Settings) -> tuple[Listener, ...]:
    """Return where the API listens, in the order written."""
    return tuple(listener(text) for text in settings.server.listen)


def allowances(settings: Settings) -> tuple[Allowance, ...]:
    """Return the private targets that ``[egress] allow`` opens for URLs from the API."""
    return tuple(map(allowance, settings.egress.allow))


def save_bounds(settings: Settings) -> SaveBounds:
    """Return the bounds of saving outputs."""
    own = settings.outputs
    return SaveBounds(max_bytes=own.max_bytes, max_total=own.max_total, timeout=own.timeout, schedule=own.schedule)


def shared_keys(settings: EndpointSettings) -> tuple[Key, ...]:
    """Return the HMAC keys that are written in the file, the present one first; empty where none is."""
    written = (settings.secret, *settings.previous_secrets)
    return tuple(hmac_key(secret.get_secret_value()) for secret in written if secret is not None)


def endpoint(name: str, settings: Settings, keys: tuple[Key, ...]) -> Endpoint:
    """Return the configured endpoint *name* signing with *keys*; what it does not say, ``[delivery]`` says."""
    own, shared = settings.endpoints[name], settings.delivery
    return Endpoint(
        name=name,
        url=own.url,
        keys=keys,
        headers=tuple((header, value.get_secret_value()) for header, value in own.headers.items()),
        is_trusted=True,
        timeout=shared.timeout if own.timeout is None else own.timeout,
        concurrency=shared.concurrency if own.concurrency is None else own.concurrency,
        rate=inf if own.rate is None else own.rate,
        schedule=shared.schedule if own.schedule is None else own.schedule,
    )
