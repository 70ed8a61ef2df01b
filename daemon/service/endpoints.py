"""The endpoints: those of the configuration, those written over the API, and those made up from URLs.

Where one name stands in both, the config file wins, said loudly at every start and reload; the other one is kept and
is back when the file no longer has it. Guarded here: a key signs only until its recorded end, whatever runs meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf

import structlog

from daemon.config import EndpointSettings, Settings, shared_keys
from daemon.config.settings import DeliverySettings
from daemon.config.values import endpoint_spec
from daemon.core.endpoint import Endpoint, EndpointSpec, Source
from daemon.core.keyring import StoredKey, next_expiry, signing
from daemon.core.origin import origin
from daemon.core.signing import Key, derived_secret, hmac_key
from daemon.engine.endpoint_ports import EndpointStore
from daemon.webhooks.keys import ed25519_key, new_secret

KEYS_KEPT = 4096

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Held:
    """One endpoint as it was read: its spec, the keys the file writes, and those that are stored."""

    spec: EndpointSpec
    source: Source
    written: tuple[Key, ...] = ()
    stored: tuple[StoredKey, ...] = ()


class EndpointBook:
    """Finds the endpoint of a delivery; those of the file are replaced whole on a reload.

    Whoever changes an endpoint holds ``changing`` from reading it until it is stored, or two would each tell a key.
    """

    def __init__(self, master: bytes, store: EndpointStore, now_at: Callable[[], float]) -> None:
        self.changing = asyncio.Lock()
        self._store = store
        self._now_at = now_at
        self._held: dict[str, Held] = {}
        self._named: dict[str, Endpoint] = {}
        self._renew_at = inf
        self._delivery = DeliverySettings()
        self._derived = lru_cache(KEYS_KEPT)(lambda name: hmac_key(derived_secret(master, name)))

    @property
    def named(self) -> Mapping[str, Endpoint]:
        """Every endpoint that has a name, with the keys that sign at this moment."""
        if self._now_at() >= self._renew_at:
            self._renew()
        return self._named

    def find(self, name: str, url: str | None) -> Endpoint | None:
        """Return the endpoint *name*, or one for the ad-hoc *url* whose origin *name* is."""
        if url is None:
            return self.named.get(name)
        shared = self._made(name, Held(EndpointSpec(url=url), Source.URL))
        return replace(shared, keys=(self._derived(origin(url)),))

    def held(self, name: str) -> Held | None:
        """Return what was read of the endpoint *name*."""
        return self._held.get(name)

    def rotation_ends_at(self, name: str) -> float | None:
        """Return when the last of the older keys of *name* stops signing (wall-clock); None where only one signs."""
        held = self._held.get(name)
        live = () if held is None else signing(held.stored, self._now_at())
        return max((key.expires_at for key in live if key.expires_at is not None), default=None)

    def secrets(self) -> list[str]:
        """Return every stored key and the values of headers, for the log's redactor."""
        held = self._held.values()
        keys = [key.secret for one in held for key in one.stored]
        return [*keys, *(value for one in held for _, value in one.spec.headers)]

    def put(self, name: str, held: Held) -> None:
        """Have *held* under *name* from now on."""
        self._held[name] = held
        self._renew()

    def remove(self, name: str) -> None:
        """Have nothing under *name* any more."""
        self._held.pop(name, None)
        self._renew()

    async def adopt(self, settings: Settings) -> None:
        """Take the endpoints of *settings* and those of the store; a secret the file leaves out is made once.

        Raises BadSecret, with nothing changed, where a key is none.
        """
        written = {name: (*shared_keys(own), *_key_pair(own)) for name, own in settings.endpoints.items()}
        async with self.changing:
            await self._adopt(settings, written)

    async def _adopt(self, settings: Settings, written: Mapping[str, tuple[Key, ...]]) -> None:
        specs, stored = await self._store.specs(), await self._store.keys()
        held = {name: Held(spec, Source.API, stored=stored.get(name, ())) for name, spec in specs.items()}
        for name, own in settings.endpoints.items():
            if name in specs:
                log.warning(
                    "endpoint.shadowed",
                    endpoint=name,
                    why="an endpoint of this name was also made over the API; the config file's one is used",
                    fix=f"give [endpoints.{name}] another name in the config file to have both",
                )
            keys = () if own.secret is not None else await self._generated(name, stored.get(name, ()))
            held[name] = Held(endpoint_spec(own), Source.CONFIG, written=written[name], stored=keys)
        self._delivery = settings.delivery
        self._held = held
        self._renew()

    async def _generated(self, name: str, stored: Sequence[StoredKey]) -> tuple[StoredKey, ...]:
        if any(key.version == "v1" for key in stored):
            return tuple(stored)
        made = StoredKey(version="v1", secret=new_secret(), made_at=self._now_at())
        await self._store.save_keys(name, (*stored, made))
        return (*stored, made)

    def _renew(self) -> None:
        now_at = self._now_at()
        self._named = {name: self._made(name, held) for name, held in self._held.items()}
        self._renew_at = min((next_expiry(held.stored, now_at) for held in self._held.values()), default=inf)

    def _made(self, name: str, held: Held) -> Endpoint:
        spec, shared = held.spec, self._delivery
        stored = tuple(_key(key) for key in signing(held.stored, self._now_at()))
        return Endpoint(
            name=name,
            url=spec.url,
            keys=(*stored, *held.written),
            headers=spec.headers,
            is_trusted=held.source is Source.CONFIG,
            timeout=shared.timeout if spec.timeout is None else spec.timeout,
            concurrency=shared.concurrency if spec.concurrency is None else spec.concurrency,
            rate=inf if spec.rate is None else spec.rate,
            schedule=shared.schedule if spec.schedule is None else spec.schedule,
            events=spec.events,
            providers=spec.providers,
            store_response=spec.store_response,
            where=spec.where,
            disable_after=shared.disable_after if spec.disable_after is None else spec.disable_after,
            ca=spec.ca,
            source=held.source,
        )


@lru_cache(KEYS_KEPT)
def _key(stored: StoredKey) -> Key:
    return hmac_key(stored.secret) if stored.version == "v1" else ed25519_key(stored.secret)


def _key_pair(own: EndpointSettings) -> tuple[Key, ...]:
    return () if own.signing_key is None else (ed25519_key(own.signing_key.get_secret_value()),)
