"""Settings turned into what the rest of the daemon knows."""

from __future__ import annotations

from daemon.config.listening import Listener, TcpListener, UnixListener, listener
from daemon.config.settings import EndpointSettings, Settings
from daemon.core.egress import Allowance, allowance
from daemon.core.endpoint import EndpointSpec
from daemon.core.saving import SaveBounds
from daemon.core.signing import Key, hmac_key

__all__ = [
    "Listener",
    "TcpListener",
    "UnixListener",
    "allowances",
    "endpoint_spec",
    "files_needed",
    "listeners",
    "save_bounds",
    "shared_keys",
]

SPARE_FILES = 256


def files_needed(settings: Settings) -> int:
    """Return how many open files the bounds of *settings* may come to: sockets, files, and room to spare."""
    work = settings.polling.max_in_flight + settings.delivery.max_in_flight + 2 * settings.outputs.max_in_flight
    return work + settings.server.max_connections + SPARE_FILES


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


def endpoint_spec(own: EndpointSettings) -> EndpointSpec:
    """Return what the file says of an endpoint, keys aside."""
    return EndpointSpec(
        url=own.url,
        headers=tuple((header, value.get_secret_value()) for header, value in own.headers.items()),
        events=own.events,
        providers=own.providers,
        where=own.where,
        timeout=own.timeout,
        concurrency=own.concurrency,
        rate=own.rate,
        schedule=own.schedule,
        disable_after=own.disable_after,
        ca=own.ca or None,
        store_response=own.store_response,
    )
