"""What two people do to one endpoint at a time, and to one whose attempts are in flight."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from daemon.core.delivery import Accepted, DeliveryState, Refusal, Refused
from daemon.core.event import operational_event
from daemon.core.ids import EventId
from daemon.core.record import ToEndpoint
from daemon.engine import courier as courier_module
from tests.engine.fakes import ScriptedSender, World, endpoint, simulate

OK = Accepted(http_status=200, seconds=0.01)
GONE = Refused(refusal=Refusal.GONE, detail="answered 410 Gone", seconds=0.01, http_status=410)
DAY = 86400.0


def refused(status):
    return Refused(refusal=Refusal.HTTP, detail=f"answered {status}", seconds=0.01, http_status=status)


async def publish(world, count=1, name="default"):
    return [await world.courier.send_test("test.event", {"n": n}, name) for n in range(count)]


def state(world, delivery):
    return world.store.deliveries[delivery][1]


def kinds(world):
    return Counter(event.type for event in world.store.events)


def later(answer, seconds=5.0):
    async def answered():
        await asyncio.sleep(seconds)
        return answer

    return answered()


def test_ten_410s_at_once_disable_an_endpoint_once_and_tell_ops_once():
    async def main():
        sender = ScriptedSender(lambda d, n: OK if d.endpoint == "ops" else later(GONE))
        async with World(sender=sender, endpoints=("default", "ops")) as world:
            world.courier._lanes.of("default", None).window = 10.0
            await publish(world, 10)
            await asyncio.sleep(20)

            assert sum(name == "default" for _, name, _ in sender.sent) > 3
            assert kinds(world)["endpoint.disabled"] == 1

    simulate(main)


def test_who_disables_a_disabled_endpoint_again_leaves_the_rule_and_moment_of_the_first_time():
    async def main():
        async with World(endpoints=("default", "ops")) as world:
            await world.courier.parking.disable("default", "answered 410 Gone", "410")
            first = world.courier.standing.disabled("default")
            await asyncio.sleep(60)
            await world.courier.parking.disable("default", "disabled by an operator", "operator")

            assert world.courier.standing.disabled("default") == first
            assert kinds(world)["endpoint.disabled"] == 1

    simulate(main)


@pytest.mark.parametrize("answer", [GONE, refused(500)])
def test_the_answer_of_an_address_the_endpoint_no_longer_has_decides_nothing(answer):
    async def main():
        sender = ScriptedSender(lambda d, n: later(answer) if n == 1 else OK)
        async with World(sender=sender, endpoints=("default", "ops")) as world:
            (delivery,) = await publish(world)
            await asyncio.sleep(1)
            world.endpoints["default"] = endpoint(url="https://new.example/hook")
            world.courier.look_again("default")
            await asyncio.sleep(6)

            assert world.courier.standing.disabled("default") is None
            assert state(world, delivery) is DeliveryState.DELIVERED
            assert "no longer" in world.store.attempts[delivery][0].next_why

    simulate(main)


def test_a_410_to_a_deleted_endpoint_does_not_disable_the_next_of_its_name():
    async def main():
        sender = ScriptedSender(lambda d, n: later(GONE) if n == 1 else OK)
        async with World(sender=sender) as world:
            (delivery,) = await publish(world)
            await asyncio.sleep(1)
            before = world.endpoints.pop("default")
            world.courier.forget_endpoint("default")
            await world.courier.parking.park("default", "the endpoint was deleted")
            await asyncio.sleep(6)
            assert state(world, delivery) is DeliveryState.PARKED
            world.endpoints["default"] = before
            await world.courier.parking.release(["default"])
            await asyncio.sleep(5)

            assert world.courier.standing.disabled("default") is None
            assert state(world, delivery) is DeliveryState.DELIVERED

    simulate(main)


@pytest.mark.parametrize("last", ["enable", "disable"])
def test_enabling_and_disabling_at_once_ends_as_the_last_word_was(last):
    async def main():
        sender = ScriptedSender(lambda d, n: later(OK, 1000.0))
        async with World(sender=sender) as world:
            parking = world.courier.parking
            made = await publish(world, 3_500)
            await parking.disable("default", "by hand", "operator")
            words = {
                "enable": lambda: parking.enable("default"),
                "disable": lambda: parking.disable("default", "x", "y"),
            }
            order = ("disable", "enable") if last == "enable" else ("enable", "disable")
            if last == "enable":
                await parking.enable("default")
            async with asyncio.TaskGroup() as group, asyncio.timeout(60):
                for word in order:
                    group.create_task(words[word]())
                    await asyncio.sleep(0.0025)

            wanted = DeliveryState.PENDING if last == "enable" else DeliveryState.PARKED
            assert {state(world, one) for one in made} == {wanted}

    simulate(main)


def test_a_name_that_is_made_again_while_its_deletion_parks_keeps_nothing_parked():
    async def main():
        async with World() as world:
            made = await publish(world, 3_500)
            before = world.endpoints.pop("default")
            async with asyncio.TaskGroup() as group, asyncio.timeout(60):
                group.create_task(world.courier.parking.park("default", "the endpoint was deleted"))
                await asyncio.sleep(0.0015)
                world.endpoints["default"] = before
                group.create_task(world.courier.parking.release(["default"]))
            await asyncio.sleep(60)

            assert {state(world, one) for one in made} == {DeliveryState.DELIVERED}

    simulate(main)


def test_an_endpoint_that_answers_nothing_but_404_is_disabled_by_the_rule_of_days():
    async def main():
        sender = ScriptedSender(lambda d, n: OK if d.endpoint == "ops" else refused(404))
        async with World(sender=sender, endpoints=("default", "ops")) as world:
            world.endpoints["default"] = endpoint(schedule=(5.0, 3600.0, DAY, DAY, DAY), disable_after=2 * DAY)
            await publish(world, 3)
            await asyncio.sleep(2 * DAY - 3600)
            early = world.courier.standing.disabled("default")
            failing = world.courier.standing.failing("default")
            await asyncio.sleep(DAY)

            assert early is None
            assert failing is not None
            _, reason = world.courier.standing.disabled("default")
            assert "disable_after = 2d" in reason
            assert "answered 404" in reason
            assert kinds(world)["endpoint.disabled"] == 1

    simulate(main)


def test_one_event_that_is_refused_for_days_does_not_make_an_endpoint_fail_nor_do_some_among_others():
    async def main():
        refusing = {}
        sender = ScriptedSender(lambda d, n: refused(413) if d.id in refusing else OK)
        async with World(sender=sender) as world:
            world.endpoints["default"] = endpoint(schedule=(5.0,) * 8, disable_after=3600.0)
            event = operational_event(EventId("msg_big"), "big", {}, created_at=0.0)
            for owed in (world.courier.owe(ToEndpoint(name="default"), event),):
                refusing[owed[0].delivery.id] = True
                await world.store.publish(event, owed)
                world.courier.take(owed, event)
            await asyncio.sleep(100)
            assert world.courier.standing.failing("default") is None

            first = await publish(world, 4)
            refusing.update(dict.fromkeys(first[:2], True))
            await asyncio.sleep(3 * 3600)

            assert world.courier.standing.disabled("default") is None

    simulate(main)


def test_the_events_kept_ready_for_their_first_try_are_bounded_in_bytes(monkeypatch):
    async def main():
        monkeypatch.setattr(courier_module, "FRESH_BYTES", 10_000)
        sender = ScriptedSender(lambda d, n: later(OK, 50.0))
        async with World(sender=sender) as world:
            for n in range(100):
                event = operational_event(EventId(f"msg_{n:03}"), "big", {"text": "x" * 1_000}, created_at=0.0)
                owed = world.courier.owe(ToEndpoint(name="default"), event)
                await world.store.publish(event, owed)
                world.courier.take(owed, event)

            assert sum(len(event.body) for _, event in world.courier._fresh.values()) <= 10_000
            await asyncio.sleep(3_000)
            assert not world.courier._fresh
            assert world.courier._fresh_bytes == 0
            assert {each[1] for each in world.store.deliveries.values()} == {DeliveryState.DELIVERED}

    simulate(main)


def test_a_replay_of_thousands_stands_in_the_line_of_retries_and_holds_up_nothing_new():
    async def main():
        sender = ScriptedSender(lambda d, n: later(OK, 0.5))
        async with World(sender=sender) as world:
            old = await publish(world, 2_000)
            await asyncio.sleep(400)
            assert {state(world, one) for one in old} == {DeliveryState.DELIVERED}
            for one in old:
                delivery, _, due, reason = world.store.deliveries[one]
                world.store.deliveries[one] = (replace(delivery, tries=0), DeliveryState.PENDING, due, reason)
                world.courier.plan_again(world.store.deliveries[one][0])
            await asyncio.sleep(5)

            (new,) = await publish(world)
            await asyncio.sleep(2)

            assert state(world, new) is DeliveryState.DELIVERED
            assert sum(state(world, one) is DeliveryState.PENDING for one in old) > 1_000
            await asyncio.sleep(400)
            assert {state(world, one) for one in old} == {DeliveryState.DELIVERED}

    simulate(main)
