"""The daemon under the soak: its config, its process, its API and what can be read of it from outside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.scraped import lateness
from daemon.demo.ports import free_port

READY_SECONDS = 30.0


class House:
    """One daemon in *folder* with the config *tables*."""

    def __init__(self, folder: Path, tables: dict[str, dict[str, Any]]) -> None:
        self.folder = folder
        self.database = folder / "pollhook.db"
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None
        self.log = folder / "daemon.log"
        ours: dict[str, dict[str, Any]] = {
            "server": {"listen": [f"127.0.0.1:{self.port}"], "open_metrics": True},
            "store": {"path": str(self.database)},
            "log": {"format": "json", "level": "warning"},
        }
        config = folder / "config.toml"
        config.touch(0o600)
        config.write_text("\n".join(_toml(name, table) for name, table in (ours | tables).items()))

    async def start(self, session: aiohttp.ClientSession) -> None:
        """Start the daemon and wait until it is ready."""
        self.session = session
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("POLLHOOK_", "OTEL_"))}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "daemon", "serve", "--config", str(self.folder / "config.toml"),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environ,
            )  # fmt: skip
        async with asyncio.timeout(READY_SECONDS):
            while not await self._is_ready():
                assert self.process.returncode is None, self.log.read_text()[-3000:]
                await asyncio.sleep(0.05)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Make one API call with the token."""
        token = (self.folder / "api-token").read_text().strip()
        asked = {"Authorization": f"Bearer {token}", **{key.replace("_", "-"): v for key, v in headers.items()}}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, json=body, headers=asked) as answer:
            raw = await answer.read()
            return answer.status, json.loads(raw) if "json" in answer.headers.get("Content-Type", "") else raw.decode()

    async def metrics(self) -> str:
        """Return what ``/metrics`` says."""
        async with self.session.get(f"http://127.0.0.1:{self.port}/metrics") as answer:
            return await answer.text()

    def rss(self) -> float:
        """Return the MiB of memory that the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def descriptors(self) -> int:
        """Return how many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def wal(self) -> float:
        """Return the MiB of the write-ahead log."""
        path = self.database.with_name(self.database.name + "-wal")
        return path.stat().st_size / 2**20 if path.exists() else 0.0

    async def stop(self) -> int:
        """Ask it to end; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(40):
            return await self.process.wait()

    async def kill(self) -> None:
        """End it, however it stands."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def _is_ready(self) -> bool:
        try:
            async with self.session.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


def total(text: str, name: str, label: str = "") -> float:
    """Return the sum of the samples of *name* in a scrape, of those whose labels hold *label*."""
    lines = re.findall(rf"^{name}(?:\{{([^}}]*)\}})? ([0-9.e+-]+)$", text, re.MULTILINE)
    return sum(float(value) for labels, value in lines if label in labels)


def late_by(text: str, lanes: list[str]) -> Counter[float]:
    """Return the histogram of the lateness of polls of all *lanes*."""
    return lateness(text, set(lanes))


def now() -> float:
    """Return monotonic seconds."""
    return time.monotonic()


def _toml(name: str, table: dict[str, Any]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""])
