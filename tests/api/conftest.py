"""The API on a real loopback listener, over small fakes of the ports it speaks to."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace

import aiohttp
import pytest

from daemon.api.access import Access, digest_of
from daemon.api.app import make_app
from daemon.api.listeners import open_listeners
from daemon.core.delivery import DeliveryState, Refusal
from daemon.core.errors import (
    AlreadyEnded,
    FieldError,
    InvalidRegistration,
    KeyReused,
    NoResult,
    NotEnded,
    NotFound,
    ReadOnly,
    ResultUnresolved,
    UnknownProvider,
    WatchlistFull,
)
from daemon.core.ids import delivery_id, event_id, task_id
from daemon.core.observation import Output
from daemon.core.record import (
    Added,
    AttemptRecord,
    DeliveryRecord,
    FeedItem,
    StoredResult,
    TaskRecord,
)
from daemon.core.task import LaneName, Status
from daemon.engine.desks import EndpointView, LaneView
from daemon.engine.endpoint_ports import Replayed, Revealed

NOW = 1_795_000_000.0
TOKEN = "t0ken-of-the-tests"
REGISTRATION = {"provider": "amux", "remote_id": "abcd1234efgh"}


class FakeTasks:
    """The watcher's port, in a dict."""

    def __init__(self, tmp_path):
        self.tmp_path = tmp_path
        self.records: dict[str, TaskRecord] = {}
        self.applications = []
        self.claims = {}
        self.room = 1_000_000
        self.results: dict[str, StoredResult] = {}
        self.ended = asyncio.Condition()
        self.waits = 0
        self.cut = 0
        self.limits: list[int] = []
        self.was_polled = True
        self.fault: Exception | None = None
        self.registering: asyncio.Event | None = None

    async def register(self, applications, claim):
        if self.registering is not None:
            await self.registering.wait()
        if self.fault:
            raise self.fault
        if claim and self.claims.setdefault(claim.key, claim.fingerprint) != claim.fingerprint:
            raise KeyReused("this Idempotency-Key came with another body before")
        if len(self.records) >= self.room:
            raise WatchlistFull("the watchlist holds its maximum", retry_after=7)
        return [self._register(application) for application in applications]

    def _register(self, application):
        self.applications.append(application)
        if application.provider != "amux":
            return UnknownProvider(f'no provider "{application.provider}"; configured are: amux')
        if application.remote_id == "bad":
            return InvalidRegistration([FieldError(field="params.size", message="params.size is required")])
        for record in self.records.values():
            if record.remote_id == application.remote_id:
                return Added(record=record, is_new=False)
        record = self.record(application)
        self.records[record.id] = record
        return Added(record=record, is_new=True)

    def record(self, application):
        return TaskRecord(
            id=task_id(NOW, len(self.records) + 1),
            provider=LaneName(application.provider),
            remote_id=application.remote_id or "from-submission",
            model=application.model,
            params=application.params,
            status_url=application.status_url,
            fetch_result=application.fetch_result,
            wishes=application.wishes,
            metadata=application.metadata,
            target=application.target,
            status=Status.QUEUED,
            progress=None,
            queue_position=None,
            outputs=(),
            error=None,
            created_at=application.created_at or NOW,
            registered_at=NOW,
            updated_at=NOW,
            started_at=None,
            finished_at=None,
            ended_at=None,
            deadline_at=NOW + 3600,
            polls=0,
            next_poll_at=NOW + 5.5,
            next_poll_reason="first poll",
            last_miss=None,
            event_id=None,
        )

    async def show(self, task_id):
        if task_id not in self.records:
            raise NotFound(f"no task {task_id!r}")
        return self.records[task_id]

    async def page(self, query):
        self.limits.append(query.limit)
        found = sorted(self.records.values(), key=lambda record: record.id, reverse=True)
        found = [record for record in found if query.before is None or record.id < query.before]
        found = [record for record in found if query.status in (None, record.status)]
        return [record for record in found if query.model in (None, record.model)][: query.limit]

    async def wait(self, task_id, seconds):
        self.waits += 1
        try:
            async with asyncio.timeout(seconds), self.ended:
                await self.ended.wait_for(lambda: self.records[task_id].status.is_terminal)
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            self.cut += 1
            raise
        return self.records[task_id]

    async def end(self, task_id):
        async with self.ended:
            output = Output(url="https://cdn.example.com/a.mp4", kind="video")
            self.records[task_id] = replace(
                self.records[task_id], status=Status.SUCCEEDED, ended_at=NOW, outputs=(output,)
            )
            self.ended.notify_all()

    async def stop(self, task_id):
        record = await self.show(task_id)
        if record.status.is_terminal:
            raise AlreadyEnded("the task has ended as succeeded")
        self.records[task_id] = replace(record, status=Status.STOPPED, ended_at=NOW)
        return self.records[task_id]

    async def poll_now(self, task_id, seconds):
        assert seconds == 10.0
        record = await self.show(task_id)
        if record.status.is_terminal:
            raise AlreadyEnded("the task has ended")
        return record, self.was_polled

    async def result(self, task_id, *, repeat):
        record = await self.show(task_id)
        if record.status is not Status.SUCCEEDED:
            raise NotEnded("the task has not succeeded yet")
        stored = self.results.get(task_id)
        if stored is None:
            raise NoResult("amux has no result request")
        if stored.stored_at is None and not repeat:
            raise ResultUnresolved('an earlier result request may have been billed; send {"repeat": true}')
        return replace(stored, stored_at=NOW)

    async def output(self, task_id, number):
        await self.show(task_id)
        if number > 1:
            raise NotFound(f"no output {number}")
        return self.tmp_path / f"output-{number}", "video/mp4"

    def lanes(self):
        return [
            LaneView(
                name="amux", preset="amux", base_url="https://api.example.com", state="held", reason="throttled",
                since_at=NOW, resumes_at=None, tasks=3, in_flight=1, rate=float("inf"), burst=1.0, concurrency=10,
                min_gap=2.0, max_gap=60.0, deadline=3600.0, price=0.15, typical=90.0, polls=7, misses={"timeout": 2},
                last_miss="timeout", last_miss_at=NOW, unknown_words=("pondering",),
            )
        ]  # fmt: skip


class FakeOutbox:
    """The outbox's reading port, in lists."""

    def __init__(self):
        self.items: list[FeedItem] = []
        self.records: dict[str, DeliveryRecord] = {}
        self.attempts: dict[str, list[AttemptRecord]] = {}
        self.fault: Exception | None = None

    def add(self, body=b'{"type":"task.succeeded","data":{"n":1}}', kind="task.succeeded"):
        seq = len(self.items) + 1
        item = FeedItem(seq=seq, id=event_id(NOW, seq), type=kind, task_id=None, created_at=NOW, body=body)
        self.items.append(item)
        return item

    def owe(self, item, state=DeliveryState.PENDING, endpoint="default"):
        record = DeliveryRecord(
            id=delivery_id(NOW, len(self.records) + 1), event_id=item.id, event_type=item.type, task_id=item.task_id,
            endpoint=endpoint, url=None, state=state, attempts=1, tries=1, due_at=NOW, reason=None, created_at=NOW,
            updated_at=NOW,
        )  # fmt: skip
        self.records[record.id] = record
        self.attempts[record.id] = [
            AttemptRecord(number=1, started_at=NOW, seconds=0.1, http_status=None,
                          refusal=Refusal.TARGET_NOT_ALLOWED, detail="10.0.0.1 is private", address="10.0.0.1"),
            AttemptRecord(number=2, started_at=NOW, seconds=0.25, http_status=500, refusal=Refusal.HTTP,
                          detail="500", address="93.184.216.34"),
        ]  # fmt: skip
        return record

    async def feed(self, after, limit):
        if self.fault:
            raise self.fault
        return [item for item in self.items if item.seq > after][:limit]

    async def seq_of(self, event_id):
        return next((item.seq for item in self.items if item.id == event_id), None)

    async def event(self, event_id):
        return next((item for item in self.items if item.id == event_id), None)

    async def deliveries_of(self, event_id):
        return [record for record in self.records.values() if record.event_id == event_id]

    async def page(self, query):
        found = sorted(self.records.values(), key=lambda record: record.id, reverse=True)
        found = [record for record in found if query.before is None or record.id < query.before]
        found = [record for record in found if query.state in (None, record.state)]
        return [record for record in found if query.endpoint in (None, record.endpoint)][: query.limit]

    async def delivery(self, delivery_id):
        record = self.records.get(delivery_id)
        return None if record is None else (record, self.attempts[delivery_id])


class FakeDeliveries:
    """The courier's port."""

    def __init__(self, outbox):
        self.outbox = outbox
        self.known = ["default", "ops"]
        self.url = "https://app.example.com/hooks"
        self.states = {"default": "ok", "ops": "ok"}
        self.news = asyncio.Event()
        self.waits = 0

    async def redeliver(self, event_id):
        item = await self.outbox.event(event_id)
        if item is None:
            raise NotFound(f"no event {event_id!r}")
        return await self.outbox.deliveries_of(event_id) or [self.outbox.owe(item)]

    async def redeliver_one(self, delivery_id):
        if delivery_id not in self.outbox.records:
            raise NotFound(f"no delivery {delivery_id!r}")
        return self.outbox.records[delivery_id]

    async def endpoints(self):
        return [self._view(name) for name in self.known]

    def _view(self, name):
        if name not in self.known:
            raise NotFound(f"no endpoint {name!r}")
        return EndpointView(
            name=name, url=self.url, source="config", state=self.states[name], reason=None,
            since_at=None, keys=("0badcafe",), timeout=20.0, concurrency=10, in_flight=0, pending=1, parked=0, dead=0,
        )  # fmt: skip

    async def enable(self, name):
        self._view(name)
        self.states[name] = "ok"
        return self._view(name)

    async def disable(self, name):
        self._view(name)
        self.states[name] = "disabled"
        return self._view(name)

    async def test(self, name):
        self._view(name)
        return self.outbox.owe(self.outbox.add(kind="endpoint.test"), endpoint=name)

    def has(self, name):
        return name in self.known

    def names(self):
        return self.known

    async def wait_for_event(self, after, seconds):
        self.waits += 1
        try:
            async with asyncio.timeout(seconds):
                await self.news.wait()
        except TimeoutError:
            pass


class FakeEndpoints:
    """Whoever writes endpoints, in a dict of drafts."""

    def __init__(self, deliveries):
        self.deliveries = deliveries
        self.drafts = {}
        self.rotations = []
        self.windows = []

    def require_writable(self, name):
        if name in ("default", "ops"):
            raise ReadOnly("stands in the config file")

    async def put(self, name, draft):
        is_new = name not in self.drafts
        self.drafts[name] = draft
        if is_new:
            self.deliveries.known.append(name)
            self.deliveries.states[name] = "ok"
        secret = (draft.secret or "whsec_made") if is_new else None
        return Revealed(view=self.deliveries._view(name), secret=secret, is_new=is_new)

    async def delete(self, name):
        view = self.deliveries._view(name)
        self.require_writable(name)
        self.deliveries.known.remove(name)
        return view

    async def rotate(self, name, rotation):
        self.rotations.append(rotation)
        return Revealed(view=self.deliveries._view(name), secret="whsec_new")

    async def replay(self, name, window, *, dry_run):
        self.windows.append(window)
        self.deliveries._view(name)
        return Replayed(matched={"dead": 2}, oldest_at=NOW, newest_at=NOW + 1, is_dry=dry_run)


@dataclass
class Api:
    """One running API: its fakes, and ways to call it."""

    tasks: FakeTasks
    outbox: FakeOutbox
    deliveries: FakeDeliveries
    endpoints: FakeEndpoints
    denied: list[str]
    pauses: list[float]
    faults: list[Exception]
    is_ready: bool = True
    port: int = 0
    session: aiohttp.ClientSession | None = None
    listeners: object = None
    token: str = TOKEN
    checked: list[str] = field(default_factory=list)

    async def call(self, method, path, *, json_body=None, headers=None, data=None):
        """Make one call with the token; answer (status, document or bytes, headers)."""
        given = {"Authorization": f"Bearer {self.token}"} | (headers or {})
        given = {name: value for name, value in given.items() if value is not None}
        if json_body is not None:
            data, given = json.dumps(json_body).encode(), {"Content-Type": "application/json"} | given
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, data=data, headers=given) as response:
            body = await response.read()
            kind = response.headers.get("Content-Type", "")
            return response.status, json.loads(body) if "json" in kind and body else body, response.headers

    async def register(self, **fields):
        """Register a task and answer it."""
        status, task, _ = await self.call("POST", "/v1/tasks", json_body=REGISTRATION | fields)
        assert status in (200, 201), task
        return task

    async def raw(self, request: bytes, *, until_closed=False):
        """Send *request* byte for byte and answer (status, whole answer)."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(-1) if until_closed else reader.read(65536), 15)
        writer.close()
        return (int(answer.split(b" ", 2)[1]) if answer else 0), answer


@pytest.fixture
def make_api(tmp_path):
    """Return a builder of applications over fresh fakes."""

    def build(*, token=TOKEN, open_metrics=False, hosts=(), max_waits=192):
        outbox = FakeOutbox()
        deliveries = FakeDeliveries(outbox)
        api = Api(FakeTasks(tmp_path), outbox, deliveries, FakeEndpoints(deliveries), [], [], [])

        async def pause(seconds):
            api.pauses.append(seconds)

        def check_target(url):
            api.checked.append(url)
            return "10.0.0.1 lies in 10.0.0.0/8" if "10.0.0.1" in url else None

        access = Access(digest_of(token) if token else None, hosts=hosts, on_denied=api.denied.append, pause=pause)
        app = make_app(
            tasks=api.tasks, deliveries=api.deliveries, endpoints=api.endpoints, outbox=outbox, access=access, is_ready=lambda: api.is_ready,
            metrics=lambda: b"pollhook_tasks 1\n", check_target=check_target, open_metrics=open_metrics,
            version="0.1.0", now_at=lambda: NOW, max_waits=max_waits, on_fault=api.faults.append,
        )  # fmt: skip
        return api, app

    return build


@pytest.fixture
async def serve(make_api):
    """Return a function that starts an API on a free loopback port."""
    opened = []

    async def start(*, specs=("127.0.0.1:0",), max_connections=256, **options):
        api, app = make_api(**options)
        api.listeners = await open_listeners(app, specs, max_connections=max_connections)
        if not specs[0].startswith("unix:"):
            api.port = int(api.listeners.addresses[0].rpartition(":")[2])
        api.session = aiohttp.ClientSession()
        opened.append(api)
        return api

    yield start
    for api in opened:
        await api.session.close()
        await api.listeners.close(0.2)


@pytest.fixture
async def api(serve):
    """Return one running API that asks for a token."""
    return await serve()
