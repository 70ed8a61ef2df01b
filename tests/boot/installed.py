"""Pollhook installed in the machine, between a simulated provider and a receiver that run in the test."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

import aiohttp

from daemon.demo.plan import Pace
from daemon.demo.providers import Simulation
from daemon.demo.receiver import Receiver, is_delivered
from tests.boot.machine import Machine

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LANE = "token360"
UNITS = ("pollhook.socket", "pollhook.service")
FORGET = (
    "systemctl stop pollhook.socket pollhook.service; "
    "rm -rf /etc/pollhook/credentials/* /var/lib/private/pollhook /etc/systemd/system/pollhook.*.d/[a-z]*; "
    "systemctl daemon-reload"
)
PROGRAM = "/opt/pollhook/bin/pollhook"
SOCKET = "/run/pollhook/api.sock"
CONFIG = f"""
[delivery]
schedule = ["300ms", "500ms", "1s", "1s", "2s", "2s", "4s"]
[endpoints.default]
url = "@receiver@"
[providers.{LANE}]
base_url = "@provider@"
timeout = "2s"
rate = 200.0
burst = 50.0
concurrency = 50
min_gap = "300ms"
max_gap = "2s"
[providers.{LANE}.typical]
duration = "1s"
"""


class Installed:
    """A fresh installation on entry: units, configuration, credentials, no state."""

    def __init__(self, machine: Machine, pace: Pace) -> None:
        self.machine = machine
        self.simulation = Simulation(seed=1, pace=pace, names=[LANE])
        self.receiver = Receiver(SECRET)
        self.config = machine.inside("/etc/pollhook/config.toml")
        self.drop_ins = machine.inside("/etc/systemd/system/pollhook.service.d")

    async def __aenter__(self) -> Self:
        await self.simulation.__aenter__()
        await self.receiver.__aenter__()
        connector = aiohttp.UnixConnector(path=str(self.machine.inside(SOCKET)), force_close=True)
        self.session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=40))
        self._lay_down()
        return self

    async def __aexit__(self, *failure: object) -> None:
        self.machine.run("systemctl", "stop", *UNITS, check=False)
        await self.session.close()
        await self.receiver.__aexit__()
        await self.simulation.__aexit__()

    @property
    def provider(self) -> Any:
        return self.simulation.providers[LANE]

    def _lay_down(self) -> None:
        run = self.machine.run
        run("sh", "-c", FORGET)
        self._cursor = run("journalctl", "--lines=1", "--output=export").stdout.partition("__CURSOR=")[2].split("\n")[0]
        run("systemctl", "reset-failed")
        self.write_config(CONFIG)
        self.write_credential(f"providers__{LANE}__api_key", self.provider.key)
        self.write_credential("endpoints__default__secret", SECRET)

    def write_config(self, text: str) -> None:
        text = text.replace("@receiver@", self.receiver.url).replace("@provider@", self.provider.base_url)
        self.config.write_text(text)
        self.config.chmod(0o644)

    def write_credential(self, name: str, text: str) -> None:
        file = self.machine.inside(f"/etc/pollhook/credentials/{name}")
        file.write_text(text + "\n")
        file.chmod(0o600)

    def drop_in(self, name: str, text: str) -> None:
        self.drop_ins.mkdir(exist_ok=True)
        (self.drop_ins / f"{name}.conf").write_text(text)
        self.machine.run("systemctl", "daemon-reload")

    async def start(self) -> None:
        """Start socket and service; returns when systemd calls it started, raises where it does not."""
        await asyncio.to_thread(self.machine.run, "systemctl", "start", *UNITS)

    async def systemctl(self, *arguments: str, check: bool = True) -> str:
        done = await asyncio.to_thread(self.machine.run, "systemctl", *arguments, check=False)
        assert not check or done.returncode == 0, f"{arguments}: {done.stderr}\n{self.journal_end()}"
        return done.stdout + done.stderr

    def journal(self) -> list[dict[str, Any]]:
        """What the journal holds of the service since this installation was laid down."""
        return self.machine.journal("pollhook.service", since=self._cursor)

    def journal_end(self) -> str:
        return "\n".join(str(entry.get("MESSAGE")) for entry in self.journal()[-25:])

    def state(self, *names: str) -> dict[str, str]:
        return self.machine.show("pollhook.service", *names)

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.session.request(method, f"http://localhost{path}", json=body) as answer:
            raw = await answer.read()
            return answer.status, json.loads(raw) if "json" in answer.headers.get("Content-Type", "") else raw

    async def register(self, count: int = 1) -> list[dict[str, Any]]:
        tasks = []
        for _ in range(count):
            job = self.provider.create()
            body = {"provider": LANE, "remote_id": job.id, "model": job.model}
            status, task = await self._again("POST", "/v1/tasks", body)
            assert status in (200, 201), task
            tasks.append(task)
        return tasks

    async def _again(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Make a call, once more where the daemon went away under it; a connection that is refused is a failure."""
        try:
            return await self.call(method, path, body)
        except aiohttp.ClientConnectorError:
            raise
        except aiohttp.ClientError:
            return await self.call(method, path, body)

    def delivered(self) -> set[str]:
        """The tasks whose end has arrived, signed as it should be."""
        assert {arrival["complaint"] for arrival in self.receiver.arrivals} <= {None}
        return {arrival["task_id"] for arrival in self.receiver.arrivals if is_delivered(arrival)}

    async def until(self, claim: Any, seconds: float = 30.0, what: str = "it") -> None:
        try:
            async with asyncio.timeout(seconds):
                while not await asyncio.to_thread(claim):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{what} did not come true in {seconds} s; journal:\n{self.journal_end()}") from None

    def said(self, event: str) -> list[dict[str, Any]]:
        entries = self.journal()
        return [entry["said"] for entry in entries if entry["said"].get("event") == event]
