"""The daemon's life in four phases: open, recover, run, drain.

Guarded here: ready is announced only when every acknowledged task is watched again, and on SIGTERM what is in flight
may end within the grace while nothing new starts.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from ipaddress import IPv4Address, IPv6Address, ip_address
from os import getpid

import structlog

from daemon import __version__
from daemon.api.access import Access, digest_of
from daemon.api.app import make_app
from daemon.api.listeners import Listeners, open_listeners
from daemon.api.sockets import UNIX_PREFIX, address_of, inherited_sockets
from daemon.config import ConfigError, Settings
from daemon.config.settings import ServerSettings
from daemon.core.errors import Fault
from daemon.core.signing import BadSecret
from daemon.observe.redactor import Redactor
from daemon.observe.sd import Notifier, keep_watchdog, watchdog_interval
from daemon.observe.stalls import watch_stalls
from daemon.providers.mistakes import DefinitionError
from daemon.service.parts import Parts, assemble
from daemon.service.reload import reload_into

CLOSE_GRACE = 2.0
KEEP_LANES = 0.5
STATUS = 10.0

log = structlog.get_logger()


class Daemon:
    """One run of the daemon; *read* reads the configuration again, for a reload."""

    def __init__(
        self, settings: Settings, *, read: Callable[[], Settings], redactor: Redactor, environ: Mapping[str, str]
    ) -> None:
        self.was_ready = False
        self._settings = settings
        self._read = read
        self._redactor = redactor
        self._environ = environ
        self._notifier = Notifier(environ)
        self._fault: Fault | None = None
        self._remark: str | None = None
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self) -> None:
        """Live until a signal; raises Fault where the daemon cannot go on."""
        async with AsyncExitStack() as stack:
            parts = await assemble(self._settings, stack, environ=self._environ, hide=self._redactor.add)
            for secret in (parts.own.token, parts.own.master.hex()):
                self._redactor.add(secret)
            gc.collect()  # what was left over from the start, before there is much to look through
            await parts.recover()
            settle_garbage()
            listeners = await self._listen(parts)
            stack.push_async_callback(listeners.close, CLOSE_GRACE)
            await self._work(parts, listeners)
        log.info("service.stopped")

    async def _listen(self, parts: Parts) -> Listeners:
        server = parts.settings.server
        token = digest_of(parts.own.token) if server.auth == "token" else None
        access = Access(token, on_denied=lambda _code: parts.metrics.auth_failed())
        app = make_app(
            tasks=parts.tasks,
            deliveries=parts.deliveries,
            endpoints=parts.endpoints,
            outbox=parts.store.outbox,
            access=access,
            is_ready=lambda: self.was_ready and not self._stop.is_set(),
            metrics=parts.metrics.render,
            check_target=parts.guard.check_url,
            open_metrics=server.open_metrics,
            version=__version__,
            now_at=parts.clock.now_at,
            max_waits=max(1, server.max_connections * 3 // 4),
            on_fault=self._fail,
        )
        inherited = inherited_sockets(self._environ, getpid())
        for sock in inherited:
            _require_guarded(sock, server)
        specs = () if inherited and "listen" not in server.model_fields_set else server.listen
        listeners = await open_listeners(app, specs, inherited=inherited, max_connections=server.max_connections)
        parts.own_listeners.extend(_tcp(listeners))
        return listeners

    async def _work(self, parts: Parts, listeners: Listeners) -> None:
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(work, name=name) for name, work in self._workers(parts).items()]
            self._hear_signals()
            self.was_ready = True
            self._notifier.ready()
            self._say_status(parts)
            log.info("service.ready", version=__version__, addresses=listeners.addresses)
            await self._stop.wait()
            if self._fault is not None:
                raise self._fault
            await self._drain(parts, listeners)
            for worker in workers:
                worker.cancel()
        if self._fault is not None:
            raise self._fault

    def _workers(self, parts: Parts) -> dict[str, Coroutine[None, None, None]]:
        return {
            "polls": parts.watcher.pump.run(),
            "deliveries": parts.courier.pump.run(),
            "downloads": parts.downloads.pump.run(),
            "sweeps": parts.watcher.run_sweeps(),
            "rechecks": parts.rechecker.run(),
            "notes": parts.watcher.notes.run(),
            "alerts": parts.courier.alerts.run(),
            "retention": parts.janitor.run(),
            "gauges": parts.gauges.run(),
            "stalls": watch_stalls(parts.metrics.stalled),
            "lanes": self._keep_lanes(parts),
            "status": self._keep_status(parts),
            "watchdog": keep_watchdog(self._notifier, watchdog_interval(self._environ), parts.vigil().standstill),
            "reloads": self._reloads(parts),
        }

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    def _fail(self, fault: Fault) -> None:
        self._fault = self._fault or fault
        self._stop.set()

    async def _drain(self, parts: Parts, listeners: Listeners) -> None:
        log.info("service.stopping", polls=parts.watcher.pump.in_flight, deliveries=parts.courier.pump.in_flight)
        self._notifier.stopping()
        listeners.stop_accepting()
        parts.watcher.pump.close()
        parts.courier.pump.close()
        parts.downloads.pump.close()
        try:
            async with asyncio.timeout(parts.settings.service.drain_grace):
                await parts.watcher.pump.drained()
                await parts.courier.pump.drained()
                await parts.watcher.results.drained()
        except TimeoutError:
            log.warning(
                "service.cut_short", polls=parts.watcher.pump.in_flight, deliveries=parts.courier.pump.in_flight
            )
        parts.watcher.note_all()
        await parts.watcher.notes.flush()
        await parts.keeper.save(everything=True)
        await parts.keeper.save_durations(limit=10_000)

    async def _keep_lanes(self, parts: Parts) -> None:
        while True:
            await asyncio.sleep(KEEP_LANES)
            await parts.keeper.save()

    async def _keep_status(self, parts: Parts) -> None:
        while True:
            await asyncio.sleep(STATUS)
            self._say_status(parts)
            await parts.keeper.save_durations()
            parts.courier.pump.forget_idle(lambda name: name not in parts.book.named)

    def _say_status(self, parts: Parts) -> None:
        watching = f"watching {len(parts.watcher.live)} tasks in {len(parts.watcher.accounts)} lanes"
        self._notifier.status(watching if self._remark is None else f"{self._remark}; {watching}")

    async def _reloads(self, parts: Parts) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._notifier.reloading()
            try:
                waiting = await reload_into(parts, self._read(), self._redactor)
                self._remark = f"{', '.join(waiting)} of the new configuration: after a restart" if waiting else None
            except (ConfigError, DefinitionError, BadSecret) as error:
                log.error("config.refused", why=str(error))  # noqa: TRY400 (a mistake of the operator's, no trace)
                self._remark = f"the new configuration was refused, the old one stays: {error}"[:300]
            self._say_status(parts)
            self._notifier.ready()


def settle_garbage() -> None:
    """Keep the collector off what will live as long as the daemon; let it come, and less often, for the rest."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()


def _require_guarded(sock: socket.socket, server: ServerSettings) -> None:
    """Hold a socket that systemd passed to the rules that ``[server] listen`` is held to."""
    if sock.family == socket.AF_UNIX or ip_address(str(sock.getsockname()[0]).partition("%")[0]).is_loopback:
        return
    where = f"systemd passed a socket on {sock.getsockname()[0]}, which others can reach"
    if server.auth == "none":
        raise Fault(f'{where}, but [server] auth = "none" is for loopback and unix sockets only')
    if not server.i_know_this_is_public:
        raise Fault(
            f"{where}; set [server] i_know_this_is_public = true too, or change ListenStream= in the socket unit"
        )


def _tcp(listeners: Listeners) -> list[tuple[IPv4Address | IPv6Address, int]]:
    found = [address_of(text) for text in listeners.addresses if not text.startswith(UNIX_PREFIX)]
    return [(ip_address(host), port) for host, port in found]
