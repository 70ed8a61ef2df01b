"""Where log lines go: a stream whose troubles are nobody's but its own.

A pipe that is closed, a disk that is full and a reader that hangs (a stopped journald, a stuck collector) cost lines,
never work: what would have to wait is dropped, counted, and the count is told once the reader reads again.
"""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress
from typing import TextIO

import structlog

PIECE = select.PIPE_BUF


class Outlet:
    """Writes lines to *stream*; to a pipe or a socket only as much as it takes without waiting."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor = _waiting_descriptor(stream)
        self._dropped = 0
        self._is_torn = False

    def msg(self, line: str) -> None:
        """Write one line, or drop it."""
        with suppress(OSError, ValueError):
            if self._descriptor is None:
                self._stream.write(line + "\n")
                self._stream.flush()
            else:
                self._send(self._descriptor, line)

    debug = info = warning = error = critical = msg

    def _send(self, descriptor: int, line: str) -> None:
        if not _takes_more(descriptor):
            self._dropped += 1
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            structlog.get_logger().warning("log.dropped", lines=dropped, why="whoever reads the log was not reading")
        rest = (("\n" if self._is_torn else "") + line + "\n").encode("utf-8", "backslashreplace")
        self._is_torn = False
        while rest:
            if not _takes_more(descriptor):
                self._is_torn = True
                self._dropped += 1
                return
            rest = rest[os.write(descriptor, rest[:PIECE]) :]


def _waiting_descriptor(stream: TextIO) -> int | None:
    """Return the descriptor of a stream on which a write may wait for a reader; None for files and terminals."""
    try:
        descriptor = stream.fileno()
        mode = os.fstat(descriptor).st_mode
    except (OSError, ValueError):
        return None
    return descriptor if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def _takes_more(descriptor: int) -> bool:
    """Whether a write of ``PIPE_BUF`` bytes returns at once; an end that is closed does, with an error."""
    asked = select.poll()
    asked.register(descriptor, select.POLLOUT)
    return bool(asked.poll(0))
