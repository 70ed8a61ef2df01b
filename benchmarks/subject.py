"""The daemon under test: its config file, the real process on a core of its own, and its API from outside."""

from __future__ import annotations

import http.client
import json
import os
import random
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from daemon.demo.ports import free_port

from benchmarks.machine import UNDER_TEST, Child

READY_SECONDS = 60.0
BATCH = 1000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OURS = ("POLLHOOK_", "LISTEN_", "CREDENTIALS_", "STATE_DIR", "NOTIFY_")
UNCOMPILED = "PYTHONDONTWRITEBYTECODE"
"""What a clone may run under; an installed daemon is compiled once, so the one under test is too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSpec:
    """A lane of the config file; ``gap`` seconds pass between two polls of one task, whatever was learned.

    Where ``typical`` is given, the cadence is left to plan from there, at least ``gap`` seconds apart.
    """

    name: str
    url: str
    gap: float
    manner: str = "ok"
    slots: int = 50
    rate: float = 10_000.0
    timeout: float = 30.0
    typical: float | None = None

    def tables(self) -> dict[str, dict[str, object]]:
        """Return its tables of the config file."""
        name = f"providers.{self.name}"
        lane: dict[str, object] = {"api_key": "k", "base_url": f"{self.url}/{self.manner}/{self.name}"}
        # A provider that forgets after two gaps is asked after one: half of the retention binds at any age.
        fixed = {"min_gap": self.gap, "max_gap": self.gap, "retention": 2 * self.gap}
        gaps = fixed if self.typical is None else {"min_gap": self.gap}
        limits = {"rate": self.rate, "concurrency": self.slots, "timeout": self.timeout, "deadline": "30d"}
        return {
            name: lane | gaps | limits,
            f"{name}.status": {"request": "GET /{id}", "state": "status"},
            f"{name}.status.states": {"running": ["in_progress"], "succeeded": ["completed"]},
            f"{name}.typical": {"duration": self.typical or self.gap},
        }


class Subject:
    """One daemon in *folder*; the ``with`` ends it."""

    def __init__(self, folder: Path, lanes: Iterable[LaneSpec], **tables: Mapping[str, object]) -> None:
        self.folder = folder
        self.port = free_port()
        self.child: Child | None = None
        self.log = folder / "daemon.log"
        folder.mkdir(parents=True, exist_ok=True)
        written: dict[str, Mapping[str, object]] = {
            "server": {"listen": [f"127.0.0.1:{self.port}"], "open_metrics": True},
            "store": {"path": str(folder / "pollhook.db")},
            "polling": {"max_tasks": 2_000_000},
            "log": {"format": "json", "level": "warning"},
        }
        for lane in lanes:
            written |= lane.tables()
        config = folder / "config.toml"
        config.touch(0o600)
        config.write_text("\n".join(_toml(name, table) for name, table in (written | tables).items()))
        self._words = ("daemon", "serve", "--config", str(config))

    def start(self, *, sampled: Path | None = None) -> float:
        """Start the daemon; return the seconds from exec to the first 200 of ``/readyz``.

        With *sampled* it runs under ``benchmarks.sampled``, which writes there.
        """
        under = () if sampled is None else ("benchmarks.sampled", str(sampled))
        command = (sys.executable, "-m", *under, *self._words)
        began = time.monotonic()
        environ = {key: value for key, value in os.environ.items() if not key.startswith((*OURS, UNCOMPILED))}
        self.child = Child(command, UNDER_TEST, log=self.log, env=environ)
        while not self._is_ready():
            if self.child.process.poll() is not None or time.monotonic() - began > READY_SECONDS:
                raise RuntimeError(f"the daemon is not ready; its log ends:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.005)
        return time.monotonic() - began

    @property
    def process(self) -> Child:
        """The running process."""
        assert self.child is not None
        return self.child

    @property
    def token(self) -> str:
        """The API token, once the daemon has made it."""
        return (self.folder / "api-token").read_text().strip()

    def register(self, lane: str, count: int, *, over: float, lead: float = 0.0, endpoint: str | None = None) -> None:
        """Register *count* tasks whose first polls spread evenly over *over* seconds, *lead* seconds from now."""
        dice = random.Random(f"{lane}/{count}")  # noqa: S311 (a simulation)
        webhook = None if endpoint is None else {"endpoint": endpoint}
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        began = time.monotonic()
        for start in range(0, count, BATCH):
            left = max(0.0, lead - (time.monotonic() - began))
            tasks = [
                {"provider": lane, "remote_id": f"t{n}", "model": "m", "webhook": webhook,
                 "first_poll_after": round(left + dice.random() * over, 4)}
                for n in range(start, min(start + BATCH, count))
            ]  # fmt: skip
            answer = self.call(line, "POST", "/v1/tasks/batch", {"tasks": tasks})
            worst = max(item["status"] for item in answer["data"])
            assert worst == 201, answer["data"][0]
        line.close()

    def call(self, line: http.client.HTTPConnection, method: str, path: str, body: object = None) -> dict:  # type: ignore[type-arg]  # JSON
        """Make one API call."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        line.request(method, path, None if body is None else json.dumps(body).encode(), headers)
        response = line.getresponse()
        raw = response.read()
        assert response.status < 300, (response.status, raw[:500])
        answer: dict = json.loads(raw)  # type: ignore[type-arg]  # JSON
        return answer

    def metrics(self) -> str:
        """Return ``/metrics`` as text."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        line.request("GET", "/metrics")
        text = line.getresponse().read().decode()
        line.close()
        return text

    def stop(self) -> None:
        """Ask the daemon to end."""
        self.process.stop()

    def _is_ready(self) -> bool:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            line.request("GET", "/readyz")
            return line.getresponse().status == 200
        except OSError:
            return False
        finally:
            line.close()

    def __enter__(self) -> Self:
        """Return the daemon, not yet started."""
        return self

    def __exit__(self, *failure: object) -> None:
        """End it, however it stands."""
        if self.child is not None:
            self.child.kill()


def _toml(name: str, table: Mapping[str, object]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""])
