"""The simulated providers: one light process, ``python -m benchmarks.server``, and the handle that asks it.

A target is ``/MANNER/LANE/ID``: a lane that is ``ok`` answers at once that its task runs, ``new`` the same in bytes
that are never those of the answer before, ``done`` that it has succeeded, ``busy`` 429 with Retry-After, ``junk`` no
JSON, ``hang`` nothing.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any, Self

import uvloop

from benchmarks.machine import SERVERS, Child
from benchmarks.wire import listen, told

RUNNING = told("200 OK", b'{"id":"abcd1234efgh","status":"in_progress","progress":null}')
NEW = b'{"id":"abcd1234efgh","status":"in_progress","progress":null,"told":%d}'
DONE = told("200 OK", b'{"id":"abcd1234efgh","status":"completed","url":"https://cdn.example.com/v.mp4"}')
ANSWERS: dict[bytes, bytes | None] = {
    b"ok": RUNNING,
    b"new": RUNNING,
    b"done": DONE,
    b"busy": told("429 Too Many Requests", b'{"error":"slow down"}', b"Retry-After: 1"),
    b"junk": told("200 OK", b"<html>We will be back soon" + b"." * 500),
    b"hang": None,
}


class Providers:
    """Answers by the manner in the target, counts by lane, and keeps when each request came while it records."""

    def __init__(self) -> None:
        self.counts: Counter[bytes] = Counter()
        self._last: dict[bytes, float] = {}
        self._gaps: defaultdict[bytes, list[float]] = defaultdict(list)
        self._arrivals: defaultdict[bytes, list[float]] = defaultdict(list)
        self._records = False
        self._told = 10**11

    def answer(self, target: bytes, body: bytes) -> bytes | None:
        """Answer one request."""
        del body
        if target.startswith(b"/_"):
            return told("200 OK", json.dumps(self._tell(target)).encode())
        _, manner, lane, _ = target.split(b"/", 3)
        self.counts[lane] += 1
        if self._records:
            now = time.monotonic()
            if target in self._last:
                self._gaps[lane].append(now - self._last[target])
            self._last[target] = now
            self._arrivals[lane].append(now)
        if manner == b"new":
            self._told += 1  # each as long as the last one
            return told("200 OK", NEW % self._told)
        return ANSWERS[manner]

    def _tell(self, target: bytes) -> Mapping[str, object]:
        if target == b"/_record":
            self._records = True
            self._last.clear()
            self._gaps.clear()
            self._arrivals.clear()
        if target in (b"/_gaps", b"/_arrivals"):
            self._records = False
            kept = self._gaps if target == b"/_gaps" else self._arrivals
            return {lane.decode(): times for lane, times in kept.items()}
        return {lane.decode(): count for lane, count in self.counts.items()}


class Server:
    """The process of the simulated providers; the ``with`` ends it."""

    def __init__(self) -> None:
        self.child = Child.module("benchmarks.server", core=SERVERS)
        self.port = int(self.child.first_line())
        self.url = f"http://127.0.0.1:{self.port}"
        self._line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def counts(self) -> dict[str, int]:
        """Return the requests answered so far, by lane."""
        counts: dict[str, int] = self._ask("/_counts")
        return counts

    def total(self) -> int:
        """Return the requests answered so far."""
        return sum(self.counts().values())

    def record(self) -> None:
        """Keep when each request comes, and the time since the last one for the same task, from now on."""
        self._ask("/_record")

    def gaps(self) -> dict[str, list[float]]:
        """Return what was recorded, by lane, and record no more."""
        gaps: dict[str, list[float]] = self._ask("/_gaps")
        return gaps

    def arrivals(self) -> dict[str, list[float]]:
        """Return when each request came (monotonic), by lane, and record no more."""
        arrivals: dict[str, list[float]] = self._ask("/_arrivals")
        return arrivals

    def _ask(self, path: str) -> Any:
        self._line.request("GET", path)
        return json.loads(self._line.getresponse().read())

    def __enter__(self) -> Self:
        """Return the server itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """End it."""
        self._line.close()
        self.child.kill()


async def _main() -> None:
    server, port = await listen(Providers().answer)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
