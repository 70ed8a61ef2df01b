"""The session on a fresh Debian that the documentation shows, played in the booted machine and compared.

``POLLHOOK_WRITE_TRANSCRIPT=1`` writes what the commands said into the page.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from daemon.demo.plan import Pace
from daemon.demo.providers import Simulation
from docs.generate.console import played_by
from docs.generate.names import Names
from tests.boot.installed import FORGET
from tests.boot.machine import Machine

PAGE = Path(__file__).parents[2] / "docs/tutorial/fresh-debian.md"
FENCE = "console as root"
LANES = ("amux", "token360")
JOBS = ("ed4dff2302eb883a", "vid-a7e2862455cf638f", "93f8914f96e7f7c9")
TIMEOUT = 300  # seconds: pip installs twice, and eight tasks run their time
PACE = Pace(queued=(0.0, 0.1), running=(3.0, 5.0), failing=0.0, canceled=0.0)
SETTLE = 1.0


class Console:
    """Root's shell in the machine."""

    def __init__(self, machine: Machine, names: Names) -> None:
        self._machine = machine
        self._names = names

    def run(self, command: str) -> str:
        time.sleep(SETTLE)  # what is shown next is what came of what was shown before
        script = f"export COLUMNS=110 HOME=/root; cd /root; exec 2>&1\n{self._names.real(command)}"
        return self._names.shown(self._machine.run("bash", "-c", script, check=False).stdout)

    def write(self, name: str, text: str) -> None:
        self._machine.inside(name).write_text(self._names.real(text), encoding="utf-8")


@pytest.mark.timeout(TIMEOUT)
async def test_the_session_on_a_fresh_debian_goes_as_the_documentation_shows(machine):
    machine.run("pollhook", "uninstall", "--apply", "--purge", check=False)
    machine.run(
        "sh",
        "-c",
        f"cd /root; {FORGET}; rm -rf /etc/pollhook /usr/local/bin/pollhook; /opt/pollhook/bin/pip -q uninstall -y pollhook",
    )
    machine.run("sh", "-c", "journalctl --rotate; sleep 2; journalctl --vacuum-time=1s")  # other tests wrote there, too
    before = PAGE.read_text(encoding="utf-8")

    async with Simulation(seed=1, pace=PACE, names=LANES) as simulation:
        providers = [simulation.providers[name] for name in LANES]
        jobs = [providers[number % 2].create().id for number in range(len(JOBS))]
        given = {f"http://127.0.0.1:910{number}": provider.base_url for number, provider in enumerate(providers)}
        given |= {f"key-of-{provider.dialect.name}": provider.key for provider in providers}
        given |= dict(zip(JOBS, jobs, strict=True))
        now = await asyncio.to_thread(played_by, Console(machine, Names(given)), before, FENCE, "#")

    if os.environ.get("POLLHOOK_WRITE_TRANSCRIPT"):
        PAGE.write_text(now, encoding="utf-8")
    assert now == before, "the page is stale; make docs-transcript writes it anew"
