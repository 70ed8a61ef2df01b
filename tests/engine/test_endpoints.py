"""An endpoint's bad days in virtual time: outage and return, a rule of days, filters, a backlog beside what is new."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from daemon.core.delivery import Accepted, DeliveryState, Refusal, Refused
from daemon.core.event import operational_event
from daemon.core.ids import EventId
from daemon.core.record import ToEndpoint, ToUrl
from tests.engine.fakes import ScriptedSender, World, endpoint, simulate

OK = Accepted(http_status=200, seconds=0.01)
DOWN = Refused(refusal=Refusal.CONNECT, detail="connection refused", seconds=0.01)
DAY = 86400.0
SCHEDULE = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 21600.0, 43200.0, 86400.0, 86400.0)


def now() -> float:
    return asyncio.get_running_loop().time()


async def publish(world, count=1, name="default"):
    return [await world.courier.send_test("test.event", {"n": n}, name) for n in range(count)]


def state(world, delivery):
    return world.store.deliveries[delivery][1]


def test_ten_thousand_events_owed_over_three_days_of_outage_arrive_once_each_oldest_first_at_a_rising_rate():
    async def main():
        sender = ScriptedSender(lambda d, n: DOWN if now() < 3 * DAY else OK)
        async with World(sender=sender) as world:
            world.endpoints["default"] = endpoint("default", schedule=SCHEDULE, disable_after=5 * DAY)
            made = []
            for _ in range(10_000):
                made += await publish(world)
                await asyncio.sleep(3 * DAY / 10_000 - 0.01)
            probes = len(sender.sent)
            await asyncio.sleep(900)

            states = {state(world, one) for one in made}
            arrived = [(at, event) for at, _, event in sender.sent if at >= 3 * DAY]
            order = [event for _, event in arrived]
            wanted = [world.store.deliveries[one][0].event_id for one in made]
            assert states == {DeliveryState.DELIVERED}
            assert len(order) == len(set(order))
            assert order[1:] == [event for event in wanted if event != order[0]]
            assert probes < 3 * DAY / 250
            began = arrived[0][0]
            per_ten = [sum(began + 10 * n <= at < began + 10 * (n + 1) for at, _ in arrived) for n in range(4)]
            assert per_ten[0] < 70
            assert all(later > 3 * earlier for earlier, later in pairwise(per_ten))
            assert arrived[-1][0] - began < 60

    simulate(main)


def test_an_outage_costs_no_delivery_its_schedule():
    async def main():
        sender = ScriptedSender(lambda d, n: DOWN if now() < DAY else OK)
        async with World(sender=sender) as world:
            world.endpoints["default"] = endpoint("default", schedule=(5.0, 30.0))
            made = await publish(world, 10)
            await asyncio.sleep(DAY + 400)

            assert {state(world, one) for one in made} == {DeliveryState.DELIVERED}

    simulate(main)


def test_an_endpoint_that_fails_for_its_days_is_disabled_with_rule_and_moment_and_ops_is_told_first():
    async def main():
        sender = ScriptedSender(lambda d, n: OK if d.endpoint == "ops" else DOWN)
        async with World(sender=sender, endpoints=("default", "ops")) as world:
            world.endpoints["default"] = endpoint("default", schedule=SCHEDULE, disable_after=2 * DAY)
            made = await publish(world, 20)
            await asyncio.sleep(2 * DAY - 600)
            early = world.courier.standing.disabled("default")
            await asyncio.sleep(1200)

            at, reason = world.courier.standing.disabled("default")
            assert early is None
            assert "disable_after = 2d" in reason
            assert "no success since 2025-11-21T" in reason
            assert 2 * DAY <= at - world.courier.standing.failing("default")[0] < 2 * DAY + 600
            assert {state(world, one) for one in made} == {DeliveryState.PARKED}
            told = [e for e in world.store.events if e.type == "endpoint.disabled"]
            assert len(told) == 1
            assert b'"rule":"failing"' in told[0].body
            assert told[0].created_at <= at
            assert world.store.deliveries[max(world.store.deliveries)][0].endpoint == "ops"

    simulate(main)


@pytest.mark.parametrize("step", [30 * DAY, -30 * DAY])
def test_a_clock_step_disables_nothing_and_puts_nothing_off(step):
    async def main():
        async with World(sender=ScriptedSender(lambda d, n: DOWN)) as world:
            world.endpoints["default"] = endpoint("default", schedule=SCHEDULE, disable_after=2 * DAY)
            await publish(world, 20)
            await asyncio.sleep(DAY)
            world.step = step
            await asyncio.sleep(0.9 * DAY)
            early = world.courier.standing.disabled("default")
            await asyncio.sleep(0.2 * DAY)

            assert early is None
            assert world.courier.standing.disabled("default") is not None

    simulate(main)


def test_one_success_begins_the_days_anew_and_how_long_it_fails_outlives_a_restart():
    async def main():
        sender = ScriptedSender(lambda d, n: DOWN)
        async with World(sender=sender) as world:
            world.endpoints["default"] = endpoint("default", schedule=SCHEDULE)
            await publish(world, 20)
            await asyncio.sleep(2 * DAY)
            standing = world.courier.standing
            await standing.load()
            kept = standing.has_failed_for("default", 1.9 * DAY)
            await asyncio.sleep(3700)
            after_an_hour = standing.has_failed_for("default", 1.9 * DAY)
            sender.script = lambda d, n: OK
            await asyncio.sleep(400)

            assert (kept, after_an_hour) == (False, True)
            assert standing.failing("default") is None
            assert world.store.saved_endpoints["default"].failing_since is None

    simulate(main)


def test_an_event_that_an_endpoint_does_not_want_is_not_owed():
    async def main():
        async with World() as world:
            wants = world.endpoints["default"]
            event = operational_event(EventId("msg_1"), "task.failed", {"provider": "amux", "n": 7}, created_at=0.0)
            for changes, is_owed in (
                ({"events": ("task.succeeded",)}, False),
                ({"events": ("task.*",)}, True),
                ({"providers": ("other",)}, False),
                ({"providers": ("amux", "other")}, True),
                ({"where": "data.n > `10`"}, False),
                ({"where": "data.n"}, True),
                ({"where": "data.nothing"}, False),
                ({"where": "length(data.n) > `1`"}, True),
            ):
                world.endpoints["default"] = replace(wants, **changes)
                assert bool(world.courier.owe(ToEndpoint(name="default"), event)) is is_owed, changes

    simulate(main)


def test_a_backlog_of_retries_does_not_delay_what_is_new():
    async def main():
        async def slow_refusal():
            await asyncio.sleep(5)
            return Refused(refusal=Refusal.HTTP, detail="HTTP 422", seconds=5.0, http_status=422)

        bad = set()
        sender = ScriptedSender(lambda d, n: slow_refusal() if d.id in bad else OK)
        async with World(sender=sender) as world:
            world.endpoints["default"] = endpoint("default", schedule=(5.0,) * 50, concurrency=8)
            await publish(world, 20)
            await asyncio.sleep(60)
            sender.script = lambda d, n: slow_refusal()
            bad.update(await publish(world, 200))
            await asyncio.sleep(300)
            sender.script = lambda d, n: slow_refusal() if d.id in bad else OK
            took = []
            for _ in range(20):
                began = now()
                (fresh,) = await publish(world)
                while state(world, fresh) is DeliveryState.PENDING:
                    await asyncio.sleep(0.05)
                took.append(now() - began)
                await asyncio.sleep(3)

            assert max(took) < 0.5

    simulate(main)


def test_what_was_parked_comes_back_in_steps_of_a_thousand():
    async def main():
        async with World() as world:
            await world.courier.standing.disable("default", "by hand")
            steps = []
            kept = world.store.unpark

            async def unpark(name, at, limit):
                moved = await kept(name, at, limit)
                steps.append(len(moved))
                return moved

            world.store.unpark = unpark
            await publish(world, 2500)
            await world.courier.parking.enable("default")
            await asyncio.sleep(60)

            assert steps == [1000, 1000, 500, 0]
            assert all(one[1] is DeliveryState.DELIVERED for one in world.store.deliveries.values())

    simulate(main)


@pytest.mark.parametrize("last", ["enable", "disable", "gone"])
def test_callers_who_disagree_about_an_endpoint_do_not_undo_each_other_for_ever(last):
    async def main():
        async with World() as world:
            parking = world.courier.parking
            await world.courier.standing.disable("default", "by hand")
            made = await publish(world, 2500)
            turns = [
                parking.enable("default"),
                parking.disable("default", "by hand", "operator"),
                parking.enable("default"),
            ]
            if last == "disable":
                turns.append(parking.disable("default", "by hand", "operator"))

            async with asyncio.timeout(30):
                tasks = []
                for turn in turns:
                    tasks.append(asyncio.create_task(turn))
                    await asyncio.sleep(0.0035)
                if last == "gone":
                    world.endpoints.clear()
                    await parking.park("default", "gone")
                await asyncio.gather(*tasks)
            await asyncio.sleep(60)

            states = {state(world, one) for one in made} - {DeliveryState.DELIVERED}
            assert states == (set() if last == "enable" else {DeliveryState.PARKED})

    simulate(main)


def test_a_failing_url_of_a_registration_leaves_no_row_behind():
    async def main():
        async with World(sender=ScriptedSender(lambda d, n: DOWN)) as world:
            for n in range(20):
                event = operational_event(EventId(f"msg_{n}"), "t", {}, created_at=0.0)
                owed = world.courier.owe(ToUrl(url="https://hooks.example/x"), event)
                await world.store.publish(event, owed)
                world.courier.take(owed, event)
            await asyncio.sleep(600)

            assert world.courier.pump.lanes["https://hooks.example"].breaker.is_open
            assert world.store.saved_endpoints == {}

    simulate(main)
