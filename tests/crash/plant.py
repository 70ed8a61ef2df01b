"""Plants the crash points in a process that is about to become the daemon, and counts who comes by.

The daemon itself is run as it is. What is patched beside the points is pace: intervals of a minute become tenths of a
second, and the journal is moved into the database often, so that a short run comes by everything.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

from daemon.core import late
from daemon.engine import downloads, endpoint_lanes, janitor, notes, rechecks, watcher
from daemon.net.download import HttpFetcher
from daemon.observe.sd import Notifier
from daemon.providers.client import HttpProvider
from daemon.service import daemon as service
from daemon.service.parts import Parts
from daemon.store import store
from daemon.store.database import Database
from daemon.webhooks.sender import HttpSender
from tests.crash.points import DISK, PORTS, TRIES, writes

CURRENT: ContextVar[str] = ContextVar("current", default="unnamed")
CHECKPOINT_PAGES = 40


class Fuse:
    """Kills the process at the n-th time it comes by one point; writes every point to a trace that outlives it."""

    def __init__(self, point: str, n: int, trace: int) -> None:
        self._point, self._n, self._trace = point, n, trace
        self._seen: set[str] = set()
        self._hits: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        if point not in self._seen:
            self._seen.add(point)
            os.write(self._trace, f"{point}\n".encode())
        self._hits[point] += 1
        if point == self._point and self._hits[point] == self._n:
            os.write(self._trace, b"!\n")
            os.kill(os.getpid(), signal.SIGKILL)


def plant(point: str, n: int, trace: int) -> None:
    """Plant all points, the fuse at the *n*-th pass of *point*."""
    fuse = Fuse(point, n, trace)
    _around_writes(fuse)
    _around_commits(fuse)
    _around_tries(fuse)
    _around_files(fuse)
    _around_start(fuse)
    _under_sqlite(point, n)


def quicken() -> None:
    """Shorten what a daemon does once a minute or so."""
    late.SOONEST, late.SHARE = 0.3, 0.0
    rechecks.TICK = notes.INTERVAL = service.KEEP_LANES = 0.15
    janitor.INTERVAL = service.STATUS = watcher.SWEEP = 0.3
    endpoint_lanes.TEMPER = replace(endpoint_lanes.TEMPER, probe=0.3, probe_cap=1.0)
    downloads.TEMPER = replace(downloads.TEMPER, probe=0.3, probe_cap=1.0)


def _watched(name: str, method: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    @wraps(method)
    async def watched(*given: Any, **named: Any) -> Any:
        token = CURRENT.set(name)
        try:
            fuse(f"{name}: asked")
            result = await method(*given, **named)
            fuse(f"{name}: told")
            return result
        finally:
            CURRENT.reset(token)

    return watched


def _around_writes(fuse: Fuse) -> None:
    for write in writes():
        port, _, method = write.partition(".")
        real = PORTS[port][1]
        setattr(real, method, _watched(write, getattr(real, method), fuse))
    store._vault = _watched_vault(store._vault, fuse)
    Database.empty_journal = _watched("vault.empty_journal", Database.empty_journal, fuse)


def _watched_vault(opened: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    async def vault(*given: Any) -> Any:
        token = CURRENT.set("vault.seal")
        try:
            return await opened(*given)
        finally:
            CURRENT.reset(token)

    return vault


def _around_commits(fuse: Fuse) -> None:
    change, together = Database.change, Database.change_together
    shared: dict[tuple[object, str], Callable[..., Any]] = {}

    async def named_change(self: Database, deed: Any, *, weight: int = 1) -> Any:
        name = CURRENT.get()
        if name == "vault.seal":
            fuse(f"{name}: asked")
        result = await change(self, _signed(name, deed), weight=weight)
        if name == "vault.seal":
            fuse(f"{name}: told")
        return result

    async def named_together(self: Database, deed: Any, item: Any, *, weight: int = 1) -> Any:
        key = (deed, CURRENT.get())
        if key not in shared:
            shared[key] = _signed(key[1], deed)
        return await together(self, shared[key], item, weight=weight)

    Database.change, Database.change_together = named_change, named_together
    connect = sqlite3.connect
    factory = _connection(fuse)
    sqlite3.connect = lambda *given, **named: connect(*given, factory=factory, **named)


def _signed(name: str, deed: Callable[..., Any]) -> Callable[..., Any]:
    def signed(*given: Any) -> Any:
        result = deed(*given)
        given[-1].riders.append(name)
        return result

    return signed


def _connection(fuse: Fuse) -> type[sqlite3.Connection]:
    class Watched(sqlite3.Connection):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.riders: list[str] = []

        def execute(self, sql: str, *given: Any) -> sqlite3.Cursor:
            if sql == "COMMIT" and self.riders:
                return self._commit(list(dict.fromkeys(self.riders)))
            if sql.startswith("PRAGMA wal_autocheckpoint"):
                sql = f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}"
            if sql == "PRAGMA synchronous = FULL" and "CRASH_CARELESS" in os.environ:
                sql = "PRAGMA synchronous = OFF"
            if sql != "PRAGMA journal_mode = WAL":
                return super().execute(sql, *given)
            fuse("to WAL: before")
            result = super().execute(sql)
            fuse("to WAL: after")
            return result

        def _commit(self, riders: list[str]) -> sqlite3.Cursor:
            self.riders.clear()
            for name in riders:
                fuse(f"{name}: written")
            result = super().execute("COMMIT")
            for name in riders:
                fuse(f"{name}: committed")
            return result

        def executescript(self, script: str) -> sqlite3.Cursor:
            fuse("upgrade: asked")
            self.set_trace_callback(self._comes_by)
            result = super().executescript(script)
            self.set_trace_callback(None)
            fuse("upgrade: committed")
            return result

        def _comes_by(self, sql: str) -> None:
            step = re.search(r"PRAGMA user_version = (\d+);?\s*$", sql)
            if step is not None:
                fuse(f"migration {step[1]}: written")
            if sql.strip().startswith("COMMIT"):
                fuse("upgrade: written")

    return Watched


def _around_tries(fuse: Fuse) -> None:
    reals = {"sender": HttpSender, "provider": HttpProvider, "fetcher": HttpFetcher}
    for one in TRIES:
        part, _, method = one.partition(".")
        setattr(reals[part], method, _watched(one, getattr(reals[part], method), fuse))


def _around_files(fuse: Fuse) -> None:
    fsync, rename, link, unlink = os.fsync, os.replace, os.link, os.unlink

    def at(deed: str, path: str, act: Callable[[], None]) -> None:
        kind = _kind(path)
        fuse(f"{kind} {deed}: before")
        act()
        fuse(f"{kind} {deed}: after")

    os.fsync = lambda fd: at("fsync", str(Path(f"/proc/self/fd/{fd}").readlink()), lambda: fsync(fd))
    os.replace = lambda old, new, **more: at("replace", str(new), lambda: rename(old, new, **more))
    os.link = lambda old, new, **more: at("link", str(new), lambda: link(old, new, **more))
    os.unlink = lambda path, **more: at("unlink", str(path), lambda: unlink(path, **more))


def _kind(path: str) -> str:
    if Path(path).is_dir():
        return "folder"
    name = Path(path).name
    if any(secret in name for secret in ("api-token", "master-key", "store-key")):
        return "secret"
    if ".schema-" in name:
        return "copy"
    return "output" if "/outputs/" in path else "file"


def _around_start(fuse: Fuse) -> None:
    Parts.recover = _watched("service.recover", Parts.recover, fuse)
    ready = Notifier.ready

    def announced(self: Notifier) -> bool:
        fuse("service.ready: asked")
        sent = ready(self)
        fuse("service.ready: told")
        return sent

    Notifier.ready = announced


def _under_sqlite(point: str, n: int) -> None:
    if point in DISK:
        ctypes.CDLL(None).shim_arm(DISK.index(point), n)
