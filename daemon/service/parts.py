"""The parts of one daemon, and how they are joined."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp

from daemon.config import Settings, allowances, save_bounds
from daemon.core.egress import Listener
from daemon.core.origin import origin
from daemon.engine.clock import Clock, Dice, Mint
from daemon.engine.courier import Courier
from daemon.engine.delivery_desk import DeliveryDesk
from daemon.engine.desk import TaskDesk
from daemon.engine.downloads import Downloads
from daemon.engine.janitor import Janitor, Retention
from daemon.engine.leisure import Leisure
from daemon.engine.rechecks import Rechecker
from daemon.engine.room import Room
from daemon.engine.vigil import Vigil
from daemon.engine.watcher import Watcher
from daemon.net.download import HttpFetcher
from daemon.net.guard import Guard
from daemon.net.lean import Lean
from daemon.net.session import open_session, tls_context
from daemon.observe.metrics import Metrics
from daemon.providers.account import Account as Configured
from daemon.providers.client import HttpProvider
from daemon.service.accounts import Recipe, adopt, configured_accounts
from daemon.service.endpoint_desk import EndpointDesk
from daemon.service.endpoints import EndpointBook
from daemon.service.entropy import Entropy
from daemon.service.gauges import Gauges
from daemon.service.recovery import LaneKeeper, Recovery
from daemon.service.secrets import OwnSecrets, own_secrets, sealing_key
from daemon.service.tracing import open_traces, traced
from daemon.store.store import Store, open_store
from daemon.webhooks.sender import HttpSender, Way, open_way
from daemon.webhooks.ways import OwnWays

KEEP_ALIVE = 30.0
REMEMBER_NAMES = 30.0


@dataclass(slots=True, kw_only=True)
class Parts:
    """Everything that runs, and what a reload or the API reaches for."""

    settings: Settings
    own: OwnSecrets
    clock: Clock
    metrics: Metrics
    store: Store
    guard: Guard
    own_listeners: list[Listener]
    book: EndpointBook
    recipe: Recipe
    courier: Courier
    downloads: Downloads
    watcher: Watcher
    rechecker: Rechecker
    tasks: TaskDesk
    deliveries: DeliveryDesk
    endpoints: EndpointDesk
    janitor: Janitor
    keeper: LaneKeeper
    gauges: Gauges

    def vigil(self) -> Vigil:
        """Return the eye on what should get on: polls, deliveries, downloads and commits."""
        return Vigil(
            brief=(self.watcher.pump, self.courier.pump),
            lengthy=(self.downloads.pump,),
            committing_since=lambda: self.store.database.committing_since,
            clock=self.clock,
        )

    async def recover(self) -> None:
        """Read lanes, tasks and deliveries back from the store."""
        store = self.store
        await Recovery(
            watcher=self.watcher,
            courier=self.courier,
            downloads=self.downloads,
            saves=store.saves,
            watchlist=store.watchlist,
            outbox=store.outbox,
            ledger=store.ledger,
            clock=self.clock,
        ).run()
        await self.rechecker.recover()
        await self.courier.parking.release(self.book.named)


async def assemble(
    settings: Settings, stack: AsyncExitStack, *, environ: Mapping[str, str], hide: Callable[[str], None]
) -> Parts:
    """Open the store and the sessions onto *stack* and join all parts; raises Fault and DefinitionError.

    *environ* may name the folder of the systemd credentials; *hide* keeps a secret made later out of the logs.
    """
    metrics = Metrics()
    clock = Clock(now=asyncio.get_running_loop().time, now_at=time.time)
    dice = Dice(roll=random.random, bits=Entropy().bits)
    store = await open_store(settings.store.path, on_commit=metrics.committed, sealing_key=sealing_key(environ))
    stack.push_async_callback(store.close)
    own = own_secrets(settings.store.path)
    book = EndpointBook(own.master, store.endpoints, clock.now_at)
    await book.adopt(settings)
    for secret in book.secrets():
        hide(secret)
    own_listeners: list[Listener] = []
    allow = allowances(settings)
    guard = Guard(allow=allow, own=own_listeners)
    trusting = Guard(allow=allow, own=own_listeners, is_trusted=True)
    traces = open_traces(environ, stack, hide)
    tls, proxy = tls_context(), settings.egress.proxy
    ways = open_way(trusting, tls, proxy), open_way(guard, tls, proxy)
    sender = traced(_sender(stack, book, ways, OwnWays(trusting, guard, proxy), clock), traces, clock.now_at)
    courier = Courier(
        outbox=store.outbox,
        ledger=store.ledger,
        sender=sender,
        find=book.find,
        origin=origin,
        clock=clock,
        dice=dice,
        observer=metrics,
        max_in_flight=settings.delivery.max_in_flight,
    )
    downloads = Downloads(
        saves=store.saves,
        shelf=store.shelf,
        fetcher=_fetcher(stack, (trusting, guard), clock, tls),
        room=Room(bounds=save_bounds(settings), free=store.free_bytes, now=clock.now),
        alert=courier.alerts.tell,
        clock=clock,
        dice=dice,
        observer=metrics,
        max_in_flight=settings.outputs.max_in_flight,
    )
    watcher = Watcher(
        watchlist=store.watchlist,
        shelf=store.shelf,
        courier=courier,
        downloads=downloads,
        clock=clock,
        dice=dice,
        observer=metrics,
        max_in_flight=settings.polling.max_in_flight,
    )
    watcher.traces = traces
    session = open_session(guard=None, keep_alive=KEEP_ALIVE, remember_names=REMEMBER_NAMES, tls=tls)
    stack.push_async_callback(session.close)
    lean = Lean(session, keep_alive=KEEP_ALIVE)
    stack.callback(lean.close)
    recipe = _recipe(settings, own, session, lean, clock)
    accounts = {name: recipe.account(each) for name, each in configured_accounts(settings).items()}
    adopt(watcher, accounts, now=clock.now())
    tasks = TaskDesk(
        watcher, store.watchlist, store.shelf, clock=clock, dice=dice, max_tasks=settings.polling.max_tasks
    )
    gauges = Gauges(
        watcher=watcher,
        courier=courier,
        outbox=store.outbox,
        clock=clock,
        endpoints=lambda: book.named,
        max_tasks=lambda: tasks.max_tasks,
        free_bytes=store.free_bytes,
    )
    gauges.register(metrics)
    deliveries = DeliveryDesk(courier, store.outbox, lambda: book.named, clock, book.rotation_ends_at)
    return Parts(
        settings=settings,
        own=own,
        clock=clock,
        metrics=metrics,
        store=store,
        guard=guard,
        own_listeners=own_listeners,
        book=book,
        recipe=recipe,
        courier=courier,
        downloads=downloads,
        watcher=watcher,
        rechecker=Rechecker(
            watcher=watcher,
            watchlist=store.watchlist,
            rechecks=store.rechecks,
            courier=courier,
            clock=clock,
            mint=Mint(clock=clock, dice=dice),
            on_crash=metrics.work_crashed,
        ),
        tasks=tasks,
        deliveries=deliveries,
        endpoints=EndpointDesk(
            book=book,
            store=store.endpoints,
            outbox=store.outbox,
            courier=courier,
            deliveries=deliveries,
            clock=clock,
            hide=hide,
        ),
        janitor=Janitor(store.watchlist, store.outbox, store.shelf, retention(settings), clock),
        keeper=LaneKeeper(watcher, store.ledger, clock),
        gauges=gauges,
    )


def retention(settings: Settings) -> Retention:
    """Return what the janitor keeps."""
    keep = settings.retention
    return Retention(tasks=keep.tasks, events=keep.events, attempts=keep.attempts)


def _sender(stack: AsyncExitStack, book: EndpointBook, ways: tuple[Way, Way], own: OwnWays, clock: Clock) -> HttpSender:
    trusted, untrusted = ways
    for way in (trusted, untrusted, own):
        stack.push_async_callback(way.close)
    return HttpSender(
        lambda delivery: book.find(delivery.endpoint, delivery.url),
        trusted=trusted,
        untrusted=untrusted,
        now_at=clock.now_at,
        own_way=own.of,
    )


def _fetcher(stack: AsyncExitStack, guards: tuple[Guard, Guard], clock: Clock, tls: ssl.SSLContext) -> HttpFetcher:
    home, strangers = (open_session(guard=guard, tls=tls) for guard in guards)
    stack.push_async_callback(home.close)
    stack.push_async_callback(strangers.close)
    return HttpFetcher(home=home, strangers=strangers, now_at=clock.now_at)


def _recipe(settings: Settings, own: OwnSecrets, session: aiohttp.ClientSession, lean: Lean, clock: Clock) -> Recipe:
    def connect(configured: Configured) -> HttpProvider:
        return HttpProvider(configured, session, clock.now_at, lean=lean)

    return Recipe(connect, own.key_mark, settings.polling.price, Leisure(clock.now))
