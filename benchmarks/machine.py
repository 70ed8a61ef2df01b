"""The machine: cores to pin to, what a process has used, and what to write beside a result."""

from __future__ import annotations

import math
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")
GONE_WITHIN = 10.0
CORES = sorted(os.sched_getaffinity(0))
UNDER_TEST, SERVERS = CORES[0], CORES[-1]
"""The core of what is measured, and that of the servers and clients that measure it; the same where there is one."""


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Run, and start processes, on *core* alone for as long as the ``with`` lasts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Child:
    """A process of ours on one core; the ``with`` ends it."""

    def __init__(
        self, command: Sequence[str], core: int, *, log: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        out = subprocess.PIPE if log is None else log.open("ab")
        with pinned(core):
            self.process = subprocess.Popen(  # noqa: S603 (our own command)
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=None if log is None else out,
                env=None if env is None else dict(env), start_new_session=True,
            )  # fmt: skip
        if log is not None and not isinstance(out, int):
            out.close()

    @classmethod
    def module(cls, name: str, *words: str, core: int) -> Child:
        """Start ``python -m NAME`` whose first line on stdout says that it runs."""
        return cls((sys.executable, "-m", name, *words), core)

    def first_line(self) -> str:
        """Return the first line it says; raise where it ends without one."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode().strip()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()} before it said anything")
        return line

    @property
    def cpu(self) -> float:
        """Seconds of processor time it has used, in user and kernel mode."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def rss(self) -> float:
        """Bytes of memory it holds."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024.0
        return 0.0

    def freeze(self) -> None:
        """Stop the process where it stands, so that another has its core."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def stop(self) -> None:
        """Ask it to end; one that does not is killed."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GONE_WITHIN)
        self.kill()

    def __enter__(self) -> Self:
        """Return the process itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """End it."""
        self.kill()


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of *values* that at least *share* of them do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))] if ordered else math.nan


def middle(values: Sequence[float]) -> float:
    """Return the median; NaN of none."""
    return median(values) if values else math.nan


def machine() -> dict[str, object]:
    """Return what the numbers depend on."""
    return {
        "processor": _processor(),
        "cores": len(CORES),
        "pinned": len(CORES) > 1,
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    """Return the versions of what took part."""
    found = {"python": platform.python_version()}
    for name in ("pollhook", "aiohttp", "uvloop", "httpx", "aiosqlite", "pydantic"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
