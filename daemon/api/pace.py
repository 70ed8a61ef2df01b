"""Long work in short pieces: no request holds up the event loop, however much it brings or asks for."""

from __future__ import annotations

import asyncio

SLICE_SECONDS = 0.005


class Pace:
    """Keeps one piece of work from running longer than a slice at a time."""

    def __init__(self) -> None:
        self._now = asyncio.get_running_loop().time
        self._since = self._now()

    async def rest(self) -> None:
        """Let everybody else run, once this work has run for a slice."""
        if self._now() - self._since > SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = self._now()
