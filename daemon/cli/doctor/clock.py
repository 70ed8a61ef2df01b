"""The checks of the clock: webhooks carry the time, and receivers refuse one that is five minutes off."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from daemon.cli.doctor.finding import Finding, error, note, ok, warning

CLOCK = "clock"
SLACK = 60.0
TOLERANCE = 300.0
SYNC = "turn on time synchronisation, as in `timedatectl set-ntp true`"


def clock(folder: Path, *, now_at: float) -> Iterator[Finding]:
    """Hold the clock against the files that were written before, and ask whether anything keeps it right."""
    newest = max((_written(file) for file in (*_entries(folder), Path(__file__))), default=0.0)
    if newest > now_at + SLACK:
        text = f"the clock says {_spoken(now_at)}, but files were written at {_spoken(newest)}"
        yield error(CLOCK, text, SYNC)
        return
    synchronised = _is_synchronised()
    if synchronised is False:
        yield warning(CLOCK, f"{_spoken(now_at)}, and nothing synchronises it", SYNC)
    elif synchronised is None:
        yield note(CLOCK, f"{_spoken(now_at)}; whether it is synchronised cannot be told here")
    else:
        yield ok(CLOCK, f"{_spoken(now_at)}, synchronised")


def stepped(seconds: float) -> Iterator[Finding]:
    """Say it if the wall clock moved by *seconds* against the monotonic one while the doctor looked."""
    if abs(seconds) > 1.0:
        yield warning(CLOCK, f"the clock jumped by {seconds:+.1f} s within these checks", SYNC)


def against(host: str, date: str | None, *, now_at: float) -> Iterator[Finding]:
    """Hold the clock against the Date header of a provider's answer."""
    try:
        told = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return
    off = now_at - told
    if abs(off) > SLACK / 2:
        severe = error if abs(off) > TOLERANCE else warning
        yield severe(CLOCK, f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the clock of {host}", SYNC)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _is_synchronised() -> bool | None:
    if Path("/run/systemd/timesync/synchronized").exists():
        return True
    if shutil.which("timedatectl") is None:
        return None
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 (fixed words)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(ran.stdout.strip())


def _spoken(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def drift(began: tuple[float, float]) -> float:
    """Return by how many seconds the wall clock has moved against the monotonic one since *began*, a pair of both."""
    return (time.time() - began[0]) - (time.monotonic() - began[1])
