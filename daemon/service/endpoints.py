"""The endpoints of the configuration, with their keys, and those made up from URLs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from daemon.config import Settings, endpoint, shared_keys
from daemon.core.endpoint import Endpoint
from daemon.core.origin import origin
from daemon.core.record import EndpointState
from daemon.core.signing import Key, derived_secret, hmac_key
from daemon.engine.ports import Ledger
from daemon.webhooks.keys import ed25519_key, new_secret

KEYS_KEPT = 4096


class EndpointBook:
    """Finds the endpoint of a delivery; replaced whole on a reload."""

    def __init__(self, master: bytes) -> None:
        self.named: dict[str, Endpoint] = {}
        self._shared = Endpoint(name="", url="", keys=())
        self._derived = lru_cache(KEYS_KEPT)(lambda name: hmac_key(derived_secret(master, name)))

    async def adopt(self, settings: Settings, ledger: Ledger) -> None:
        """Take the endpoints of *settings*; a secret they leave out is generated once and stored."""
        states = await ledger.endpoints()
        named: dict[str, Endpoint] = {}
        for name in settings.endpoints:
            named[name] = endpoint(name, settings, await _keys(name, settings, states, ledger))
        delivery = settings.delivery
        self._shared = Endpoint(
            name="",
            url="",
            keys=(),
            timeout=delivery.timeout,
            concurrency=delivery.concurrency,
            schedule=delivery.schedule,
        )
        self.named = named

    def find(self, name: str, url: str | None) -> Endpoint | None:
        """Return the endpoint *name*, or one for the ad-hoc *url* whose origin *name* is."""
        if url is None:
            return self.named.get(name)
        return replace(self._shared, name=name, url=url, keys=(self._derived(origin(url)),))


async def _keys(name: str, settings: Settings, states: Mapping[str, EndpointState], ledger: Ledger) -> tuple[Key, ...]:
    own = settings.endpoints[name]
    keys = shared_keys(own)
    if own.secret is None:
        keys = (hmac_key(await _stored(name, states, ledger)), *keys)
    if own.signing_key is not None:
        keys = (*keys, ed25519_key(own.signing_key.get_secret_value()))
    return keys


async def _stored(name: str, states: Mapping[str, EndpointState], ledger: Ledger) -> str:
    state = states.get(name) or EndpointState(name=name, secret=None, disabled_at=None, disabled_reason=None)
    if state.secret is not None:
        return state.secret
    secret = new_secret()
    await ledger.save_endpoint(replace(state, secret=secret))
    return secret
