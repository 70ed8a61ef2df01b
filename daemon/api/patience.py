"""Long waits that end early: when the caller hangs up, when too many wait, and when the daemon closes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from aiohttp import web

from daemon.api.connection import Connection

_T = TypeVar("_T")


class Patience:
    """Holds answers back on their callers' behalf, at most *limit* of them, so that connections are left for calls
    that do not wait: where one more comes, the one that waits longest is answered as things stand.
    """

    def __init__(self, limit: int = 192) -> None:
        self._limit = limit
        self._held: dict[asyncio.Task[object], None] = {}
        self._is_over = False

    async def hold(self, request: web.Request, waiting: Coroutine[object, object, _T]) -> _T | None:
        """Return what *waiting* returns, or None where the wait was cut short."""
        if self._is_over:
            waiting.close()
            return None
        if len(self._held) >= self._limit:
            next(iter(self._held)).cancel()
        task = asyncio.ensure_future(waiting)
        protocol = request.protocol
        if isinstance(protocol, Connection):
            protocol.on_lost.add(task.cancel)
        self._held[task] = None
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            self._held.pop(task, None)
            if isinstance(protocol, Connection):
                protocol.on_lost.discard(task.cancel)
        return None if task.cancelled() else task.result()

    def end(self) -> None:
        """Cut every wait short, those to come as well; their callers are answered as things stand."""
        self._is_over = True
        for task in tuple(self._held):
            task.cancel()
