"""The daemon under test: its config file, and the real process that is started, killed and started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp

from daemon.demo.customer import Account
from daemon.demo.ports import free_port

IN_FLIGHT = 10
READY_SECONDS = 15.0
DRAIN_SECONDS = 5.0
LOG_TAIL = 2000
_OURS = ("POLLHOOK_", "LISTEN_")
_SYSTEMD = frozenset(
    {"CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC"}
)


class DaemonDown(Exception):
    """The daemon did not become ready; the text ends with the end of its log."""


class House:
    """One daemon in *folder*, with a lane per account and one endpoint ``default``."""

    def __init__(self, folder: Path, accounts: Sequence[Account], hook_url: str, secret: str) -> None:
        self.api_url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder
        self._config = folder / "config.toml"
        self._log = folder / "daemon.log"
        self._process: asyncio.subprocess.Process | None = None
        self._config.touch(0o600)
        self._config.write_text(self._written(accounts, hook_url, secret))

    @property
    def token(self) -> str:
        """The API token, once the daemon has made it."""
        return (self._folder / "api-token").read_text().strip()

    async def start(self, session: aiohttp.ClientSession) -> float:
        """Start the daemon and return the seconds until it said that it is ready."""
        began = time.monotonic()
        command = (sys.executable, "-m", "daemon", "serve", "--config", str(self._config))
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=_plain(os.environ),
                start_new_session=True,
            )  # fmt: skip
        while not await self._is_ready(session):
            if self._process.returncode is not None or time.monotonic() - began > READY_SECONDS:
                raise DaemonDown(f"the daemon is not ready after {READY_SECONDS:g} s; its log ends:\n{self.log_tail()}")
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def kill(self) -> None:
        """End the daemon as a power cut would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> int:
        """Ask the daemon to drain and end, and return its exit status; one that does not is killed."""
        if self._process is None:
            return 0
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), DRAIN_SECONDS)
            except TimeoutError:
                await self.kill()
        return self._process.returncode or 0

    def log_tail(self) -> str:
        """Return the end of the daemon's log."""
        return self._log.read_text(errors="replace")[-LOG_TAIL:]

    def troubles(self) -> list[str]:
        """Return what the daemon's log calls an error, each kind of it once."""
        found: dict[str, None] = {}
        for line in self._log.read_text(errors="replace").splitlines():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if said.get("level") in ("error", "critical"):
                reason = str(said.get("why") or said.get("exception", "")).strip()
                found[f"{said.get('event')}: {reason.splitlines()[-1] if reason else 'no reason given'}"] = None
        return list(found)

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(self.api_url + "/readyz", timeout=aiohttp.ClientTimeout(total=2.0)) as response:
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _written(self, accounts: Sequence[Account], hook_url: str, secret: str) -> str:
        tables = [
            _table("server", {"listen": [self.api_url.removeprefix("http://")]}),
            _table("store", {"path": str(self._folder / "pollhook.db")}),
            _table("delivery", {"schedule": ["500ms", "1s", "1s", "2s", "2s", "4s", "4s", "8s"]}),
            _table("log", {"format": "json"}),
            _table("endpoints.default", {"url": hook_url, "secret": secret, "concurrency": IN_FLIGHT}),
        ]
        for account in accounts:
            lane = {"api_key": account.key, "base_url": account.base_url, "timeout": "2s"}
            pace = {"rate": 40.0, "burst": 20.0, "concurrency": 20, "min_gap": "500ms", "max_gap": "2s"}
            tables.append(_table(f"providers.{account.dialect.name}", lane | pace))
            tables.append(_table(f"providers.{account.dialect.name}.typical", {"duration": "9s"}))
        return "\n".join(tables)


def _table(name: str, values: Mapping[str, object]) -> str:
    """Return a TOML table; JSON's texts, numbers and lists of them are TOML's, too."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    return "\n".join((f"[{name}]", *lines, ""))


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would configure or be told a daemon of its own."""
    return {name: value for name, value in environ.items() if not name.startswith(_OURS) and name not in _SYSTEMD}
