"""What clients ask of the daemon while it is killed again and again; each asks until it is answered, as it would.

A bouquet is one of everything: registrations of each kind, a batch under a key, an end by the client, and an endpoint
that is written, disabled, enabled, rotated, replayed and deleted. What was acknowledged is kept for the audit.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from daemon.core.wall import rfc3339
from tests.crash.rig import CrashRig
from tests.crash.world import MINE, Job, World, body_of, shown

ALWAYS = frozenset({"plain", "failing", "telling", "paid", "batch"})
SAVING = frozenset({"inline", "saved", "held", "barred", "mute"})
ENDPOINT = frozenset({"endpoint"})
WANTED = {
    "rechecks.": frozenset({"late", "gone"}),
    "ledger.save_lanes": frozenset({"throttled"}),
    "ledger.save_failing": frozenset({"down"}),
    "watchlist.stop": frozenset({"stop"}),
    "watchlist.withdraw": frozenset({"deferred"}),
    **dict.fromkeys(("saves.", "shelf.", "fetcher.", "file", "output"), SAVING),
    **dict.fromkeys(
        ("endpoints.", "outbox.p", "outbox.unpark", "outbox.redeliver", "outbox.owe", "ledger.save_dis"), ENDPOINT
    ),
}
"""What it takes to come by a point, beside what is always asked: by how its name begins."""

EVERYTHING = ALWAYS.union(*WANTED.values())
DOWNS = 6


def wanted(point: str) -> frozenset[str]:
    """Return what has to be asked for a daemon to come by *point*."""
    return ALWAYS.union(*(kinds for start, kinds in WANTED.items() if point.startswith(start)))


def secret_of(label: str) -> str:
    """Return a signing secret of *label*'s own."""
    return "whsec_" + base64.b64encode(hashlib.sha256(label.encode()).digest()).decode()


@dataclass(slots=True)
class Acknowledged:
    """What the daemon has promised: tasks by their remote id, those it was told to stop, events to be sent again."""

    tasks: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    stopped: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)
    repeated_of: set[str] = field(default_factory=set)
    aged: set[str] = field(default_factory=set)
    troubles: list[str] = field(default_factory=list)
    answers: int = 0
    at: dict[str, float] = field(default_factory=dict)
    stopped_at: dict[str, float] = field(default_factory=dict)


class Load:
    """The clients of one rig."""

    def __init__(self, rig: CrashRig, world: World, promised: Acknowledged) -> None:
        self._rig = rig
        self._world = world
        self._promised = promised
        self._one_at_a_time = asyncio.Lock()
        self._queued = 0

    async def bouquet(self, label: str, kinds: frozenset[str] = EVERYTHING) -> None:
        """Ask for one of each of *kinds*."""
        whole = {"batch": self._batch, "stop": self._stop, "down": self._down, "endpoint": self._endpoint}
        singles = [self.register(self._world.create(kind, label)) for kind in sorted(kinds - whole.keys())]
        await asyncio.gather(*singles, *(whole[kind](label) for kind in sorted(kinds & whole.keys())))

    async def register(self, job: Job) -> str:
        """Register *job* until it is answered; return its task."""
        task = await self._expect((200, 201), "POST", "/v1/tasks", body_of(job))
        self._promised.tasks[job.id].add(task["id"])
        self._promised.at.setdefault(task["id"], time.monotonic())
        return str(task["id"])

    async def _batch(self, label: str) -> None:
        jobs = [self._world.create("plain", f"{label}-b{n}") for n in range(3)]
        asked = {"tasks": [body_of(job) for job in jobs]}
        for _ in range(2):
            answer = await self._expect((200, 201), "POST", "/v1/tasks/batch", asked, Idempotency_Key=f"batch-{label}")
            for job, one in zip(jobs, answer["data"], strict=True):
                self._promised.tasks[job.id].add(one["task"]["id"])

    async def _stop(self, label: str) -> None:
        job = self._world.create("stopped", label)
        job.kind = "gone"
        task_id = await self.register(job)
        answer = await self._expect((200, 409), "DELETE", f"/v1/tasks/{task_id}")
        if answer.get("status") == "stopped":
            self._promised.stopped.add(task_id)
            self._promised.stopped_at[task_id] = time.monotonic()

    async def _down(self, label: str) -> None:
        before = len(self._failures())
        self._world.is_down = True
        await asyncio.gather(*(self.register(self._world.create("down", f"{label}-{n}")) for n in range(DOWNS)))
        deadline = time.monotonic() + 12
        while len(self._failures()) < before + 4 * DOWNS and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        self._world.is_down = False

    def _failures(self) -> list[object]:
        return [one for one in self._world.arrivals if one.status == 500]

    async def _endpoint(self, label: str) -> None:
        if self._queued > 1:
            return
        self._queued += 1
        async with self._one_at_a_time:
            self._queued -= 1
            await self._write_endpoint(label)
            first = await self.register(self._world.create("mine", f"{label}-1"))
            await self._expect((202,), "POST", f"/v1/endpoints/{MINE}/test")
            await self._ended(first)
            await self._expect((200,), "POST", f"/v1/endpoints/{MINE}/disable")
            second = await self.register(self._world.create("mine", f"{label}-2"))
            await self._ended(second)
            await self._expect((200,), "POST", f"/v1/endpoints/{MINE}/enable")
            await self._rotate(label)
            await self._send_again(first)
            await self._expect((200, 404), "DELETE", f"/v1/endpoints/{MINE}")
            await self._write_endpoint(f"{label}'")

    async def _write_endpoint(self, label: str) -> None:
        secret = secret_of(label)
        self._world.secrets[MINE] = [secret, *self._world.secrets[MINE][:10]]
        spec = {"url": f"{self._world.base}/hooks/{MINE}", "secret": secret}
        await self._expect((200, 201), "PUT", f"/v1/endpoints/{MINE}", spec)

    async def _rotate(self, label: str) -> None:
        secret = secret_of(f"{label}, turned")
        self._world.secrets[MINE] = [secret, *self._world.secrets[MINE][:10]]
        turn = {"grace": "0s", "key": secret}
        await self._expect((200, 422), "POST", f"/v1/endpoints/{MINE}/rotate", turn)

    async def _send_again(self, task_id: str) -> None:
        _, task = await self._rig.surely("GET", f"/v1/tasks/{task_id}")
        if task.get("event_id"):
            self._promised.again.add(task["event_id"])
            await self._expect((202,), "POST", f"/v1/events/{task['event_id']}/redeliver")
        window = {"since": rfc3339(time.time() - 3600), "states": ["delivered"]}
        await self._expect((202,), "POST", f"/v1/endpoints/{MINE}/replay", window)

    async def _ended(self, task_id: str) -> None:
        while True:
            _, task = await self._rig.surely("GET", f"/v1/tasks/{task_id}?wait=2")
            if task.get("ended_at"):
                return

    async def _expect(self, allowed: tuple[int, ...], method: str, path: str, body: Any = None, **more: str) -> Any:
        while True:
            status, answer = await self._rig.surely(method, path, body, **more)
            if status not in (503, 500) or status in allowed:
                break
            await asyncio.sleep(0.1)
        self._promised.answers += 1
        if status not in allowed:
            trouble = f"{method} {path} was answered {status}: {shown(answer)}; asked: {shown(body)}"
            self._promised.troubles.append(trouble)
            raise AssertionError(trouble)
        return answer
