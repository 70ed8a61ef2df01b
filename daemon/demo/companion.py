"""Running a part of the show as its own process, which ends with its parent.

The parent writes one line of JSON (the settings, so that no secret stands in a command line) to the child's standard
input, reads one line of JSON (where it listens) from its standard output, and closes the input to end it. A parent
that dies closes it, too: nothing is left behind.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from daemon.core.observation import Json

START_SECONDS = 15.0
STOP_SECONDS = 3.0
LINE_LIMIT = 1 << 20


class CompanionLost(Exception):
    """A companion process ended, or said nothing, before it was ready."""


class Words:
    """A child's side of the line to its parent."""

    def __init__(self, settings: dict[str, Json], reader: asyncio.StreamReader) -> None:
        self.settings = settings
        self._reader = reader

    def number(self, name: str, default: float = 0.0) -> float:
        """Return a setting that is a number."""
        value = self.settings.get(name, default)
        if not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, got {value!r}")
        return value

    def tell(self, news: Mapping[str, Json]) -> None:
        """Tell the parent that the child is ready, and what it needs to know."""
        print(json.dumps(news), flush=True)

    async def farewell(self) -> None:
        """Return once the parent has closed the line."""
        await self._reader.read()


def live_as_companion(main: Callable[[Words], Awaitable[None]]) -> None:
    """Run *main* with the parent's words until it returns; a terminal's Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_live(main))


async def _live(main: Callable[[Words], Awaitable[None]]) -> None:
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    settings = json.loads(await reader.readline())
    await main(Words(settings, reader))


@asynccontextmanager
async def companion(module: str, settings: Mapping[str, Json]) -> AsyncIterator[dict[str, Json]]:
    """Run ``python -m`` *module* for as long as the block lasts; yields what it told when it was ready."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=pipe, stdout=pipe, start_new_session=True, limit=LINE_LIMIT
    )
    try:
        yield await _introduced(process, module, settings)
    finally:
        await _part(process)


async def _introduced(
    process: asyncio.subprocess.Process, module: str, settings: Mapping[str, Json]
) -> dict[str, Json]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(settings).encode() + b"\n")
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    except TimeoutError:
        line = b""
    if not line:
        raise CompanionLost(f"{module} did not start within {START_SECONDS:g} s; its complaint stands above")
    told: dict[str, Json] = json.loads(line)
    return told


async def _part(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
