"""One simulated provider account: its jobs, its key, and the server that answers for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from aiohttp import web

from daemon.core.observation import Json
from daemon.demo.job import PROMPT, Answer, Dialect, Entry, Job
from daemon.demo.plan import Fault, Faults, Pace, script

UNKNOWN_WORD = "WARMING_UP"
HTML = "<!DOCTYPE html><html><body><h1>Just a moment...</h1></body></html>"
Clock = Callable[[], float]


class SimulatedProvider:
    """One provider account: its jobs, its key, and the server that answers for it.

    ``faults`` and ``key`` may be changed while it runs: an outage, or a key that was revoked.
    """

    def __init__(self, dialect: Dialect, *, seed: int, speed: float, pace: Pace, faults: Faults, clock: Clock) -> None:
        self.dialect = dialect
        self.key = f"sk-demo-{dialect.name}-0123456789"
        self.faults = faults
        self.base_url = ""
        self.jobs: dict[str, Job] = {}
        self._seed = f"{seed}/{dialect.name}"
        self._speed = speed
        self._pace = pace
        self._clock = clock

    def create(self, model: str | None = None, prompt: str = PROMPT) -> Job:
        """Accept a job, as the submit call does."""
        dice = Random(f"{self._seed}/{len(self.jobs)}")
        model = model or dice.choice(self.dialect.models)
        fate = script(dice, self._pace, self.faults, speed=self._speed, may_cancel=self.dialect.may_cancel)
        job = Job(
            provider=self.dialect.name,
            id=self.dialect.new_id(dice.getrandbits(64), model),
            model=model,
            prompt=prompt,
            script=fate,
            created_at=self._clock(),
        )
        self.jobs[job.id] = job
        return job

    def submission(self, job: Job) -> Json:
        """Return the body that the submit call answered for *job*."""
        body = self.dialect.accepted(job, self.base_url).body
        assert not isinstance(body, bytes)
        return body

    def ledger(self) -> list[Entry]:
        """Return the truth about every job, in the order of submission."""
        now = self._clock()
        return [job.entry(now) for job in self.jobs.values()]

    async def open(self, port: int = 0) -> web.AppRunner:
        """Listen on a loopback port, a free one unless named; the runner's ``cleanup`` closes it."""
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}{self.dialect.base_path}"
        return runner

    def _application(self) -> web.Application:
        application = web.Application()
        base, routes = self.dialect.base_path, application.router
        routes.add_post(base + self.dialect.submit, self._guarded(self._submit))
        for path in self.dialect.gathers:
            routes.add_get(base + path, self._guarded(self._gather(path)))
        for path in self.dialect.statuses:
            routes.add_get(base + path, self._guarded(self._status))
        routes.add_get("/_ledger", self._show_ledger)
        return application

    def _guarded(self, answer: Callable[[web.Request], Awaitable[web.Response]]) -> _Route:
        async def guarded(request: web.Request) -> web.Response:
            scheme, _, key = request.headers.get("Authorization", "").partition(" ")
            if scheme not in self.dialect.schemes or key != self.key:
                return self._refuse(401, "Authorization Bearer or Key token is required")
            return await answer(request)

        return guarded

    async def _submit(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        model = request.match_info.get("model") or wanted.get("model")
        if model not in self.dialect.models:
            return self._refuse(400, f"unknown model; there are {', '.join(self.dialect.models)}")
        return _respond(self.dialect.accepted(self.create(model, wanted.get("prompt", PROMPT)), self.base_url))

    async def _status(self, request: web.Request) -> web.Response:
        job = self._find(request)
        if job is None:
            return self._unknown()
        job.polls += 1
        spoilt = await self._spoil(job)
        if spoilt is not None:
            return spoilt
        now = self._clock()
        body = self.dialect.stands(job, now, self.base_url)
        if job.status(now).is_terminal:
            job.told_at = job.told_at or now
        elif job.script.is_odd and not job.has_been_odd:
            job.has_been_odd = True
            job.faults[Fault.UNKNOWN_WORD] += 1
            body["status"] = UNKNOWN_WORD
        return _respond(Answer(body=body))

    def _gather(self, path: str) -> _Route:
        async def gather(request: web.Request) -> web.Response:
            job = self._find(request)
            if job is None:
                return self._unknown()
            job.results += 1
            return _respond(self.dialect.gathered(job, self._clock(), self.base_url, path))

        return gather

    async def _spoil(self, job: Job) -> web.Response | None:
        faults, dice = self.faults, Random(f"{self._seed}/{job.id}/{job.polls}")
        fault = faults.throw(dice)
        if fault is None:
            return None
        job.faults[fault] += 1
        if fault is Fault.THROTTLED:
            return self._refuse(429, "Rate limit exceeded, please try again later", retry_after=faults.retry_after)
        if fault is Fault.SERVER_ERROR:
            return self._refuse(dice.choice((500, 502, 503)), "Upstream provider error")
        if fault is Fault.HTML:
            return web.Response(status=dice.choice((200, 502)), text=HTML, content_type="text/html")
        await asyncio.sleep(faults.hang_seconds)
        return None

    def _find(self, request: web.Request) -> Job | None:
        """Return the job that the path (or the download's query) names, if its model is the path's, too."""
        named = request.match_info
        job = self.jobs.get(named.get("id") or request.query.get("id", ""))
        return job if job is not None and named.get("model", job.model) == job.model else None

    def _unknown(self) -> web.Response:
        return self._refuse(400 if self.dialect.name == "modelmax" else 404, "task not found")

    def _refuse(self, status: int, message: str, *, retry_after: int | None = None) -> web.Response:
        body = self.dialect.refusal(status, message)
        response = web.json_response(body, status=status)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    async def _show_ledger(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(self.ledger())


_Route = Callable[[web.Request], Awaitable[web.Response]]


def _respond(answer: Answer) -> web.Response:
    if isinstance(answer.body, bytes):
        return web.Response(body=answer.body, content_type=answer.content_type)
    return web.json_response(answer.body, status=answer.status)
