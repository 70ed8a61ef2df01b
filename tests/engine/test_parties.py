"""Tasks that are due together ride in one request where the provider can tell several at once."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from daemon.core.observation import Ended, Missed, Pending
from daemon.core.task import Miss, Status
from tests.engine.fakes import ScriptedProvider, World, simulate

RUNNING = Pending(status=Status.RUNNING)


class Choir(ScriptedProvider):
    """A provider that can be asked for ten at once."""

    party = 10


def test_due_tasks_ride_together_within_the_rate_and_the_bound():
    async def main():
        async with World() as world:
            provider = world.lane(provider=Choir(), rate=1.0, slots=1)
            for n in range(40):
                await world.register(f"r{n}")
            await asyncio.sleep(60)

            sizes = [len(ids) for _, ids in provider.parties]
            times = sorted([t for t, _ in provider.parties] + [t for t, _ in provider.polls])
            assert max(sizes) == 10
            assert sum(sizes) > 4 * len(times), "most polls ride"
            assert min(b - a for a, b in pairwise(times)) > 0.99
            assert {i for _, ids in provider.parties for i in ids} == {f"r{n}" for n in range(40)}

    simulate(main)


def test_each_rider_is_judged_by_its_own_answer_and_ends_once():
    async def main():
        async with World() as world:
            provider = Choir()
            provider.tell_many = lambda tasks: {
                t.id: Ended(outcome=Status.FAILED) if t.remote_id.endswith("3") else RUNNING for t in tasks
            }
            world.lane(provider=provider, rate=1.0, slots=1)
            added = [await world.register(f"r{n}") for n in range(20)]
            await asyncio.sleep(60)

            ended = {a.record.remote_id for a in added if world.store.tasks[a.record.id].status.is_terminal}
            assert ended == {"r3", "r13"}
            assert len(world.store.events) == 2

    simulate(main)


def test_one_that_the_answer_leaves_out_is_asked_for_alone_from_then_on():
    async def main():
        async with World() as world:
            provider = Choir()
            provider.tell_many = lambda tasks: {t.id: RUNNING for t in tasks if t.remote_id != "shy"}
            world.lane(provider=provider, rate=1.0, slots=1)
            for name in ("shy", *(f"r{n}" for n in range(12))):
                await world.register(name)
            await asyncio.sleep(120)

            assert sum("shy" in ids for _, ids in provider.parties) == 1
            assert len(provider.times("shy")) > 3

    simulate(main)


def test_one_failed_request_for_many_is_one_failure_of_the_lane():
    async def main():
        async with World() as world:
            provider = Choir()
            failing = {"once": True}

            def tell(tasks):
                if failing.pop("once", False):
                    return {t.id: Missed(miss=Miss.SERVER_ERROR, detail="502", http_status=502) for t in tasks}
                return {t.id: RUNNING for t in tasks}

            provider.tell_many = tell
            world.lane(provider=provider, rate=1.0, slots=1)
            for n in range(10):
                await world.register(f"r{n}")
            await asyncio.sleep(8)

            assert world.watcher.accounts["amux"].lane.breaker.failures <= 1
            assert not world.watcher.accounts["amux"].lane.breaker.is_open

    simulate(main)


def test_a_bug_in_a_request_for_many_rests_them_all_and_loses_none():
    async def main():
        async with World() as world:
            provider = Choir()
            broken = {"yes": True}

            def tell(tasks):
                if broken["yes"]:
                    raise RuntimeError("boom")
                return {t.id: RUNNING for t in tasks}

            provider.tell_many = tell
            world.lane(provider=provider, rate=10.0, slots=1)
            for n in range(10):
                await world.register(f"r{n}")
            await asyncio.sleep(30)
            broken["yes"] = False
            await asyncio.sleep(200)

            late = {i for t, ids in provider.parties for i in ids if t > 150} | {
                i for t, i in provider.polls if t > 150
            }
            assert late == {f"r{n}" for n in range(10)}
            assert world.tally.crashes

    simulate(main)


def test_loners_pay_their_own_slot_and_rate():
    async def main():
        async with World() as world:
            provider = Choir()
            provider.tell_many = lambda tasks: {}
            world.lane(provider=provider, rate=1.0, slots=2)
            for n in range(50):
                await world.register(f"r{n}")
            await asyncio.sleep(120)

            times = sorted([t for t, _ in provider.parties] + [t for t, _ in provider.polls])
            assert len(times) > 60
            assert min(b - a for a, b in pairwise(times)) > 0.99
            assert provider.most_out <= 2

    simulate(main)
