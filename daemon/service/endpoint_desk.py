"""The endpoint desk: endpoints written over the API, their keys rotated, their past sent again.

Guarded here: what is answered is committed, a key is told once, and the config file's endpoints are changed only there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from daemon.core.delivery import DeliveryState
from daemon.core.endpoint import Source
from daemon.core.errors import EndpointDisabled, FieldError, InvalidEndpoint, NotFound, ReadOnly, TooManyEndpoints
from daemon.core.ids import DeliveryId
from daemon.core.keyring import StoredKey, Version, rotated, signing
from daemon.core.record import WindowQuery
from daemon.core.signing import BadSecret, hmac_key
from daemon.engine.clock import Clock
from daemon.engine.courier import Courier
from daemon.engine.delivery_desk import DeliveryDesk
from daemon.engine.desks import EndpointView
from daemon.engine.endpoint_ports import EndpointDraft, EndpointStore, Replayed, Revealed, Rotation, Window
from daemon.engine.ports import Outbox
from daemon.service.endpoints import EndpointBook, Held
from daemon.webhooks.keys import ed25519_key, new_private_key, new_secret

MOST_ENDPOINTS = 1_000
STEP = 500
GENERATE = "generate"
DELETED = "the endpoint was deleted"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDesk:
    """Implements the ``Endpoints`` port for the API; *hide* tells the log's redactor of a new secret."""

    book: EndpointBook
    store: EndpointStore
    outbox: Outbox
    courier: Courier
    deliveries: DeliveryDesk
    clock: Clock
    hide: Callable[[str], None]

    def require_writable(self, name: str) -> None:
        """Raise ReadOnly where *name* stands in the config file."""
        known = self.book.held(name)
        if known is not None and known.source is Source.CONFIG:
            raise _read_only(name)

    async def put(self, name: str, draft: EndpointDraft) -> Revealed:
        """Create or replace an endpoint; a secret that is not given is made at the creation, and kept after it."""
        async with self.book.changing:
            return await self._put(name, draft)

    async def _put(self, name: str, draft: EndpointDraft) -> Revealed:
        self.require_writable(name)
        known = self.book.held(name)
        if known is None and len(self.book.named) >= MOST_ENDPOINTS:
            raise TooManyEndpoints(f"there are {MOST_ENDPOINTS} endpoints, the most there may be; delete one first")
        keys, secret, pair = self._keys(() if known is None else known.stored, draft)
        await self.store.write(name, draft.spec, keys)
        for _, value in draft.spec.headers:
            self.hide(value)
        self.book.put(name, Held(draft.spec, Source.API, stored=keys))
        self.courier.renew()
        if known is not None and known.spec.url != draft.spec.url:
            self.courier.look_again(name)
        log.info("endpoint.created" if known is None else "endpoint.changed", endpoint=name)
        await self.courier.parking.release([name])
        view = await self.deliveries.view(name)
        return Revealed(view=view, secret=secret if known is None else None, signing_key=pair, is_new=known is None)

    async def delete(self, name: str) -> EndpointView:
        """Delete an endpoint; what it is still owed is parked, and sent when one of its name is made again."""
        async with self.book.changing:
            self._held(name)
            self.require_writable(name)
            await self.store.drop(name)
            last = await self.deliveries.view(name)
            self.book.remove(name)
        self.courier.forget_endpoint(name)
        log.info("endpoint.deleted", endpoint=name)
        await self.courier.parking.park(name, DELETED)
        return last

    async def rotate(self, name: str, rotation: Rotation) -> Revealed:
        """Give an endpoint a new key; the one before it signs beside it for the grace."""
        async with self.book.changing:
            return await self._rotate(name, rotation)

    async def _rotate(self, name: str, rotation: Rotation) -> Revealed:
        held = self._held(name)
        if held.source is Source.CONFIG and not any(key.version == rotation.version for key in held.stored):
            setting = "secret and previous_secrets" if rotation.version == "v1" else "signing_key"
            raise ReadOnly(f"this key is written in the config file: change {setting} in [endpoints.{name}] and reload")
        fresh = self._fresh(rotation.version, rotation.key, "key")
        if any(key.secret == fresh.secret for key in held.stored):
            raise InvalidEndpoint([FieldError(field="key", message="key signs for this endpoint already")])
        keys = rotated(held.stored, fresh, rotation.grace)
        await self.store.save_keys(name, keys)
        self.book.put(name, Held(held.spec, held.source, held.written, keys))
        log.info("endpoint.rotated", endpoint=name, version=rotation.version, grace=rotation.grace)
        view = await self.deliveries.view(name)
        if rotation.version == "v1":
            return Revealed(view=view, secret=fresh.secret)
        return Revealed(view=view, signing_key=fresh.secret)

    async def replay(self, name: str, window: Window, *, dry_run: bool) -> Replayed:
        """Owe the endpoint again what it was owed in *window*, in steps of 500, oldest first."""
        self._held(name)
        disabled = self.courier.standing.disabled(name)
        if disabled is not None and not dry_run:
            raise EndpointDisabled(
                f'"{name}" is disabled ({disabled[1]}): enable it first, which sends what is parked, too'
            )
        matched: Counter[str] = Counter()
        oldest: float | None = None
        newest: float | None = None
        query = _query(name, window)
        while found := await self.outbox.windowed(query):
            matched.update(record.state for record in found)
            oldest, newest = oldest or found[0].created_at, found[-1].created_at
            query = _query(name, window, after=found[-1].id)
            if not dry_run:
                owed = await self.outbox.owe_again([record.id for record in found], self.clock.now_at())
                if await self.courier.parking.park_if_disabled(name):
                    break
                for delivery in owed:
                    self.courier.plan_again(delivery)
        if matched and not dry_run:
            log.info("endpoint.replayed", endpoint=name, deliveries=matched.total())
        return Replayed(matched=dict(matched), oldest_at=oldest, newest_at=newest, is_dry=dry_run)

    def _keys(
        self, known: tuple[StoredKey, ...], draft: EndpointDraft
    ) -> tuple[tuple[StoredKey, ...], str | None, str | None]:
        """Return the keys to be stored, the secret that signs, and the private key if it was made just now."""
        live = signing(known, self.clock.now_at())
        shared = [key for key in live if key.version == "v1"]
        pairs = [key for key in live if key.version == "v1a"]
        if draft.secret is not None or not shared:
            shared = [self._fresh("v1", draft.secret, "secret")]
        made = None
        if draft.signing_key is not None:
            pairs = [self._fresh("v1a", draft.signing_key, "signing_key")]
            made = pairs[0].secret if draft.signing_key == GENERATE else None
        return (*shared, *pairs), shared[0].secret, made

    def _fresh(self, version: Version, given: str | None, field: str) -> StoredKey:
        is_made = given is None or given == GENERATE
        secret = (new_secret() if version == "v1" else new_private_key()) if is_made or given is None else given
        try:
            (hmac_key if version == "v1" else ed25519_key)(secret)
        except BadSecret as complaint:
            raise InvalidEndpoint([FieldError(field=field, message=f"{field} cannot be used: {complaint}")]) from None
        self.hide(secret)
        return StoredKey(version=version, secret=secret, made_at=self.clock.now_at())

    def _held(self, name: str) -> Held:
        held = self.book.held(name)
        if held is None:
            raise NotFound(
                f'there is no endpoint "{name[:100]}"; there are: {", ".join(self.deliveries.names()) or "none"}'
            )
        return held


def _query(name: str, window: Window, after: DeliveryId | None = None) -> WindowQuery:
    return WindowQuery(
        endpoint=name,
        since=window.since,
        until=window.until,
        states=frozenset(DeliveryState(state) for state in window.states),
        after=after,
        limit=STEP,
    )


def _read_only(name: str) -> ReadOnly:
    return ReadOnly(
        f'endpoint "{name}" stands in the config file, which decides: change [endpoints.{name}] there and reload the'
        " daemon, or write one of another name"
    )
