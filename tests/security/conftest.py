"""The real daemon as a neighbour meets it: a process, raw bytes on its socket, its files on the disk."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from daemon.demo.ports import free_port

READY_SECONDS = 30.0


@dataclass
class Daemon:
    """One daemon in *folder*; its state lies in ``state`` there."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> str:
        return (self.folder / "daemon.log").read_text(errors="replace")

    @property
    def token(self) -> str:
        return (self.state / "api-token").read_text().strip()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def write_config(self, tables: dict[str, dict[str, Any]]) -> None:
        self.port = self.port or free_port()
        whole = {
            "server": {"listen": [self.host]},
            "store": {"path": str(self.state / "pollhook.db")},
            "log": {"format": "json"},
        }
        for name, table in tables.items():
            whole[name] = whole.get(name, {}) | table
        path = self.folder / "config.toml"
        path.touch(0o600)
        lines = [
            line
            for name, table in whole.items()
            for line in (f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in table.items()), "")
        ]
        path.write_text("\n".join(lines))

    def run(self) -> int | None:
        """Start it; return its exit status if it ends instead of becoming ready."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("POLLHOOK_", "OTEL_"))} | self.environ
        with (self.folder / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "daemon", "serve", "--config", str(self.folder / "config.toml")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ,
            )  # fmt: skip
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                return self.process.returncode
            try:
                if self.ask("GET", "/readyz")[0] == 200:
                    return None
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready: {self.log[-2000:]}")

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Make one call as a well-behaved caller with the token."""
        raw = b"" if body is None else json.dumps(body).encode()
        try:
            token = {"Authorization": f"Bearer {self.token}"}
        except FileNotFoundError:
            token = {}
        given = {
            "Host": self.host,
            "Connection": "close",
            **token,
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        if body is not None:
            given |= {"Content-Type": "application/json", "Content-Length": str(len(raw))}
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in given.items()), "", ""])
        status, answer = self.raw(head.encode() + raw, seconds=70)
        content = answer.partition(b"\r\n\r\n")[2]
        return status, json.loads(content) if content[:1] in b"{[" and content else content

    def raw(self, request: bytes, *, seconds: float = 15.0) -> tuple[int, bytes]:
        """Send bytes; return the first status and all that comes until the line is closed, (0, …) where none does."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as line:
            answer = b""
            try:
                line.sendall(request)
                while part := line.recv(65536):
                    answer += part
            except (ConnectionError, TimeoutError):
                pass
        match = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
        return int(match[1]) if match else 0, answer

    def tasks(self) -> int:
        """Return how many tasks are watched."""
        return len(self.ask("GET", "/v1/tasks?limit=500")[1]["data"])


MINE: dict[str, dict[str, Any]] = {
    "providers.mine": {"api_key": "sk-mine-0123456789abcdef", "base_url": "http://127.0.0.1:9/v1", "deadline": "1d"},
    "providers.mine.status": {"request": "GET /{id}", "state": "status"},
    "providers.mine.status.states": {"running": ["in_progress"], "succeeded": ["completed"], "failed": ["failed"]},
    "providers.mine.status.fields": {"outputs": "url", "error_message": "error"},
    "providers.mine.submission": {"id": "id", "status_url": "status_url"},
    "providers.mine.typical": {"duration": "6h"},
}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Daemon]]:
    """Return a function that starts a daemon with these tables beside a provider ``mine`` that nobody polls soon."""
    made: list[Daemon] = []

    def begin(**tables: dict[str, Any]) -> Daemon:
        daemon = Daemon(tmp_path_factory.mktemp("daemon"))
        made.append(daemon)
        named = {name.replace("__", "."): table for name, table in tables.items()}
        daemon.write_config(MINE | {name: MINE.get(name, {}) | table for name, table in named.items()})
        status = daemon.run()
        assert status is None, daemon.log[-3000:]
        return daemon

    yield begin
    for daemon in made:
        daemon.stop()
