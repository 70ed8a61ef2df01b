"""A task that timed out is asked about for a day out of what its lane can spare; a late end is told once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from math import exp
from random import Random

import pytest

from daemon.core.event import Event
from daemon.core.late import recheck_gap
from daemon.core.observation import Ended, Missed, Output, Pending
from daemon.core.record import ToEndpoint
from daemon.core.task import Miss, Status
from tests.engine.fakes import ScriptedProvider, World, simulate

DAY = 86400.0
LIVE = Pending(status=Status.RUNNING)
DONE = Ended(outcome=Status.SUCCEEDED, outputs=(Output(url="https://x.example/v.mp4", kind="video"),))


class Slow(ScriptedProvider):
    """Tasks that live until *ends* seconds, and are then as *after* says."""

    def __init__(self, ends: float, after=DONE) -> None:
        super().__init__(lambda *_: after if asyncio.get_running_loop().time() >= ends else LIVE)


def types(world: World) -> list[str]:
    return [event.type for event in world.store.events if event.task_id is not None]


async def timed_out(world: World, **more):
    return (await world.register("job", deadline=100.0, target=ToEndpoint(name="default"), **more)).record


def test_a_success_after_the_deadline_is_told_once_and_the_status_stays():
    async def main():
        async with World() as world:
            world.lane(provider=Slow(5000.0), recheck_for=DAY)
            record = await timed_out(world)
            await asyncio.sleep(2 * DAY)

            assert types(world) == ["task.timed_out", "task.late"]
            told: Event = world.store.events[-1]
            data = json.loads(told.body)["data"]
            assert (data["task_id"], data["status"]) == (record.id, "succeeded")
            assert data["corrects"] == {"event_id": world.store.events[0].id, "status": "timed_out"}
            assert data["outputs"][0]["url"] == "https://x.example/v.mp4"
            shown = world.store.tasks[record.id]
            assert shown.status is Status.TIMED_OUT
            assert shown.late is not None
            assert (shown.late.status, shown.late.event_id) == (Status.SUCCEEDED, told.id)
            assert len(world.sender.sent) == 2
            assert world.rechecker.owed == world.store.rechecks == {}

    simulate(main)


def test_rechecks_are_slow_and_stop_after_their_day():
    async def main():
        async with World() as world:
            provider = world.lane(provider=Slow(10 * DAY), recheck_for=DAY)
            await timed_out(world)
            await asyncio.sleep(130)
            before = len(provider.times("job"))
            await asyncio.sleep(2 * DAY)

            later = provider.times("job")[before:]
            assert 20 < len(later) < 60
            assert later[-1] < 1.1 * DAY
            assert types(world) == ["task.timed_out"]
            assert world.store.rechecks == {}

    simulate(main)


@pytest.mark.parametrize("opted", ["registration", "lane"])
def test_who_opts_out_is_never_asked_again(opted):
    async def main():
        async with World() as world:
            provider = world.lane(provider=Slow(1000.0), recheck_for=0.0 if opted == "lane" else DAY)
            await timed_out(world, recheck=False if opted == "registration" else None)
            await asyncio.sleep(DAY)

            assert types(world) == ["task.timed_out"]
            assert provider.times("job")[-1] < 110

    simulate(main)


def test_a_task_that_was_lost_is_not_asked_about():
    async def main():
        async with World() as world:
            provider = world.lane(provider=Slow(0.0, Missed(miss=Miss.NOT_FOUND, detail="no")), recheck_for=DAY)
            await world.register("job")
            await asyncio.sleep(DAY)

            assert types(world) == ["task.lost"]
            assert provider.times("job")[-1] < 200

    simulate(main)


def test_a_job_the_provider_no_longer_knows_is_given_up():
    async def main():
        async with World() as world:
            provider = world.lane(provider=Slow(200.0, Missed(miss=Miss.NOT_FOUND, detail="no")), recheck_for=DAY)
            await timed_out(world)
            await asyncio.sleep(DAY)

            assert types(world) == ["task.timed_out"]
            assert len([at for at in provider.times("job") if at > 200]) == 3
            assert world.store.rechecks == {}

    simulate(main)


def test_a_job_that_is_watched_anew_is_not_told_twice():
    async def main():
        async with World() as world:
            world.lane(provider=Slow(5000.0), recheck_for=DAY)
            await timed_out(world)
            await asyncio.sleep(200)
            await world.register("job", deadline=9000.0)
            await asyncio.sleep(DAY)

            assert types(world) == ["task.timed_out", "task.succeeded"]
            assert world.store.rechecks == {}

    simulate(main)


def test_a_lane_in_trouble_or_with_work_due_spares_nothing():
    async def main():
        async with World() as world:
            provider = world.lane(provider=Slow(10 * DAY), recheck_for=DAY, rate=0.01)
            await timed_out(world)
            await asyncio.sleep(200)
            world.watcher.accounts["amux"].lane.hold(8000.0, "told to")
            before = len(provider.times("job"))
            await asyncio.sleep(5000)
            assert len(provider.times("job")) == before
            await asyncio.sleep(5000)
            assert len(provider.times("job")) > before

    simulate(main)


def test_what_was_owed_before_a_restart_is_owed_after_it():
    async def main():
        async with World() as world:
            world.lane(provider=Slow(5000.0), recheck_for=DAY)
            record = await timed_out(world)
            await asyncio.sleep(150)
            world.rechecker.owed.clear()
            assert await world.rechecker.recover() == 1
            await asyncio.sleep(DAY)

            assert types(world) == ["task.timed_out", "task.late"]
            assert world.store.tasks[record.id].late is not None

    simulate(main)


def test_gaps_between_rechecks_grow_and_never_outlast_what_the_provider_remembers():
    assert recheck_gap(0.0, DAY) == 60.0
    assert recheck_gap(4000.0, DAY) == 1000.0
    assert recheck_gap(DAY, DAY) == 3600.0
    assert recheck_gap(DAY, 1200.0) == 600.0


def test_a_deadline_nobody_set_follows_what_was_learned_and_is_never_shorter_than_the_presets():
    async def main():
        async with World() as world:
            world.lane(learns_deadline=True, typical=2000.0)
            cadence = world.watcher.accounts["amux"].cadence
            fresh = (await world.register("fresh", model="slow")).record
            dice = Random(2)
            for _ in range(60):
                took = 3400.0 * exp(0.4 * dice.gauss(0, 1))
                cadence.whole.ended("slow", took, took + 20, has_succeeded=True)
                cadence.whole.ended("fast", 10.0, 12.0, has_succeeded=True)

            slow = (await world.register("slow", model="slow")).record
            fast = (await world.register("fast", model="fast")).record
            asked = (await world.register("asked", model="slow", deadline=60.0)).record

            assert fresh.deadline_at - fresh.registered_at == pytest.approx(3600.0)
            assert 9000.0 < slow.deadline_at - slow.registered_at < 30000.0
            assert fast.deadline_at - fast.registered_at == pytest.approx(3600.0)
            assert asked.deadline_at - asked.registered_at == pytest.approx(60.0)
            account = world.watcher.accounts["amux"]
            account.facts = replace(account.facts, learns_deadline=False)
            assert account.deadline_of("slow") == 3600.0

    simulate(main)


def test_a_recheck_that_finds_the_key_refused_alerts_once_and_parks_the_lane():
    async def main():
        async with World(endpoints=("default", "ops")) as world:
            refused = Missed(miss=Miss.UNAUTHORIZED, detail="no", http_status=401)
            world.lane(provider=Slow(200.0, refused), recheck_for=DAY)
            await timed_out(world)
            await asyncio.sleep(DAY / 2)

            assert world.watcher.accounts["amux"].is_parked
            assert [e.type for e in world.store.events if e.task_id is None] == ["provider.credentials_rejected"]

    simulate(main)


def test_after_an_outage_a_lane_without_live_tasks_is_probed_by_its_rechecks():
    async def main():
        async with World() as world:
            down = Missed(miss=Miss.NETWORK, detail="no route")
            provider = Slow(0.0)
            provider.script = lambda *_: down if 150 < (at := asyncio.get_running_loop().time()) < 4000 else (
                DONE if at >= 4000 else LIVE
            )  # fmt: skip
            world.lane(provider=provider, recheck_for=DAY)
            for n in range(6):
                await world.register(f"job-{n}", deadline=100.0)
            await asyncio.sleep(3900)
            assert world.watcher.accounts["amux"].lane.breaker.is_open
            await asyncio.sleep(DAY / 2)

            assert not world.watcher.accounts["amux"].lane.breaker.is_open
            assert types(world).count("task.late") == 6

    simulate(main)


def test_rechecks_whose_day_is_over_are_dropped_though_their_lane_spares_nothing():
    async def main():
        async with World() as world:
            world.lane(provider=Slow(10 * DAY), recheck_for=DAY)
            await timed_out(world)
            await asyncio.sleep(200)
            world.watcher.accounts["amux"].lane.hold(5 * DAY, "told to")
            await asyncio.sleep(2 * DAY)

            assert world.rechecker.owed == world.store.rechecks == {}

    simulate(main)


def test_a_bug_in_one_recheck_stops_neither_the_others_nor_the_daemon():
    async def main():
        async with World() as world:

            def crash(remote_id, _n):
                if remote_id == "bad" and asyncio.get_running_loop().time() > 150:
                    raise ZeroDivisionError
                return DONE if asyncio.get_running_loop().time() > 500 else LIVE

            world.lane(provider=ScriptedProvider(crash), recheck_for=DAY)
            await world.register("bad", deadline=100.0)
            await world.register("good", deadline=100.0)
            await asyncio.sleep(DAY / 2)

            assert types(world).count("task.late") == 1
            assert set(world.tally.crashes) == {"recheck"}
            assert len(world.tally.crashes) < 20

    simulate(main)


def test_where_a_lane_cannot_spare_a_request_for_each_the_longest_due_go_first():
    async def main():
        async with World() as world:
            provider = world.lane(provider=Slow(10 * DAY), recheck_for=DAY, rate=0.05, burst=1.0)
            for n in range(120):
                await world.register(f"job-{n}", deadline=100.0)
            await asyncio.sleep(3 * 3600.0)

            asked = {remote_id for at, remote_id in provider.polls if at > 2000}
            assert len(asked) == 120

    simulate(main)


def test_rechecks_say_nothing_of_how_long_tasks_wait_in_a_queue():
    async def main():
        async with World() as world:
            world.lane(provider=Slow(10 * DAY), recheck_for=DAY, min_gap=60.0)
            record = await timed_out(world)
            await asyncio.sleep(130)
            cadence = world.watcher.accounts["amux"].cadence
            before = cadence._waiting
            assert world.store.tasks[record.id].polls == 2
            await asyncio.sleep(DAY / 2)

            assert cadence._waiting == before

    simulate(main)


def test_tasks_past_those_that_are_asked_about_leave_nothing_behind():
    async def main():
        async with World() as world:
            world.lane(provider=Slow(10 * DAY), recheck_for=DAY)
            world.rechecker.most = 2
            for n in range(5):
                await world.register(f"job-{n}", deadline=100.0)
            await asyncio.sleep(300)

            assert len(world.rechecker.owed) == len(world.store.rechecks) == 2

    simulate(main)
