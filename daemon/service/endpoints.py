"""The endpoints of the configuration, with their keys, and those made up from URLs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from daemon.config import EndpointSettings, Settings, endpoint, shared_keys
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
        """Take the endpoints of *settings*; a secret they leave out is generated once and stored.

        Raises BadSecret, with nothing changed, where a key is none.
        """
        pairs = {name: _key_pair(own) for name, own in settings.endpoints.items()}
        states = await ledger.endpoints()
        named: dict[str, Endpoint] = {}
        for name in settings.endpoints:
            keys = (*await _shared(name, settings, states, ledger), *pairs[name])
            named[name] = endpoint(name, settings, keys)
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


def _key_pair(own: EndpointSettings) -> tuple[Key, ...]:
    return () if own.signing_key is None else (ed25519_key(own.signing_key.get_secret_value()),)


async def _shared(
    name: str, settings: Settings, states: Mapping[str, EndpointState], ledger: Ledger
) -> tuple[Key, ...]:
    own = settings.endpoints[name]
    keys = shared_keys(own)
    return keys if own.secret is not None else (hmac_key(await _stored(name, states, ledger)), *keys)


async def _stored(name: str, states: Mapping[str, EndpointState], ledger: Ledger) -> str:
    state = states.get(name)
    if state is not None and state.secret is not None:
        return state.secret
    secret = new_secret()
    await ledger.save_secret(name, secret)
    return secret
