"""The parts of one daemon, and how they are joined."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp

from daemon.config import Settings, allowances, save_bounds
from daemon.core.egress import Listener
from daemon.core.origin import origin
from daemon.engine.clock import Clock, Dice
from daemon.engine.courier import Courier
from daemon.engine.delivery_desk import DeliveryDesk
from daemon.engine.desk import TaskDesk
from daemon.engine.downloads import Downloads
from daemon.engine.janitor import Janitor, Retention
from daemon.engine.room import Room
from daemon.engine.watcher import Watcher
from daemon.net.download import HttpFetcher
from daemon.net.guard import Guard
from daemon.net.session import open_session
from daemon.observe.metrics import Metrics
from daemon.providers.account import Account as Configured
from daemon.providers.client import HttpProvider
from daemon.service.accounts import Recipe, adopt, configured_accounts
from daemon.service.endpoints import EndpointBook
from daemon.service.gauges import Gauges
from daemon.service.recovery import LaneKeeper, Recovery
from daemon.service.secrets import OwnSecrets, own_secrets
from daemon.store.store import Store, open_store
from daemon.webhooks.sender import HttpSender, open_way

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
    tasks: TaskDesk
    deliveries: DeliveryDesk
    janitor: Janitor
    keeper: LaneKeeper
    gauges: Gauges

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
        await self.courier.release(self.book.named)


async def assemble(settings: Settings, stack: AsyncExitStack) -> Parts:
    """Open the store and the sessions onto *stack* and join all parts; raises Fault and DefinitionError."""
    metrics = Metrics()
    clock = Clock(now=asyncio.get_running_loop().time, now_at=time.time)
    dice = Dice(roll=random.random, bits=secrets.randbits)
    store = await open_store(settings.store.path, on_commit=metrics.committed)
    stack.push_async_callback(store.close)
    own = own_secrets(settings.store.path)
    book = EndpointBook(own.master)
    await book.adopt(settings, store.ledger)
    own_listeners: list[Listener] = []
    allow = allowances(settings)
    guard = Guard(allow=allow, own=own_listeners)
    trusting = Guard(allow=allow, own=own_listeners, is_trusted=True)
    sender = await _sender(stack, book, guard, trusting, clock)
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
        fetcher=_fetcher(stack, guard, trusting, clock),
        room=Room(bounds=save_bounds(settings), free=store.free_bytes, now=clock.now),
        alert=courier.alert,
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
    session = open_session(guard=None, keep_alive=KEEP_ALIVE, remember_names=REMEMBER_NAMES)
    stack.push_async_callback(session.close)
    recipe = _recipe(settings, own, session, clock)
    accounts = {name: recipe.account(each) for name, each in configured_accounts(settings).items()}
    adopt(watcher, accounts, now=clock.now())
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
        tasks=TaskDesk(
            watcher, store.watchlist, store.shelf, clock=clock, dice=dice, max_tasks=settings.polling.max_tasks
        ),
        deliveries=DeliveryDesk(courier, store.outbox, lambda: book.named, clock),
        janitor=Janitor(store.watchlist, store.outbox, store.shelf, retention(settings), clock),
        keeper=LaneKeeper(watcher, store.ledger, clock),
        gauges=Gauges(watcher, courier, store.outbox, clock),
    )


def retention(settings: Settings) -> Retention:
    """Return what the janitor keeps."""
    keep = settings.retention
    return Retention(tasks=keep.tasks, events=keep.events, attempts=keep.attempts)


async def _sender(stack: AsyncExitStack, book: EndpointBook, guard: Guard, trusting: Guard, clock: Clock) -> HttpSender:
    trusted, untrusted = open_way(trusting), open_way(guard)
    stack.push_async_callback(trusted.session.close)
    stack.push_async_callback(untrusted.session.close)
    return HttpSender(
        lambda delivery: book.find(delivery.endpoint, delivery.url),
        trusted=trusted,
        untrusted=untrusted,
        now_at=clock.now_at,
    )


def _fetcher(stack: AsyncExitStack, guard: Guard, trusting: Guard, clock: Clock) -> HttpFetcher:
    home, strangers = open_session(guard=trusting), open_session(guard=guard)
    stack.push_async_callback(home.close)
    stack.push_async_callback(strangers.close)
    return HttpFetcher(home=home, strangers=strangers, now_at=clock.now_at)


def _recipe(settings: Settings, own: OwnSecrets, session: aiohttp.ClientSession, clock: Clock) -> Recipe:
    def connect(configured: Configured) -> HttpProvider:
        return HttpProvider(configured, session, clock.now_at)

    return Recipe(connect, own.key_mark, settings.polling.price)
