"""The world outside the daemon: a provider and a receiver that keep ledgers, and can kill at the moment they are asked.

The ledgers live in the test's own process, so no crash of the daemon touches them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

FILE = bytes(range(256)) * 64
INLINE = b"<inline " * 50
DEFAULT, MINE, DOWN = "default", "mine", "down"
RUNS = 0.2
LIFE = "x-life"


@dataclass(slots=True)
class Job:
    """One remote job, ``born`` when it is first asked about; ``billed`` counts result requests that cost money."""

    id: str
    kind: str
    born: float = 0.0
    polls: int = 0
    results: int = 0
    billed: int = 0
    told_at: float | None = None
    asked_at: float = 0.0

    @property
    def lasts(self) -> float:
        """Seconds until it ends; *late* ones outlast their deadline, a *gone* one never ends."""
        return {"late": 2.2, "telling": 0.6, "gone": 1e9}.get(self.kind, RUNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One webhook that came in, which life of the daemon sent it (0: unsaid), and what it was answered."""

    life: int
    heard: float
    endpoint: str
    id: str
    digest: str
    is_signed: bool
    status: int


@dataclass(slots=True)
class World:
    """Provider and receiver on loopback; ``kill`` is called where ``trap`` says."""

    kill: Callable[[], None] = lambda: None
    trap: str = ""
    trap_n: int = 1
    is_down: bool = True
    jobs: dict[str, Job] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    base: str = ""
    seen: set[str] = field(default_factory=set)
    _passes: Counter[str] = field(default_factory=Counter)
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get("/jobs/{id}", self._poll)
        app.router.add_get("/results/{id}", self._result)
        app.router.add_get("/files/{id}", self._file)
        app.router.add_post("/hooks/{name}", self._hook)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *failure: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def port(self) -> str:
        """The port it listens on."""
        return self.base.rpartition(":")[2]

    def create(self, kind: str, label: str) -> Job:
        """Accept a job."""
        job = Job(f"{kind}-{label}", kind)
        self.jobs[job.id] = job
        return job

    def arm(self, point: str, n: int) -> None:
        """Kill at the *n*-th pass of *point* from now on, where it is one of the world's own."""
        self.trap, self.trap_n = point, n
        self._passes.clear()

    def _comes_by(self, point: str) -> None:
        self.seen.add(point)
        self._passes[point] += 1
        if point == self.trap and self._passes[point] == self.trap_n:
            self.kill()

    async def _answer(self, request: web.Request, what: str, answer: web.Response) -> web.Response:
        """Answer in full, and only then come by *what*: answered."""
        await answer.prepare(request)
        await answer.write_eof()
        self._comes_by(f"{what}: answered")
        return answer

    async def _poll(self, request: web.Request) -> web.Response:
        job = self.jobs[request.match_info["id"]]
        job.polls += 1
        job.born = job.born or time.time()
        self._comes_by("poll: arrived")
        return await self._answer(request, "poll", self._stands(job))

    def _stands(self, job: Job) -> web.Response:
        age = time.time() - job.born
        if job.kind == "gone" and age > 1.5:
            return web.json_response({"error": "no such job"}, status=404)
        if job.kind == "throttled" and job.polls == 1:
            return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "0.3"})
        if age < job.lasts:
            return web.json_response({"state": "busy", "progress": round(min(age / RUNS, 1.0), 2)})
        job.told_at = job.told_at or time.time()
        if job.kind == "failing":
            return web.json_response({"state": "broken", "error": "it broke"})
        inline = "data:text/plain;base64," + base64.b64encode(INLINE).decode()
        url = inline if job.kind == "inline" else f"{self.base}/files/{job.id}"
        return web.json_response({"state": "done", "outputs": [url]})

    async def _result(self, request: web.Request) -> web.Response:
        job = self.jobs[request.match_info["id"]]
        job.results += 1
        job.asked_at = job.asked_at or time.monotonic()
        self._comes_by("result: arrived")
        if job.kind == "deferred" and job.results == 1:
            return web.json_response({"error": "slow down"}, status=429)
        if job.kind == "mute" and job.results <= 2:
            return web.json_response({"error": "trouble"}, status=500)
        job.billed += 1
        body = {"state": "done", "outputs": [f"{self.base}/files/{job.id}"]}
        return await self._answer(request, "result", web.json_response(body))

    async def _file(self, request: web.Request) -> web.StreamResponse:
        job = self.jobs[request.match_info["id"]]
        if job.kind == "barred":
            return web.Response(status=403)
        response = web.StreamResponse(headers={"Content-Type": "video/mp4", "Content-Length": str(len(FILE))})
        await response.prepare(request)
        await response.write(FILE[:4096])
        self._comes_by("file: half")
        await response.write(FILE[4096:])
        return response

    async def _hook(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await request.read()
        status = 500 if name == DOWN and self.is_down else 204
        self.arrivals.append(
            Arrival(
                life=int(request.headers.get(LIFE, "0")),
                heard=time.monotonic(),
                endpoint=name,
                id=request.headers.get("webhook-id", ""),
                digest=hashlib.sha256(body).hexdigest(),
                is_signed=self._is_signed(name, request, body),
                status=status,
            )
        )
        self._comes_by("webhook: arrived")
        return await self._answer(request, "webhook", web.Response(status=status))

    def _is_signed(self, name: str, request: web.Request, body: bytes) -> bool:
        headers = {key.lower(): value for key, value in request.headers.items()}
        for secret in self.secrets[name]:
            try:
                Webhook(secret).verify(body, headers, json_parse=False)
            except WebhookVerificationError:
                continue
            return True
        return False


def tables(world: World) -> dict[str, dict[str, Any]]:
    """Return the configuration of lanes and endpoints that lead here."""
    pace = {"min_gap": "80ms", "max_gap": "200ms", "rate": 500.0, "burst": 50.0, "concurrency": 50, "timeout": "3s"}
    made: dict[str, dict[str, Any]] = {}
    for lane, more in {"free": {}, "paid": {"when": "asked"}, "late": {"when": "succeeded"}}.items():
        table = f"providers.{lane}"
        grace = {"not_found_grace": "300ms", "recheck_for": "1h"}
        made[table] = {"base_url": world.base, "api_key": f"sk-{lane}-1234567890"} | pace | grace
        made[f"{table}.typical"] = {"duration": "200ms"}
        made[f"{table}.status"] = {"request": "GET /jobs/{id}", "state": "state"}
        made[f"{table}.status.states"] = {"running": ["busy"], "succeeded": ["done"], "failed": ["broken"]}
        made[f"{table}.status.fields"] = {"progress": "progress", "error_message": "error"}
        outputs = [{"path": "outputs", "kind": "video"}]
        if more:
            made[f"{table}.result"] = {"request": "GET /results/{id}"} | more
            made[f"{table}.result.outputs"] = outputs[0]
        else:
            made[f"{table}.status.fields.outputs"] = outputs[0]
    for name in (DEFAULT, DOWN):
        url, secret = f"{world.base}/hooks/{name}", world.secrets[name][0]
        made[f"endpoints.{name}"] = {"url": url, "secret": secret, "concurrency": 20}
    made["egress"] = {"allow": [f"127.0.0.1/32:{world.port}"]}
    made["outputs"] = {"schedule": ["50ms"]}
    made["delivery"] = {"schedule": ["100ms"] * 20, "timeout": "20s"}
    return made


def body_of(job: Job) -> dict[str, Any]:
    """Return the registration of *job*."""
    lane = {"paid": "paid", "deferred": "paid", "mute": "late"}.get(job.kind, "free")
    more: dict[str, Any] = {
        "paid": {"fetch_result": True},
        "deferred": {"fetch_result": True},
        "telling": {"events": ["terminal", "running", "progress"]},
        "saved": {"save_outputs": True},
        "barred": {"save_outputs": True},
        "held": {"save_outputs": "before_event"},
        "late": {"deadline": "1s"},
        "gone": {"deadline": "1s"},
        "down": {"webhook": {"endpoint": DOWN}},
        "mine": {"webhook": {"endpoint": MINE}},
    }.get(job.kind, {})
    return {"provider": lane, "remote_id": job.id, "metadata": {"label": job.id}} | more


Post = Callable[[str, str, Any], Awaitable[tuple[int, Any]]]


async def quietly(work: Awaitable[Any]) -> None:
    """Wait for *work*; its failure is a finding of the audit's, said there in full."""
    await asyncio.gather(work)


def shown(value: Any) -> str:
    """Return *value* for a message, not too long."""
    return json.dumps(value, default=str)[:300]
