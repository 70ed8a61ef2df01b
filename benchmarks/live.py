"""The daemon itself: real polls of short tasks on loopback, to be held to what the simulation gives.

A task's clock begins when the daemon answers its registration. The first endings teach; the others are measured.
"""

from __future__ import annotations

import http.client
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from statistics import fmean

from benchmarks.laws import Law, Outcome
from benchmarks.subject import LaneSpec, Subject

LAW = Law("LN(6, .5)", ((1.0, 6.0, 0.5),))
PRICE = 0.03
MIN_GAP = 0.05
LEARNED = 30
APART = 0.25
PATIENCE = 60.0


@dataclass(slots=True)
class Job:
    """One task at the provider: when it ends, how often it was asked about, and how late its end was seen."""

    took: float
    end: float
    polls: int = 0
    delay: float | None = None


@dataclass(slots=True)
class Provider:
    """A provider on loopback that knows when each of its jobs ends."""

    jobs: dict[str, Job] = field(default_factory=dict)

    def tell(self, name: str) -> bytes:
        """Answer one status request."""
        job, now = self.jobs[name], time.monotonic()
        job.polls += 1
        if now < job.end:
            return b'{"status": "in_progress"}'
        job.delay = now - job.end
        return b'{"status": "completed"}'

    def serve(self) -> ThreadingHTTPServer:
        """Start to answer; return the server, to be shut down."""
        tell = self.tell

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = tell(self.path.rpartition("/")[2])
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                self.wfile.write(head.encode() + body)

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


def lived(judged: int) -> list[Job]:
    """Run the daemon on so many tasks past those that teach; return these as they went."""
    provider, dice = Provider(), Random("live")  # noqa: S311 (a simulation)
    server = provider.serve()
    try:
        with tempfile.TemporaryDirectory() as folder:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            spec = LaneSpec(name="live", url=url, gap=MIN_GAP, typical=LAW.parts[0][1])
            polling = {"price": PRICE, "max_tasks": 10_000}
            with Subject(Path(folder), [spec], polling=polling) as subject:
                subject.start()
                for count, pause in ((LEARNED, 4 * LAW.quantile(0.5)), (judged, 0.0)):
                    _register(subject, provider, count, dice)
                    time.sleep(pause)
                _await(provider)
    finally:
        server.shutdown()
    return list(provider.jobs.values())[LEARNED:]


def outcome(jobs: Sequence[tuple[int, float]]) -> Outcome:
    """Return what (polls, delay) of each job amount to."""
    delays = sorted(delay for _, delay in jobs)
    return Outcome(fmean(polls for polls, _ in jobs), fmean(delays), delays[int(0.95 * len(delays))])


def _register(subject: Subject, provider: Provider, count: int, dice: Random) -> None:
    line = http.client.HTTPConnection("127.0.0.1", subject.port, timeout=60)
    for _ in range(count):
        name = f"t{len(provider.jobs)}"
        took = LAW.draw(dice)
        provider.jobs[name] = Job(took, time.monotonic() + took)
        subject.call(line, "POST", "/v1/tasks", {"provider": "live", "remote_id": name, "model": "m"})
        time.sleep(APART)
    line.close()


def _await(provider: Provider) -> None:
    until = time.monotonic() + PATIENCE
    while any(job.delay is None for job in provider.jobs.values()):
        if time.monotonic() > until:
            raise RuntimeError("the daemon has not seen every end a minute after the last registration")
        time.sleep(0.1)
