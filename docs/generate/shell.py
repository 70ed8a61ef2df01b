"""A shell in a folder of its own, whose ids, times, ports and paths read the same at every run."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from daemon.demo.ports import free_port
from docs.generate.names import Names

HOME = "/home/you/pollhook"
PORTS = (8710, 9000, 9100)
START_SECONDS = 20.0
SETTLE = 0.7
_PROGRAMS = {"8710": "pollhook serve", "9000": "pollhook listen", "9100": "slow_provider.py"}


class Shell:
    """Runs commands one after the other; what was started with ``&`` ends with the shell."""

    def __init__(self, beside: Path) -> None:
        self._beside = beside
        self._ports = {str(port): str(free_port()) for port in PORTS}
        self._more: dict[str, str] = {}
        self._jobs: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="pollhook-docs-")
        self.home = Path(self._folder.name)
        self._names = Names(self._ports | {HOME: str(self.home)})
        for program in self._beside.glob("*.py"):
            self.write(program.name, program.read_text(encoding="utf-8"))
        return self

    def __exit__(self, *failure: object) -> None:
        for job in self._jobs:
            self._end(job, signal.SIGKILL)
        self._folder.cleanup()

    def write(self, name: str, text: str) -> None:
        """Write a file that a page shows."""
        (self.home / name).write_text(self._names.real(text), encoding="utf-8")

    def run(self, command: str) -> str:
        """Run *command* and return what it says, both streams, as a page shows it."""
        time.sleep(SETTLE)  # what a page shows next is what came of what it showed before
        if built_in := re.fullmatch(r"export (\w+)=(\S+)", command):
            self._more[built_in[1]] = self._names.real(built_in[2])
            return ""
        if built_in := re.fullmatch(r"kill (?:-(\d+) )?%(\d+)", command):
            self._end(self._jobs[int(built_in[2]) - 1], int(built_in[1] or signal.SIGTERM))
            return ""
        job = subprocess.Popen(
            ["/bin/bash", "-c", self._names.real(command).removesuffix("&")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=self.home, env=self._environ(), start_new_session=True,
        )  # fmt: skip
        if command.endswith("&"):
            self._jobs.append(job)
            self._await_start(command)
            return ""
        said, _ = job.communicate(timeout=60)
        return self._names.shown(said)

    def _end(self, job: subprocess.Popen[str], number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(job.pid, number)
        job.wait()

    def _environ(self) -> dict[str, str]:
        tools = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        return {
            "PATH": tools,
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "COLUMNS": "110",
            "TZ": "UTC",
            "NO_COLOR": "1",
            **self._more,
        }

    def _await_start(self, command: str) -> None:
        """Wait until what was started in the background takes connections, where it has a port."""
        port = next((real for shown, real in self._ports.items() if _PROGRAMS[shown] in command), None)
        deadline = time.monotonic() + START_SECONDS
        while port is not None and not _is_open(int(port)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not up within {START_SECONDS:g} s: {command}")
            time.sleep(0.05)


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True
