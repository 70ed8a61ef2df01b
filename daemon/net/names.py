"""Names to addresses, in threads of our own, so that one hanging name delays no other.

The system's resolver blocks a thread; the default executor has few and is shared with everything else. One lookup per
name is under way at a time, however many ask, so a name that hangs holds one thread.
"""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

from daemon.net.barred import Barred
from daemon.net.exchange import passage
from daemon.net.guard import Guard

THREADS = 64
_Found: TypeAlias = list[tuple[int, str]]


class Names(AbstractResolver):
    """A resolver that judges what it finds; without a guard it only finds."""

    def __init__(self, guard: Guard | None) -> None:
        self._guard = guard
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="names")
        self._lookups: dict[tuple[str, int], asyncio.Future[_Found]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; raise OSError for none, and Barred where any of them is forbidden."""
        found = await self._found(self._absolute(host), family)
        note = passage.get()
        if note is not None and note.marks is not None:
            note.marks.resolved = time.monotonic()
        self._judge(found, port)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, address in found
        ]

    async def close(self) -> None:
        """Give up every lookup under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _absolute(self, host: str) -> str:
        """Keep search domains away from strangers' names; an operator's own may be relative on purpose."""
        if self._guard is None or self._guard.is_trusted or "." not in host or host.endswith("."):
            return host
        return host + "."

    async def _found(self, name: str, family: socket.AddressFamily) -> _Found:
        key = (name, int(family))
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, name, family)
            self._lookups[key] = lookup
            lookup.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(lookup)

    def _forget(self, key: tuple[str, int], lookup: asyncio.Future[_Found]) -> None:
        self._lookups.pop(key, None)
        if not lookup.cancelled():
            lookup.exception()

    def _judge(self, found: _Found, port: int) -> None:
        if self._guard is None:
            return
        verdicts = [(address, self._guard.check(address, port)) for _, address in found]
        bad = [(address, complaint) for address, complaint in verdicts if complaint]
        if not bad:
            return
        address, complaint = bad[0]
        mixed = (
            "" if len(bad) == len(found) else f" (one of {len(found)} addresses of the name; a mixed name is refused)"
        )
        raise Barred(f"{address} port {port}: {complaint}{mixed}")


def _look_up(name: str, family: socket.AddressFamily) -> _Found:
    try:
        infos = socket.getaddrinfo(name, None, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError:
        raise OSError(None, "the name is not valid") from None
    found = [(int(info[0]), str(info[4][0])) for info in infos]
    if not found:
        raise OSError(None, "the name has no address")
    return found
