"""The rig of the end-to-end tests, its daemon forked from a nursery and told where to die."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

from daemon.demo.ports import free_port
from tests.crash.points import ARRIVALS
from tests.crash.world import LIFE
from tests.e2e.rig import Rig

ROOT = Path(__file__).parents[2]


def shim() -> Path:
    """Return the shim, compiled once; in a folder whose name has no blank, at which the loader would cut it."""
    source = Path(__file__).with_name("shim.c")
    mark = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    built = Path("/tmp") / f"pollhook-shim-{os.getuid()}-{mark}" / "shim.so"
    if not built.exists():
        built.parent.mkdir(mode=0o700, exist_ok=True)
        aside = built.with_name(f"shim.{os.getpid()}.so")
        command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-o", str(aside), str(source), "-ldl", "-lpthread"]
        subprocess.run(command, check=True)
        aside.replace(built)
    return built


class Nursery:
    """The process that daemons are forked from."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ or {}
        self._process: asyncio.subprocess.Process | None = None
        self._born: asyncio.Queue[int] = asyncio.Queue()
        self._ends: dict[int, asyncio.Future[int]] = {}

    async def __aenter__(self) -> Self:
        own = {k: v for k, v in os.environ.items() if not k.startswith("POLLHOOK_")}
        environ = own | self._environ | {"LD_PRELOAD": str(shim())}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.crash.nursery",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=environ,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._hear(), name="nursery")
        return self

    async def __aexit__(self, *failure: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reader

    async def fork(self, **told: Any) -> tuple[int, asyncio.Future[int]]:
        """Start a daemon; return its process id and the future of its exit status."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write((json.dumps(told) + "\n").encode())
        pid = await self._born.get()
        return pid, self._ends[pid]

    async def _hear(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            news = json.loads(line)
            if "status" in news:
                self._ends.pop(news["pid"]).set_result(news["status"])
            else:
                self._ends[news["pid"]] = asyncio.get_running_loop().create_future()
                self._born.put_nowait(news["pid"])


class CrashRig(Rig):
    """One folder, one daemon at a time; ``deaths`` are the moments at which a life, counted by starts, was killed.

    Each life says its number in a header of every webhook to a configured endpoint: what a dying daemon has sent may
    be read by the receiver only after its death was noticed, so no clock of this process tells who sent it.
    """

    def __init__(self, folder: Path, nursery: Nursery, **more: Any) -> None:
        super().__init__(folder, **more)
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}"
        self.nursery = nursery
        self.trace = folder / "trace"
        self.deaths: dict[int, float] = {}
        self.pid = 0
        self.ended: asyncio.Future[int] | None = None
        self.is_quick = True

    async def launch(self, point: str = "", n: int = 1) -> None:
        """Start the daemon, to die at the *n*-th pass of *point*; it need not be ready when this returns."""
        self.starts += 1
        self._say_life()
        inside = "" if point in ARRIVALS else point
        told = {"log": str(self.log), "config": str(self.config), "trace": str(self.trace), "quick": self.is_quick}
        self.pid, self.ended = await self.nursery.fork(**told, point=inside, n=n)
        self.ended.add_done_callback(partial(self._died, self.starts))

    def _say_life(self) -> None:
        for name in [name for name in self.tables if name.startswith("endpoints.") and name.count(".") == 1]:
            self.tables[f"{name}.headers"] = {LIFE: str(self.starts)}
        self.write_config()

    def _died(self, life: int, ended: asyncio.Future[int]) -> None:
        if ended.result() == -signal.SIGKILL:
            self.deaths[life] = time.time()

    async def start(self, *, expect_ready: bool = True) -> int | None:
        """Start the daemon with no point; return its exit status if it ended instead of becoming ready."""
        await self.launch()
        return await self.ready(expect_ready=expect_ready)

    async def ready(self, *, expect_ready: bool = True) -> int | None:
        """Wait until the daemon is ready, or gone."""
        assert self.ended is not None
        async with asyncio.timeout(30):
            while not await self.is_ready():
                if self.ended.done():
                    assert not expect_ready, self.log.read_text()[-3000:]
                    return self.ended.result()
                await asyncio.sleep(0.02)
        return None

    @property
    def is_alive(self) -> bool:
        """Whether the daemon runs."""
        return self.ended is not None and not self.ended.done()

    def kill_now(self) -> None:
        """Send SIGKILL and return at once."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)

    async def kill(self) -> None:
        """Kill the daemon and wait for its end."""
        self.kill_now()
        if self.ended is not None:
            await self.ended

    async def dies(self, seconds: float) -> bool:
        """Whether the daemon dies of its own point within *seconds*."""
        assert self.ended is not None
        done, _ = await asyncio.wait([self.ended], timeout=seconds)
        return bool(done)

    async def stop(self) -> int:
        """End the daemon by SIGTERM."""
        assert self.ended is not None
        os.kill(self.pid, signal.SIGTERM)
        async with asyncio.timeout(30):
            return await asyncio.shield(self.ended)

    async def frozen(self, target: Path) -> float:
        """Copy the state folder while the daemon is frozen; return the moment, in monotonic seconds."""
        os.kill(self.pid, signal.SIGSTOP)
        await self.until(self._is_frozen, 10, "frozen")
        at = time.monotonic()
        shutil.copytree(self.folder / "state", target, ignore=shutil.ignore_patterns("*.lock"))
        os.kill(self.pid, signal.SIGCONT)
        return at

    def _is_frozen(self) -> bool:
        threads = Path(f"/proc/{self.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)

    def passed(self) -> set[str]:
        """Return the points that any daemon came by."""
        return set(self.trace.read_text().splitlines()) - {"!"} if self.trace.exists() else set()
