"""Virtual time, and a world in memory that keeps the laws of the ports, so that hours pass in milliseconds."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from heapq import heappop
from pathlib import Path
from typing import Any

from daemon.core.breaker import Breaker, Temper
from daemon.core.cadence import Bounds, LearnedCadence
from daemon.core.delivery import Accepted, DeliveryState
from daemon.core.endpoint import Endpoint
from daemon.core.errors import KeyReused
from daemon.core.judge import Patience
from daemon.core.lane import Lane, Pace
from daemon.core.observation import Pending
from daemon.core.record import Added, Admission, Application, DeliveryRecord, EndpointState, FeedItem, StoredResult
from daemon.core.saving import Access, Copied, SaveBounds, SaveRecord, SaveState
from daemon.core.signing import encode_secret, hmac_key
from daemon.core.task import Status
from daemon.engine.account import Account, AccountFacts
from daemon.engine.applying import as_task
from daemon.engine.clock import Clock, Dice, Mint
from daemon.engine.courier import Courier
from daemon.engine.desk import TaskDesk
from daemon.engine.downloads import Downloads
from daemon.engine.ports import Lack, LateEnding, Recheck, SaveSettled
from daemon.engine.rechecks import Rechecker
from daemon.engine.room import Room
from daemon.engine.watcher import Watcher

EPOCH = 1_763_755_800.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer whenever nothing else is left to do."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0

    def time(self) -> float:
        return self._virtual

    def _run_once(self) -> None:
        while self._scheduled and self._scheduled[0]._cancelled:  # the base loop would wait for it in real time
            self._timer_cancelled_count -= 1
            heappop(self._scheduled)._scheduled = False
        if not self._ready and self._scheduled:
            self._virtual = max(self._virtual, self._scheduled[0]._when)
        super()._run_once()


def simulate(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run *main* in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


class MemoryStore:
    """Watchlist, Outbox, Ledger and Shelf in dictionaries; every change counted."""

    def __init__(self) -> None:
        self.tasks, self.events, self.deliveries, self.attempts = {}, [], {}, {}
        self.results, self.claims, self.saved_lanes, self.saved_endpoints, self.files = {}, {}, {}, {}, {}
        self.saves, self.dropped, self.held_ends = {}, [], {}
        self.rechecks = {}
        self.writes = 0

    async def _commit(self):
        self.writes += 1
        await asyncio.sleep(0.001)

    async def add(self, newcomers, claim=None):
        if claim is not None and (known := await self.claimed(claim)) is not None:
            return known
        await self._commit()
        answers = []
        for newcomer in newcomers:
            known = await self.find(newcomer.provider, newcomer.remote_id)
            if known is None:
                self.tasks[newcomer.id] = newcomer
            answers.append(Added(record=known or newcomer, is_new=known is None))
        if claim is not None:
            self.claims[claim.key] = (claim.fingerprint, [a.record.id for a in answers])
        return answers

    async def claimed(self, claim):
        if claim.key not in self.claims:
            return None
        fingerprint, ids = self.claims[claim.key]
        if fingerprint != claim.fingerprint:
            raise KeyReused("the same key came with another body")
        return [Added(record=self.tasks[i], is_new=False) for i in ids]

    async def record(self, task_id):
        return self.tasks.get(task_id)

    async def find(self, provider, remote_id):
        for task in self.tasks.values():
            if (task.provider, task.remote_id) == (provider, remote_id) and (
                not task.status.is_terminal or task.status.is_providers_word
            ):
                return task
        return None

    async def finish(self, ending):
        await self._commit()
        before = self.tasks[ending.task.id]
        if before.status.is_terminal:
            return False
        self.tasks[before.id] = replace(
            before,
            status=ending.ended.outcome,
            outputs=ending.ended.outputs,
            error=ending.ended.error,
            polls=ending.task.polls,
            ended_at=ending.ended_at,
            event_id=ending.event.id,
        )
        self._publish(ending.event, ending.owed)
        self._owe(ending.saves)
        self.held_ends.pop(before.id, None)
        if ending.recheck_until is not None:
            self.rechecks[before.id] = ending.recheck_until
        return True

    async def tell(self, task, shift, events, owed):
        await self._commit()
        if self.tasks[task.id].status.is_terminal:
            return False
        for event in events:
            self._publish(event, [o for o in owed if o.delivery.event_id == event.id])
        return True

    async def stop(self, task_id, at):
        await self._commit()
        before = self.tasks.get(task_id)
        if before is None or before.status.is_terminal:
            return None
        self.tasks[task_id] = replace(before, status=Status.STOPPED, ended_at=at)
        self.held_ends.pop(task_id, None)
        return self.tasks[task_id]

    async def note(self, tasks, shift):
        await self._commit()
        for task in tasks:
            before = self.tasks[task.id]
            if not before.status.is_terminal:
                self.tasks[task.id] = replace(before, status=task.status, progress=task.progress, polls=task.polls)

    async def owed(self):
        if self.rechecks:
            yield [Recheck(task_id, until_at) for task_id, until_at in self.rechecks.items()]

    async def settle_late(self, ending):
        await self._commit()
        if self.rechecks.pop(ending.task_id, None) is None:
            return False
        self.tasks[ending.task_id] = replace(self.tasks[ending.task_id], late=ending.late)
        self._publish(ending.event, ending.owed)
        return True

    async def drop(self, task_id):
        await self._commit()
        self.rechecks.pop(task_id, None)

    async def intend_result(self, task_id, at):
        await self._commit()
        if task_id in self.results:
            return False
        self.results[task_id] = StoredResult(task_id=task_id, intended_at=at, stored_at=None, outputs=(), body=None)
        return True

    async def store_result(self, task_id, outputs, body, at, saves=()):
        await self._commit()
        self._owe(saves)
        self.results[task_id] = replace(self.results[task_id], stored_at=at, outputs=tuple(outputs), body=body)

    async def withdraw_result(self, task_id):
        await self._commit()
        self.results.pop(task_id, None)

    async def result(self, task_id):
        return self.results.get(task_id)

    # Outbox

    def _publish(self, event, owed):
        self.events.append(event)
        for each in owed:
            self.deliveries[each.delivery.id] = (each.delivery, each.state, each.due_at, each.reason)

    async def publish(self, event, owed):
        await self._commit()
        self._publish(event, owed)

    async def message(self, delivery_id):
        delivery, state, _, _ = self.deliveries[delivery_id]
        if state is not DeliveryState.PENDING:
            return None
        return delivery, next(e for e in self.events if e.id == delivery.event_id)

    async def settle(self, settled):
        if isinstance(settled, LateEnding):
            return await self.settle_late(settled)
        return await (self.settle_save(settled) if isinstance(settled, SaveSettled) else self._settle(settled))

    async def _settle(self, settled):
        await self._commit()
        d = settled.delivery
        self.attempts.setdefault(d.id, []).append(settled.attempt)
        later = replace(d, attempts=d.attempts + 1, tries=d.tries + settled.counts)
        _, state, due, reason = self.deliveries[d.id]
        if state is DeliveryState.PENDING or settled.state is DeliveryState.DELIVERED:
            state, due, reason = settled.state, settled.due_at, settled.reason
        self.deliveries[d.id] = (later, state, due, reason)

    async def park(self, endpoint, reason, at, limit):
        await self._commit()
        parked = []
        for i, (d, state, due, _) in sorted(self.deliveries.items()):
            if d.endpoint == endpoint and state is DeliveryState.PENDING and len(parked) < limit:
                self.deliveries[i] = (d, DeliveryState.PARKED, due, reason)
                parked.append(i)
        return parked

    async def unpark(self, endpoint, at, limit):
        await self._commit()
        back = []
        for i, (d, state, _, _) in sorted(self.deliveries.items()):
            if d.endpoint == endpoint and state is DeliveryState.PARKED and len(back) < limit:
                self.deliveries[i] = (d, DeliveryState.PENDING, at, None)
                back.append((d, at))
        return back

    async def counts(self):
        await asyncio.sleep(0.001)
        return Counter((d.endpoint, state) for d, state, *_ in self.deliveries.values())

    async def feed(self, after, limit):
        items = [
            FeedItem(seq=n, id=e.id, type=e.type, task_id=e.task_id, created_at=e.created_at, body=e.body)
            for n, e in enumerate(self.events, 1)
        ]
        return [i for i in items if i.seq > after][:limit]

    async def endpoints(self):
        return dict(self.saved_endpoints)

    async def save_disabled(self, name, at, reason):
        await self._commit()
        known = self.saved_endpoints.get(name, EndpointState(name=name))
        self.saved_endpoints[name] = replace(known, disabled_at=at, disabled_reason=reason)

    async def save_failing(self, name, at, why):
        await self._commit()
        known = self.saved_endpoints.get(name, EndpointState(name=name))
        self.saved_endpoints[name] = replace(known, failing_since=at, failing_why=why)

    async def delivery(self, delivery_id):
        d, state, due, reason = self.deliveries[delivery_id]
        event = next(e for e in self.events if e.id == d.event_id)
        return (
            DeliveryRecord(
                id=d.id, event_id=d.event_id, event_type=event.type, task_id=event.task_id, endpoint=d.endpoint, url=d.url,
                state=state, attempts=d.attempts, tries=d.tries, due_at=due, reason=reason, created_at=0.0, updated_at=0.0,
            ),
            self.attempts.get(d.id, []),
        )  # fmt: skip

    # Saves

    def _owe(self, saves):
        for save in saves:
            known = self.saves.get(save.key)
            if known is None:
                self.saves[save.key] = (save, SaveRecord(number=save.number, state=SaveState.PENDING))
            elif known[1].state is not SaveState.SAVED and known[0].url != save.url:
                has_failed = known[1].state is SaveState.FAILED
                tries = 0 if has_failed else known[0].tries
                reason = None if has_failed else known[1].reason
                record = SaveRecord(number=save.number, state=SaveState.PENDING, reason=reason)
                self.saves[save.key] = (replace(save, tries=tries), record)

    async def hold(self, task_id, ended, saves, at):
        await self._commit()
        if self.tasks[task_id].status.is_terminal:
            return []
        self.held_ends[task_id] = (ended, Lack.COPIES)
        self._owe(saves)
        return [self.saves[save.key][1] for save in saves]

    async def witness(self, task_id, ended):
        await self._commit()
        if not self.tasks[task_id].status.is_terminal:
            self.held_ends[task_id] = (ended, Lack.RESULT)

    async def pending(self, task_id, number):
        save, record = self.saves.get(f"{task_id}/{number}", (None, None))
        return save if record is not None and record.state is SaveState.PENDING else None

    async def settle_save(self, settled):
        await self._commit()
        known = self.saves.get(settled.save.key)
        if known is not None and known[1].state is SaveState.PENDING:
            self.saves[settled.save.key] = (replace(known[0], tries=settled.save.tries), settled.record)
        return known is not None

    async def used(self):
        return 0

    # Shelf

    async def draft(self, task_id, number):
        return Path(f"/nowhere/{task_id}/{number}.part")

    async def adopt(self, task_id, number):
        return True

    async def drop_draft(self, task_id, number):
        self.dropped.append(f"{task_id}/{number}")

    async def discard(self, task_ids):
        self.saves = {k: v for k, v in self.saves.items() if v[0].task_id not in task_ids}

    async def keep(self, task_id, number, inline):
        self.files[task_id, number] = inline


class ScriptedProvider:
    """Answers what the script says for the n-th poll of a remote id; logs every request with its time."""

    unknown_words = ()
    reading_troubles = ()
    party = 1
    bills = True

    def __init__(self, script=None, *, took=0.05):
        self.script = script or (lambda remote_id, n: Pending(status=Status.RUNNING))
        self.took = took
        self.polls: list[tuple[float, str]] = []
        self.counts: Counter[str] = Counter()
        self.results: list[str] = []
        self.parties: list[tuple[float, list[str]]] = []
        self.result_answer = None
        self.out = self.most_out = 0

    def admit(self, application):
        return Admission(
            remote_id=application.remote_id, model=application.model, params=application.params, status_url=None
        )

    async def poll(self, task):
        loop = asyncio.get_running_loop()
        self.polls.append((loop.time(), task.remote_id))
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        try:
            await asyncio.sleep(self.took)
            self.counts[task.remote_id] += 1
            return self.script(task.remote_id, self.counts[task.remote_id])
        finally:
            self.out -= 1

    async def poll_many(self, tasks):
        self.parties.append((asyncio.get_running_loop().time(), [task.remote_id for task in tasks]))
        await asyncio.sleep(self.took)
        return self.tell_many(tasks)

    def tell_many(self, tasks):
        return {task.id: Pending(status=Status.RUNNING) for task in tasks}

    async def access(self, url):
        return (
            Access(url=url, headers={"Authorization": "Bearer k"}) if url.startswith("https://api.example/") else None
        )

    async def result(self, task):
        self.results.append(task.remote_id)
        answer = self.result_answer
        return answer(task) if callable(answer) else answer

    def times(self, remote_id):
        return [t for t, r in self.polls if r == remote_id]


class ScriptedFetcher:
    """Answers what the script says for the n-th try of an output; logs every try with its time and link."""

    def __init__(self, script=None, *, took=0.5):
        self.script = script or (lambda save, n: Copied(size=7, sha256="ab", content_type="video/mp4", seconds=0.5))
        self.took = took
        self.tries = []
        self.accesses = {}

    async def fetch(self, save, part, *, bounds, home, access, grows):
        self.tries.append((asyncio.get_running_loop().time(), save.key, save.url))
        self.accesses[save.key] = (home, await access(save.url) if save.needs_auth else None)
        n = sum(1 for _, key, _ in self.tries if key == save.key)
        await asyncio.sleep(self.took)
        return self.script(save, n)


class ScriptedSender:
    """Answers what the script says for the n-th attempt of a delivery."""

    def __init__(self, script=None):
        self.script = script or (lambda delivery, n: Accepted(http_status=204, seconds=0.01))
        self.sent: list[tuple[float, str, str]] = []
        self.counts: Counter[tuple[str, str]] = Counter()

    async def send(self, delivery, event):
        self.sent.append((asyncio.get_running_loop().time(), delivery.endpoint, event.id))
        self.counts[delivery.endpoint, event.id] += 1
        n = self.counts[delivery.endpoint, event.id]
        await asyncio.sleep(0.01)
        answer = self.script(delivery, n)
        return await answer if asyncio.iscoroutine(answer) else answer


class Tally:
    """An Observer that remembers."""

    def __init__(self):
        self.polls, self.crashes, self.attempts, self.saves, self.gone = [], [], [], [], []

    def polled(self, lane, result, *, lateness, seconds):
        self.polls.append((lane, str(result), lateness))

    def ended(self, lane, outcome, *, polls, delay):
        pass

    def saved(self, lane, result, *, size, seconds):
        self.saves.append((lane, str(result), size))

    def attempted(self, endpoint, result, *, seconds, first_after):
        self.attempts.append((endpoint, str(result), first_after))

    def endpoint_gone(self, endpoint):
        self.gone.append(endpoint)

    def work_crashed(self, kind):
        self.crashes.append(kind)


def endpoint(name="default", **changes):
    made = Endpoint(
        name=name,
        url=f"https://{name}.example/hook",
        keys=(hmac_key(encode_secret(b"k" * 24)),),
        schedule=(5.0, 30.0, 120.0),
    )
    return replace(made, **changes)


class World:
    """The engine whole, in memory and virtual time."""

    def __init__(self, *, seed=1, max_tasks=1000, cap=100, delivery_cap=50, endpoints=("default",), sender=None):
        loop = asyncio.get_running_loop()
        self.step = 0.0
        self.dice = random.Random(seed)
        self.store = MemoryStore()
        self.sender = sender or ScriptedSender()
        self.tally = Tally()
        self.endpoints = {name: endpoint(name) for name in endpoints}
        self.clock = Clock(now=loop.time, now_at=lambda: EPOCH + loop.time() + self.step)
        dice = Dice(roll=self.dice.random, bits=self.dice.getrandbits)
        self.courier = Courier(
            outbox=self.store, ledger=self.store, sender=self.sender,
            find=lambda name, url: self.endpoints.get(name) or (endpoint(name, url=url) if url else None),
            origin=lambda url: "/".join(url.split("/")[:3]), clock=self.clock, dice=dice, observer=self.tally,
            max_in_flight=delivery_cap,
        )  # fmt: skip
        self.fetcher = ScriptedFetcher()
        self.room = Room(bounds=SaveBounds(schedule=(5.0, 30.0, 120.0)), free=lambda: 10**12, now=loop.time)
        self.downloads = Downloads(
            saves=self.store, shelf=self.store, fetcher=self.fetcher, room=self.room, alert=self.courier.alerts.tell,
            clock=self.clock, dice=dice, observer=self.tally, max_in_flight=8,
        )  # fmt: skip
        self.watcher = Watcher(
            watchlist=self.store, shelf=self.store, courier=self.courier, downloads=self.downloads, clock=self.clock, dice=dice,
            observer=self.tally, max_in_flight=cap,
        )  # fmt: skip
        self.rechecker = Rechecker(
            watcher=self.watcher, watchlist=self.store, rechecks=self.store, courier=self.courier, clock=self.clock,
            mint=Mint(clock=self.clock, dice=dice), on_crash=self.tally.work_crashed,
        )  # fmt: skip
        self.desk = TaskDesk(self.watcher, self.store, self.store, clock=self.clock, dice=dice, max_tasks=max_tasks)

    def lane(
        self, name="amux", provider=None, *, rate=float("inf"), burst=1.0, slots=50, typical=5.0, min_gap=1.0, **facts
    ):
        provider = provider or ScriptedProvider()
        pace = Pace(rate=rate, burst=burst)
        lane = Lane(name=name, slots=slots, pace=pace, breaker=Breaker(Temper()), party=provider.party)
        facts = AccountFacts(
            preset=name, base_url="https://api.example", key_mark="m1", concurrency=slots, rate=rate, burst=burst,
            min_gap=min_gap, max_gap=30.0, deadline=3600.0, typical=typical, price=0.15, **facts,
        )  # fmt: skip
        self.watcher.accounts[name] = Account(
            lane=lane, provider=provider, patience=Patience(backoff=min_gap), facts=facts,
            cadence=LearnedCadence(
                typical=typical, price=0.15, bounds=Bounds(min_gap=min_gap, max_gap=30.0, retention=86400.0)
            ),
        )  # fmt: skip
        self.watcher.pump.add(lane)
        return provider

    async def register(self, remote_id, provider="amux", **more):
        (added,) = await self.desk.register([Application(provider=provider, remote_id=remote_id, **more)], None)
        return added

    async def __aenter__(self):
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        self._runs = [
            self._group.create_task(run)
            for run in (
                self.watcher.pump.run(),
                self.courier.pump.run(),
                self.downloads.pump.run(),
                self.watcher.run_sweeps(),
                self.rechecker.run(),
                self.courier.alerts.run(),
            )
        ]
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *failure):
        for run in self._runs:
            run.cancel()
        return await self._group.__aexit__(*failure)

    def reload(self, record):
        """Put a stored task back as a restart would."""
        self.watcher.watch(as_task(record, self.clock.shift))
