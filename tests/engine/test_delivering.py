"""The delivering half in virtual time: at least once, isolated, retried, parked or dead with a reason."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from daemon.core.delivery import Accepted, DeliveryState, Refusal, Refused
from daemon.core.event import operational_event
from daemon.core.record import ToEndpoint, ToUrl
from daemon.engine.delivery_desk import DeliveryDesk
from tests.engine.fakes import ScriptedSender, World, endpoint, simulate

OK = Accepted(http_status=200, seconds=0.01)
DOWN = Refused(refusal=Refusal.CONNECT, detail="connection refused", seconds=0.01)


def http(status, **more):
    refusal = Refusal.GONE if status == 410 else Refusal.HTTP
    return Refused(refusal=refusal, detail=f"HTTP {status}", seconds=0.01, http_status=status, **more)


async def publish(world, count=1, endpoint="default"):
    return [await world.courier.send_test("test.event", {"n": n}, endpoint) for n in range(count)]


def state(world, delivery_id):
    return world.store.deliveries[delivery_id][1]


def test_a_refused_delivery_is_tried_again_by_the_schedule_with_the_same_id():
    async def main():
        sender = ScriptedSender(lambda d, n: OK if n == 3 else http(500))
        async with World(sender=sender) as world:
            (delivery,) = await publish(world)
            await asyncio.sleep(100)

            assert state(world, delivery) is DeliveryState.DELIVERED
            times = [t for t, _, _ in sender.sent]
            gaps = [b - a for a, b in pairwise(times)]
            assert len({event for _, _, event in sender.sent}) == 1
            assert 2.5 <= gaps[0] <= 5.1
            assert 15 <= gaps[1] <= 30.1
            assert [a.number for a in world.store.attempts[delivery]] == [1, 2, 3]

    simulate(main)


def test_retry_after_is_obeyed():
    async def main():
        sender = ScriptedSender(lambda d, n: OK if n == 2 else http(503, retry_after=77.0))
        async with World(sender=sender) as world:
            await publish(world)
            await asyncio.sleep(200)

            assert 77.0 <= sender.sent[1][0] - sender.sent[0][0] < 79.0

    simulate(main)


def test_an_exhausted_delivery_is_dead_with_a_reason_and_told_to_ops():
    async def main():
        sender = ScriptedSender(lambda d, n: OK if d.endpoint == "ops" else http(500))
        async with World(sender=sender, endpoints=("default", "ops")) as world:
            (delivery,) = await publish(world)
            await asyncio.sleep(1000)

            assert state(world, delivery) is DeliveryState.DEAD
            assert "HTTP 500" in world.store.deliveries[delivery][3]
            assert len(world.store.attempts[delivery]) == 4
            assert "delivery.exhausted" in [e.type for e in world.store.events]

    simulate(main)


def test_410_disables_the_endpoint_parks_what_follows_and_enabling_sends_it():
    async def main():
        gone = {"yes": True}
        sender = ScriptedSender(lambda d, n: http(410) if gone["yes"] and d.endpoint == "default" else OK)
        async with World(sender=sender, endpoints=("default", "ops")) as world:
            (first,) = await publish(world)
            await asyncio.sleep(1)
            later = await publish(world, 5)
            await asyncio.sleep(1000)

            assert state(world, first) is DeliveryState.DEAD
            assert all(state(world, d) is DeliveryState.PARKED for d in later)
            assert "endpoint.disabled" in [e.type for e in world.store.events]
            assert world.store.saved_endpoints["default"].disabled_at is not None
            gone["yes"] = False
            desk = DeliveryDesk(world.courier, _Counting(world.store), lambda: world.endpoints, world.clock)
            view = await desk.enable("default")
            await asyncio.sleep(10)
            assert view.state == "ok"
            assert all(state(world, d) is DeliveryState.DELIVERED for d in later)

    simulate(main)


def test_410_from_an_ad_hoc_url_ends_that_delivery_alone():
    async def main():
        sender = ScriptedSender(lambda d, n: http(410) if d.url.endswith("gone") else OK)
        async with World(sender=sender) as world:
            owed = []
            for path in ("gone", "fine"):
                event = operational_event(world.courier._mint.event(), "t", {}, created_at=0.0)
                each = world.courier.owe(ToUrl(url=f"https://hooks.example/{path}"), event)
                await world.store.publish(event, each)
                world.courier.take(each, event)
                owed.append(each[0].delivery.id)
            await asyncio.sleep(10)

            assert [state(world, d) for d in owed] == [DeliveryState.DEAD, DeliveryState.DELIVERED]

    simulate(main)


def test_an_endpoint_that_is_down_is_probed_singly_and_nothing_is_dropped_when_it_returns():
    async def main():
        sender = ScriptedSender(lambda d, n: DOWN if asyncio.get_running_loop().time() < 3000 else OK)
        async with World(sender=sender) as world:
            world.endpoints["default"] = endpoint("default", schedule=(5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0))
            deliveries = await publish(world, 200)
            await asyncio.sleep(2900)
            assert len(sender.sent) < 40
            await asyncio.sleep(3 * 7200)

            assert all(state(world, d) is DeliveryState.DELIVERED for d in deliveries)

    simulate(main)


def test_fifty_hanging_endpoints_leave_room_for_a_healthy_one():
    async def main():
        async def hang():
            await asyncio.sleep(20)
            return Refused(refusal=Refusal.TIMEOUT, detail="no answer in 20 s", seconds=20.0)

        sender = ScriptedSender(lambda d, n: hang() if d.endpoint.startswith("hang") else OK)
        names = ("healthy", *(f"hang{n}" for n in range(50)))
        async with World(sender=sender, endpoints=names, delivery_cap=50) as world:
            await publish(world, 1, "healthy")
            await asyncio.sleep(1)
            for name in names[1:]:
                await publish(world, 20, name)
            took = []
            for _ in range(100):
                start = world.clock.now()
                (delivery,) = await publish(world, 1, "healthy")
                while state(world, delivery) is DeliveryState.PENDING:
                    await asyncio.sleep(0.005)
                took.append(world.clock.now() - start)
                await asyncio.sleep(0.5)

            assert max(took) < 0.1

    simulate(main)


def test_an_endpoint_gone_from_the_configuration_has_its_events_parked_with_a_reason():
    async def main():
        async with World() as world:
            (delivery,) = await publish(world, 1, "removed")
            await asyncio.sleep(1)

            assert state(world, delivery) is DeliveryState.PARKED
            assert "configured" in world.store.deliveries[delivery][3]
            assert world.sender.sent == []

    simulate(main)


def test_an_event_is_owed_to_nobody_without_a_target():
    async def main():
        async with World() as world:
            event = operational_event("msg_1", "t", {}, created_at=0.0)
            assert world.courier.owe(None, event) == ()
            (owed,) = world.courier.owe(ToEndpoint(name="default"), event)
            assert owed.delivery.endpoint == "default"

    simulate(main)


def test_events_that_an_endpoint_refuses_do_not_hold_up_those_it_takes():
    async def main():
        bad = set()
        sender = ScriptedSender(lambda d, n: http(422) if d.id in bad else OK)
        async with World(sender=sender) as world:
            world.endpoints["default"] = endpoint("default", schedule=(5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0))
            await publish(world, 5)
            await asyncio.sleep(1)
            sender.script = lambda d, n: http(422)
            await publish(world, 40)
            await asyncio.sleep(20)
            sender.script = lambda d, n: OK
            (good,) = await publish(world)
            await asyncio.sleep(1)

            assert state(world, good) is DeliveryState.DELIVERED

    simulate(main)


def test_events_that_always_draw_a_500_hold_up_the_others_for_minutes_at_most():
    async def main():
        bad = set()
        sender = ScriptedSender(lambda d, n: http(500) if d.id in bad else OK)
        async with World(sender=sender) as world:
            world.endpoints["default"] = endpoint("default", schedule=(5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0))
            sender.script = lambda d, n: http(500)
            bad.update(await publish(world, 40))
            await asyncio.sleep(60)
            sender.script = lambda d, n: http(500) if d.id in bad else OK
            (good,) = await publish(world)
            await asyncio.sleep(700)

            assert state(world, good) is DeliveryState.DELIVERED

    simulate(main)


def test_enabling_a_failing_endpoint_tries_at_once():
    async def main():
        sender = ScriptedSender(lambda d, n: DOWN)
        async with World(sender=sender) as world:
            world.endpoints["default"] = endpoint("default", schedule=(1.0,) * 100)
            deliveries = await publish(world, 3)
            await asyncio.sleep(400)
            sender.script = lambda d, n: OK
            await world.courier.parking.enable("default")
            await asyncio.sleep(3)

            assert all(state(world, d) is DeliveryState.DELIVERED for d in deliveries)

    simulate(main)


def test_endpoints_that_answer_slowly_leave_room_for_a_quick_one():
    async def main():
        async def slow():
            await asyncio.sleep(15)
            return OK

        sender = ScriptedSender(lambda d, n: slow() if d.endpoint.startswith("slow") else OK)
        names = ("quick", *(f"slow{n}" for n in range(20)))
        async with World(sender=sender, endpoints=names, delivery_cap=200) as world:
            await publish(world, 1, "quick")
            for name in names[1:]:
                await publish(world, 60, name)
            await asyncio.sleep(100)
            took = []
            for _ in range(20):
                start = world.clock.now()
                (delivery,) = await publish(world, 1, "quick")
                while state(world, delivery) is DeliveryState.PENDING:
                    await asyncio.sleep(0.005)
                took.append(world.clock.now() - start)
                await asyncio.sleep(0.5)

            assert max(took) < 0.1

    simulate(main)


def test_fifty_endpoints_that_begin_to_hang_leave_room_for_a_healthy_one():
    async def main():
        async def hang():
            await asyncio.sleep(20)
            return Refused(refusal=Refusal.TIMEOUT, detail="no answer in 20 s", seconds=20.0)

        sender = ScriptedSender()
        names = ("healthy", *(f"hang{n}" for n in range(50)))
        async with World(sender=sender, endpoints=names, delivery_cap=200) as world:
            for name in names:
                await publish(world, 20, name)
            await asyncio.sleep(5)
            sender.script = lambda d, n: hang() if d.endpoint.startswith("hang") else OK
            for name in names[1:]:
                await publish(world, 20, name)
            took = []
            for _ in range(40):
                start = world.clock.now()
                (delivery,) = await publish(world, 1, "healthy")
                while state(world, delivery) is DeliveryState.PENDING:
                    await asyncio.sleep(0.005)
                took.append(world.clock.now() - start)
                await asyncio.sleep(0.5)

            assert max(took) < 0.1

    simulate(main)


def test_lanes_of_ad_hoc_origins_are_let_go_once_they_are_idle():
    async def main():
        async with World() as world:
            for n in range(50):
                event = operational_event(world.courier._mint.event(), "t", {}, created_at=0.0)
                owed = world.courier.owe(ToUrl(url=f"https://h{n}.example/x"), event)
                await world.store.publish(event, owed)
                world.courier.take(owed, event)
            await asyncio.sleep(5)
            assert len(world.courier.pump.lanes) == 50
            world.courier.pump.forget_idle(lambda name: "://" in name)

            assert len(world.courier.pump.lanes) == 0

    simulate(main)


class _Counting:
    def __init__(self, store):
        self._store = store

    async def counts(self):
        return {}
