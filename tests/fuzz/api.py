"""Schemathesis over ``/openapi.json`` on the running daemon, every check on; what a schema cannot say is excused by name.

It runs in an environment of its own, ``build/fuzz``, made by ``make fuzz`` from ``requirements.txt`` beside this file.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from pathlib import Path

import aiohttp
import uvloop

from tests.fuzz.cases import Part
from tests.fuzz.requests import TABLES
from tests.soak.house import House, total

HERE = Path(__file__).parent
TOOL = HERE.parents[1] / "build" / "fuzz" / "bin" / "st"
GROWTH_MIB = 120.0


def api(part: Part, seconds: float, case: int | None) -> None:
    """Run it."""
    del case
    if not TOOL.exists():
        part.fail(None, f"{TOOL} is not there; `make fuzz` installs it")
        return
    with (
        tempfile.TemporaryDirectory(prefix="pollhook-fuzz-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_api(part, seconds, Path(folder)))


async def _api(part: Part, seconds: float, folder: Path) -> None:
    house = House(folder, TABLES)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        try:
            await house.start(session)
            await _furnish(house)
            low = house.rss()
            told = await asyncio.to_thread(_run, house, part.seed, seconds, folder)
            await _judge(part, house, low, told)
        finally:
            await house.kill()


async def _furnish(house: House) -> None:
    """Leave something of each kind to be found."""
    forms = [{"provider": "mine", "remote_id": f"r{n}", "metadata": {"n": n}} for n in range(30)]
    status, _ = await house.call("POST", "/v1/tasks/batch", {"tasks": forms})
    assert status == 200
    await house.call("PUT", "/v1/endpoints/made", {"url": "https://example.com/hook"})
    await house.call("POST", "/v1/endpoints/default/test")


def _run(house: House, seed: int, seconds: float, folder: Path) -> subprocess.CompletedProcess[str]:
    token = (house.folder / "api-token").read_text().strip()
    base = f"http://127.0.0.1:{house.port}"
    command = [
        str(TOOL), "--config-file", str(HERE / "schemathesis.toml"), "run", f"{base}/openapi.json", "--header",
        f"Authorization: Bearer {token}", "--checks", "all", "--seed", str(seed), "--max-time", str(max(10, round(seconds))),
        "--max-examples", "25" if seconds < 120 else "300", "--workers", "4", "--request-timeout", "70", "--continue-on-failure",
        "--output-sanitize", "false", "--warnings", "off",
    ]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=seconds + 240)


async def _judge(part: Part, house: House, low: float, told: subprocess.CompletedProcess[str]) -> None:
    text = await house.metrics()
    cases = re.search(r"(\d+) generated", told.stdout)
    part.tried = int(cases[1]) if cases else 0
    high = house.rss()
    part.facts |= {
        "RSS MiB before and after": (round(low), round(high)),
        "stalls over 50 ms": total(text, "pollhook_loop_stall_seconds_count"),
    }
    if told.returncode != 0:
        found = (
            told.stdout[told.stdout.find("= FAILURES") :]
            if "= FAILURES" in told.stdout
            else told.stdout[-3000:] + told.stderr[-2000:]
        )
        part.fail(None, f"schemathesis says\n{found[:20000]}")
    if high - low > GROWTH_MIB:
        part.fail(None, f"memory grew from {low:.0f} to {high:.0f} MiB")
    status = await house.stop()
    log = house.log.read_text()
    if status != 0 or "Traceback" in log or total(text, "pollhook_work_crashes_total"):
        part.fail(None, f"exit {status}; {log[-1500:]}")
