"""A Debian root booted by systemd-nspawn: a real systemd as PID 1, entered by nsenter."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

BOOT_SECONDS = 60.0
NSPAWN = (
    "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe", "--settings=no",
    "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--machine=pollhook-boot",
)  # fmt: skip


class Machine:
    """Booted on entry, powered off on exit; ``run`` runs a command in it as root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.console = root.with_suffix(".console")
        self.pid = 0

    def __enter__(self) -> Self:
        with self.console.open("wb") as console:
            self._nspawn = subprocess.Popen(
                [*NSPAWN, "--directory", str(self.root)], stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        deadline = time.monotonic() + BOOT_SECONDS
        while self._state() not in ("running", "degraded"):
            assert self._nspawn.poll() is None, self.console.read_text()[-3000:]
            assert time.monotonic() < deadline, self.console.read_text()[-3000:]
            time.sleep(0.1)
        return self

    def __exit__(self, *failure: object) -> None:
        self.run("systemctl", "poweroff", "--no-block", check=False)
        try:
            self._nspawn.wait(15)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()

    def run(self, *command: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        clean = ["env", "-i", "PATH=/opt/pollhook/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "SYSTEMD_PAGER="]
        done = subprocess.run(
            [*enter, "--root", "--wd=/", *clean, *command],
            capture_output=True, text=True, timeout=90, check=False, **more,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def inside(self, path: str) -> Path:
        """Where *path* of the machine is seen from outside, mounts and all."""
        return Path(f"/proc/{self.pid}/root{path}")

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Return properties of a unit."""
        said = self.run("systemctl", "show", unit, *(f"--property={name}" for name in names)).stdout
        return dict(line.split("=", 1) for line in said.splitlines())

    def journal(self, unit: str, *, since: str = "") -> list[dict[str, Any]]:
        """Return what the journal holds of a unit, entry by entry, the daemon's own lines read into ``said``."""
        self.run("journalctl", "--sync", check=False)
        after = [f"--after-cursor={since}"] if since else []
        lines = self.run("journalctl", "--unit", unit, "--output=json", *after).stdout.splitlines()
        entries = [json.loads(line) for line in lines]
        for entry in entries:
            text = entry.get("MESSAGE") or ""
            entry["said"] = json.loads(text) if isinstance(text, str) and text.startswith("{") else {}
        return entries

    def _state(self) -> str:
        self.pid = self.pid or next(_systemds(self._nspawn.pid), 0)
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() if self.pid else ""


def _systemds(parent: int) -> Iterator[int]:
    """The process below nspawn that calls itself systemd: PID 1 inside."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
            yield int(child)
        yield from _systemds(int(child))
