"""The real daemon as a process, between simulated providers and a verifying receiver that run in the test."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Self

import aiohttp

from daemon.demo.plan import Faults, Pace
from daemon.demo.ports import free_port
from daemon.demo.providers import Simulation
from daemon.demo.receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
READY_SECONDS = 20.0
LANE = {"timeout": "2s", "rate": 200.0, "burst": 50.0, "concurrency": 50, "min_gap": "300ms", "max_gap": "2s"}


class Rig:
    """A folder, five simulated providers, a receiver, and the daemon started, killed and asked at will."""

    def __init__(
        self, folder: Path, *, seed: int = 1, faults: Faults | None = None, pace: Pace | None = None, **more: Any
    ):
        self.folder = folder
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}"
        self.simulation = Simulation(seed=seed, faults=faults, pace=pace, speed=more.pop("speed", 1.0))
        self.receiver = Receiver(SECRET, fail_rate=more.pop("fail_rate", 0.0), seed=seed)
        self.tables: dict[str, dict[str, Any]] = more.pop("tables", {})
        self.process: asyncio.subprocess.Process | None = None
        self.starts = 0
        self.under: list[str] = []
        self.program = ["-m", "daemon"]
        self.environ: dict[str, str] = {}
        self.log = folder / "daemon.log"
        self.config = folder / "config.toml"

    async def __aenter__(self) -> Self:
        await self.simulation.__aenter__()
        await self.receiver.__aenter__()
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=70))
        self.write_config()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.kill()
        await self.session.close()
        await self.receiver.__aexit__()
        await self.simulation.__aexit__()

    def write_config(self, **changes: dict[str, Any]) -> None:
        tables: dict[str, dict[str, Any]] = {
            "server": {"listen": [f"127.0.0.1:{self.port}"]},
            "store": {"path": str(self.folder / "state" / "pollhook.db")},
            "delivery": {"schedule": ["300ms", "500ms", "1s", "1s", "2s", "2s", "4s", "4s"]},
            "endpoints.default": {"url": self.receiver.url, "secret": SECRET, "concurrency": 20},
        }
        for name, url in self.simulation.base_urls.items():
            tables[f"providers.{name}"] = {"api_key": self.simulation.keys[name], "base_url": url} | LANE
            tables[f"providers.{name}.typical"] = {"duration": "2s"}
        for name, table in {**self.tables, **changes}.items():
            tables[name] = {k: v for k, v in (tables.get(name, {}) | table).items() if v is not None}
        self.config.write_text("\n".join(_toml(name, table) for name, table in tables.items()))

    async def start(self, *, expect_ready: bool = True) -> int | None:
        """Start the daemon; return its exit code if it ended instead of becoming ready."""
        self.starts += 1
        environ = {k: v for k, v in os.environ.items() if not k.startswith("POLLHOOK_")} | self.environ
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.under, sys.executable, *self.program, "serve", "--config", str(self.config),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environ,
            )  # fmt: skip
        async with asyncio.timeout(READY_SECONDS):
            while not await self.is_ready():
                if self.process.returncode is not None:
                    assert not expect_ready, self.log.read_text()[-3000:]
                    return self.process.returncode
                await asyncio.sleep(0.02)
        return None

    async def is_ready(self) -> bool:
        try:
            async with self.session.get(f"{self.api}/readyz", timeout=aiohttp.ClientTimeout(total=2)) as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self.process.wait()

    def reload(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    @property
    def token(self) -> str:
        return (self.folder / "state" / "api-token").read_text().strip()

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Make one API call; raises aiohttp.ClientError while the daemon is down."""
        asked = {"Authorization": f"Bearer {self.token}", **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with self.session.request(method, self.api + path, json=body, headers=asked) as answer:
            raw = await answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, json.loads(raw) if is_json else raw

    async def surely(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Make one API call, again and again while the daemon is down."""
        while True:
            try:
                return await self.call(method, path, body, **headers)
            except (aiohttp.ClientError, TimeoutError, FileNotFoundError):
                await asyncio.sleep(0.05)

    async def all_events(self) -> list[dict[str, Any]]:
        """Read the whole pull feed."""
        events: list[dict[str, Any]] = []
        after = None
        while True:
            query = f"&after={after}" if after else ""
            status, page = await self.call("GET", f"/v1/events?limit=500{query}")
            assert status == 200, page
            events += page["data"]
            if not page["data"]:
                return events
            after = page["next"]

    async def until(self, claim: Any, seconds: float = 30.0, what: str = "it") -> None:
        """Wait until *claim* (a function, maybe async) holds; polls a condition that the outside alone can show."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    holds = claim()
                    if await holds if asyncio.iscoroutine(holds) else holds:
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(
                f"{what} did not come true in {seconds} s; log:\n{self.log.read_text()[-4000:]}"
            ) from None

    def log_lines(self, event: str) -> list[dict[str, Any]]:
        found = []
        for line in self.log.read_text().splitlines():
            if line.startswith("{") and f'"{event}"' in line:
                said = json.loads(line)
                if said["event"] == event:
                    found.append(said)
        return found


def _toml(name: str, table: dict[str, Any]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""])
