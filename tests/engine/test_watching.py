"""The watching half in virtual time: registered, polled within limits, ended once, told once."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from itertools import pairwise
from random import getrandbits, random

import pytest
import structlog

from daemon.core.delivery import DeliveryState
from daemon.core.errors import (
    AlreadyEnded,
    KeyReused,
    NoResult,
    NotEnded,
    NotFound,
    ResultUnresolved,
    UnknownProvider,
    WatchlistFull,
)
from daemon.core.observation import Ended, Inline, Missed, Output, Pending, Response
from daemon.core.record import Application, Claim, ToEndpoint
from daemon.core.task import Miss, Status, Wish
from daemon.engine.applying import as_task
from daemon.engine.clock import Dice
from daemon.engine.desk import TaskDesk
from daemon.service.accounts import set_aside
from tests.core.test_event import record
from tests.engine.fakes import EPOCH, ScriptedProvider, World, simulate

RUNNING = Pending(status=Status.RUNNING)
DONE = Ended(outcome=Status.SUCCEEDED, outputs=(Output(url="https://cdn.example/v.mp4", kind="video"),))
DEFAULT = ToEndpoint(name="default")


def ends_at(n, answer=DONE):
    return lambda remote_id, poll: answer if poll >= n else RUNNING


def missed(miss, status=None, **more):
    return Missed(miss=miss, detail="so", http_status=status, **more)


def test_a_task_is_polled_to_its_end_and_told_exactly_once():
    async def main():
        async with World() as world:
            provider = world.lane(provider=ScriptedProvider(ends_at(3)))
            added = await world.register("r1", target=DEFAULT, metadata={"order": 17})
            assert added.is_new
            ended = await world.desk.wait(added.record.id, 600)

            assert ended.status is Status.SUCCEEDED
            assert len(provider.polls) == 3
            await asyncio.sleep(60)
            assert len(provider.polls) == 3, "an ended task is never polled again"
            assert [e.type for e in world.store.events] == ["task.succeeded"]
            body = json.loads(world.store.events[0].body)
            assert body["data"]["metadata"] == {"order": 17}
            assert body["data"]["timing"]["polls"] == 3
            assert len(world.sender.sent) == 1
            ((_, state, _, _),) = world.store.deliveries.values()
            assert state is DeliveryState.DELIVERED

    simulate(main)


def test_quiet_polls_write_nothing():
    async def main():
        async with World() as world:
            provider = world.lane()
            notes = asyncio.create_task(world.watcher.notes.run())
            await world.register("r1")
            await asyncio.sleep(20)
            before, polls = world.store.writes, len(provider.polls)
            await asyncio.sleep(500)

            assert len(provider.polls) > polls + 50
            assert world.store.writes == before
            notes.cancel()

    simulate(main)


def test_asking_again_answers_the_same_task_while_it_lives_and_after_the_provider_ended_it():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends_at(2)))
            first = await world.register("r1")
            second = await world.register("r1")
            await world.desk.wait(first.record.id, 600)
            third = await world.register("r1")

            assert (first.is_new, second.is_new, third.is_new) == (True, False, False)
            assert first.record.id == second.record.id == third.record.id
            assert third.record.status is Status.SUCCEEDED

    simulate(main)


def test_an_idempotency_key_answers_its_task_and_refuses_another_body():
    async def main():
        async with World() as world:
            world.lane()
            application = Application(provider="amux", remote_id="r1")
            (first,) = await world.desk.register([application], Claim(key="k", fingerprint="f1"))
            await world.desk.stop(first.record.id)
            (again,) = await world.desk.register([application], Claim(key="k", fingerprint="f1"))

            assert again.record.id == first.record.id
            with pytest.raises(KeyReused):
                await world.desk.register([application], Claim(key="k", fingerprint="f2"))

    simulate(main)


def test_a_full_watchlist_says_so_and_still_answers_for_what_it_has():
    async def main():
        async with World(max_tasks=2) as world:
            world.lane()
            one, two = await world.register("r1"), await world.register("r2")
            full = await world.register("r3")
            known = await world.register("r1")

            assert isinstance(full, WatchlistFull)
            assert full.retry_after > 0
            assert known.record.id == one.record.id
            await world.desk.stop(two.record.id)
            assert (await world.register("r3")).is_new

    simulate(main)


def test_many_tasks_of_one_call_are_one_line_in_the_log():
    async def main():
        async with World() as world:
            world.lane()
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
            with structlog.testing.capture_logs() as lines:
                one = await world.register("alone")
                await world.desk.register([Application(provider="amux", remote_id=f"r{n}") for n in range(3)], None)

            alone, many = (line for line in lines if line["event"] == "task.registered")
            assert (alone["task"], alone["lane"]) == (one.record.id, "amux")
            ids = [task_id for task_id in world.watcher.live if task_id != one.record.id]
            assert (many["count"], many["first"], many["last"], many["lane"]) == (3, ids[0], ids[2], "amux")

    simulate(main)


def test_a_crowd_registering_at_once_cannot_pass_the_bound():
    async def main():
        async with World(max_tasks=10) as world:
            world.lane()
            answers = await asyncio.gather(*(world.register(f"r{n}") for n in range(40)))

            assert sum(not isinstance(a, WatchlistFull) for a in answers) == 10
            assert len(world.watcher.live) == 10

    simulate(main)


def test_an_unknown_provider_is_named_with_those_configured():
    async def main():
        async with World() as world:
            world.lane("amux")
            world.lane("token360")
            answer = await world.register("r1", provider="amx")

            assert isinstance(answer, UnknownProvider)
            assert "amux, token360" in answer.detail

    simulate(main)


def test_a_stopped_task_is_never_polled_nor_told_again_even_if_its_poll_was_out():
    async def main():
        async with World() as world:
            provider = world.lane(provider=ScriptedProvider(ends_at(1), took=2.0))
            added = await world.register("r1", target=DEFAULT, first_poll_after=1.0)
            await asyncio.sleep(2.0)
            assert provider.out == 1
            await world.desk.stop(added.record.id)
            await asyncio.sleep(100)

            assert world.store.tasks[added.record.id].status is Status.STOPPED
            assert world.store.events == []
            again = await world.desk.stop(added.record.id)
            assert again.status is Status.STOPPED, "stopping twice is stopping once"

    simulate(main)


def test_an_ended_task_can_be_neither_stopped_nor_polled():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends_at(1)))
            added = await world.register("r1")
            await world.desk.wait(added.record.id, 100)
            with pytest.raises(AlreadyEnded):
                await world.desk.stop(added.record.id)
            with pytest.raises(AlreadyEnded):
                await world.desk.poll_now(added.record.id, 1)

    simulate(main)


def test_two_ends_at_once_make_one_event():
    async def main():
        async with World() as world:
            world.lane()
            added = await world.register("r1", target=DEFAULT)
            account, task = world.watcher.accounts["amux"], world.watcher.live[added.record.id]
            failed = Ended(outcome=Status.FAILED)
            await asyncio.gather(
                world.watcher._finish(account, task, DONE),
                world.watcher._finish(account, task, failed),
                world.desk.stop(added.record.id),
                return_exceptions=True,
            )

            assert len(world.store.events) <= 1
            assert len(world.store.deliveries) == len(world.store.events)

    simulate(main)


def test_poll_now_polls_at_once_and_only_once():
    async def main():
        async with World() as world:
            provider = world.lane(typical=1000.0)
            added = await world.register("r1")
            await asyncio.sleep(10)
            assert provider.polls == []
            shown, was_polled = await world.desk.poll_now(added.record.id, 10)

            assert was_polled
            assert shown.status is Status.RUNNING
            assert provider.times("r1") == [pytest.approx(10.0, abs=0.02)]

    simulate(main)


def test_waiting_for_a_task_returns_as_it_stands_when_the_seconds_are_over():
    async def main():
        async with World() as world:
            world.lane()
            added = await world.register("r1")
            start = world.clock.now()
            shown = await world.desk.wait(added.record.id, 7)

            assert not shown.status.is_terminal
            assert world.clock.now() - start == pytest.approx(7, abs=0.01)
            with pytest.raises(NotFound):
                await world.desk.wait("tsk_none", 1)

    simulate(main)


def test_the_rate_of_a_lane_is_kept_over_a_thousand_tasks():
    async def main():
        async with World(max_tasks=5000) as world:
            provider = world.lane(rate=10.0, burst=5.0, typical=1.0)
            for n in range(1000):
                await world.register(f"r{n}")
            await asyncio.sleep(60)

            times = [t for t, _ in provider.polls]
            assert len(times) > 500
            for start in range(len(times) - 20):
                assert times[start + 19] - times[start] >= (20 - 5) / 10.0 - 0.05

    simulate(main)


def test_a_hanging_lane_delays_no_other():
    async def main():
        async with World(cap=20) as world:
            healthy = world.lane("healthy", typical=1.0)
            await world.register("ok", provider="healthy")
            await asyncio.sleep(5)
            for n in range(30):
                name = f"hang{n}"
                world.lane(name, ScriptedProvider(lambda r, p: missed(Miss.TIMEOUT), took=30.0), slots=20, typical=1.0)
                for m in range(5):
                    await world.register(f"h{m}", provider=name)
            await asyncio.sleep(300)

            gaps = [b - a for a, b in zip(healthy.times("ok"), healthy.times("ok")[1:], strict=False)]
            assert len(gaps) > 50
            assert max(gaps) < 3.0

    simulate(main)


def test_a_bug_in_one_item_is_contained_and_the_item_rests():
    async def main():
        async with World() as world:

            def script(remote_id, n):
                if remote_id == "bad":
                    raise RuntimeError("boom")
                return DONE if n == 2 else RUNNING

            provider = world.lane(provider=ScriptedProvider(script))
            await world.register("bad")
            good = await world.register("good")
            await world.desk.wait(good.record.id, 100)
            await asyncio.sleep(100)

            assert world.store.tasks[good.record.id].status is Status.SUCCEEDED
            assert world.tally.crashes
            assert 2 <= len(provider.times("bad")) <= 4

    simulate(main)


def test_a_401_parks_the_lane_alerts_once_probes_slowly_and_resumes_by_itself():
    async def main():
        async with World(endpoints=("default", "ops")) as world:
            good = {"at": 1000.0}

            def script(remote_id, n):
                return RUNNING if asyncio.get_running_loop().time() > good["at"] else missed(Miss.UNAUTHORIZED, 401)

            provider = world.lane(provider=ScriptedProvider(script))
            tasks = [await world.register(f"r{n}") for n in range(50)]
            await asyncio.sleep(900)

            assert world.watcher.accounts["amux"].is_parked
            assert len(provider.polls) < 15
            assert [e.type for e in world.store.events] == ["provider.credentials_rejected"]
            assert all(not world.store.tasks[t.record.id].status.is_terminal for t in tasks)
            await asyncio.sleep(600)
            assert not world.watcher.accounts["amux"].is_parked
            assert len({r for _, r in provider.polls}) == 50

    simulate(main)


def test_403_to_several_tasks_with_no_good_answer_between_blames_the_key():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(lambda r, n: missed(Miss.FORBIDDEN, 403)))
            tasks = [await world.register(f"r{n}") for n in range(5)]
            await asyncio.sleep(1200)

            assert world.watcher.accounts["amux"].is_parked
            assert all(not world.store.tasks[t.record.id].status.is_terminal for t in tasks)

    simulate(main)


@pytest.mark.parametrize("count", [1, 2])
def test_403_to_all_of_a_small_lane_loses_no_task(count):
    async def main():
        async with World(endpoints=("default", "ops")) as world:
            world.lane(provider=ScriptedProvider(lambda r, n: missed(Miss.FORBIDDEN, 403)))
            tasks = [await world.register(f"r{n}") for n in range(count)]
            await asyncio.sleep(1200)

            assert all(not world.store.tasks[t.record.id].status.is_terminal for t in tasks)
            assert world.watcher.accounts["amux"].is_parked == (count > 1)

    simulate(main)


def test_403_to_one_task_while_others_are_answered_blames_that_task():
    async def main():
        async with World() as world:
            script = lambda r, n: missed(Miss.FORBIDDEN, 403) if r == "foreign" else RUNNING  # noqa: E731
            world.lane(provider=ScriptedProvider(script))
            foreign = await world.register("foreign")
            mine = [await world.register(f"r{n}") for n in range(3)]
            await asyncio.sleep(300)

            record = world.store.tasks[foreign.record.id]
            assert record.status is Status.LOST
            assert record.error.code == "forbidden"
            assert not world.watcher.accounts["amux"].is_parked
            assert all(not world.store.tasks[t.record.id].status.is_terminal for t in mine)

    simulate(main)


def test_retry_after_binds_the_whole_lane():
    async def main():
        async with World() as world:
            first = {"throttled": False}

            def script(remote_id, n):
                if not first["throttled"]:
                    first["throttled"] = True
                    return missed(Miss.THROTTLED, 429, retry_after=40.0)
                return RUNNING

            provider = world.lane(provider=ScriptedProvider(script, took=0.01), slots=1)
            for n in range(10):
                await world.register(f"r{n}")
            await asyncio.sleep(120)

            times = [t for t, _ in provider.polls]
            assert times[1] - times[0] >= 40.0

    simulate(main)


def test_an_absurd_retry_after_is_capped_and_told_to_the_operators_once():
    async def main():
        async with World(endpoints=("default", "ops")) as world:
            until = 3000.0
            script = lambda *_: (  # noqa: E731
                missed(Miss.THROTTLED, 429, retry_after=1e9) if asyncio.get_running_loop().time() < until else RUNNING
            )
            provider = world.lane(provider=ScriptedProvider(script, took=5.0), slots=8, min_gap=2.0)
            for n in range(8):
                await world.register(f"r{n}", deadline=20000.0)
            await asyncio.sleep(5000)

            told = [event for event in world.store.events if event.type == "provider.absurd_retry_after"]
            assert len(told) == 1
            assert json.loads(told[0].body)["data"] == {
                "provider": "amux", "asked_seconds": 1e9, "taken_seconds": 3600.0,
            }  # fmt: skip
            assert any(t > 3600.0 for t, _ in provider.polls)

    simulate(main)


def test_an_outage_leaves_single_probes_and_its_end_brings_every_task_home():
    async def main():
        async with World() as world:

            def script(remote_id, n):
                return missed(Miss.SERVER_ERROR, 502) if asyncio.get_running_loop().time() < 600 else DONE

            provider = world.lane(provider=ScriptedProvider(script))
            tasks = [await world.register(f"r{n}") for n in range(100)]
            await asyncio.sleep(590)
            during = len(provider.polls)
            await asyncio.sleep(600)

            assert during < 40
            assert all(world.store.tasks[t.record.id].status is Status.SUCCEEDED for t in tasks)

    simulate(main)


def test_deadlines_hold_in_a_parked_lane_too():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(lambda r, n: missed(Miss.UNAUTHORIZED, 401)))
            added = [await world.register(f"r{n}", deadline=120.0) for n in range(20)]
            await asyncio.sleep(160)

            assert all(world.store.tasks[a.record.id].status is Status.TIMED_OUT for a in added)
            assert len(world.store.events) == 20

    simulate(main)


@pytest.mark.parametrize("step", [7200.0, -7200.0])
def test_a_clock_step_neither_fires_a_deadline_nor_stalls_a_poll(step):
    async def main():
        async with World() as world:
            provider = world.lane()
            added = await world.register("r1", deadline=600.0)
            await asyncio.sleep(50)
            world.step = step
            before = len(provider.polls)
            await asyncio.sleep(100)

            assert len(provider.polls) > before + 20
            assert not world.store.tasks[added.record.id].status.is_terminal
            await asyncio.sleep(460)
            assert world.store.tasks[added.record.id].status is Status.TIMED_OUT

    simulate(main)


def test_interim_events_are_told_to_those_who_asked_in_order():
    async def main():
        async with World() as world:
            steps = [0.2, 0.2, 0.6]

            def script(remote_id, n):
                return Pending(status=Status.RUNNING, progress=steps[n - 1]) if n <= 3 else DONE

            world.lane(provider=ScriptedProvider(script))
            added = await world.register("r1", target=DEFAULT, wishes=frozenset(Wish))
            await world.desk.wait(added.record.id, 100)
            await asyncio.sleep(1)

            assert [e.type for e in world.store.events] == [
                "task.running", "task.progress", "task.progress", "task.succeeded",
            ]  # fmt: skip
            assert len(world.sender.sent) == 4

    simulate(main)


def test_inline_bytes_go_to_the_shelf_and_never_into_the_event():
    async def main():
        async with World() as world:
            inline = Inline(content=b"movie", content_type="video/mp4")
            end = Ended(outcome=Status.SUCCEEDED, outputs=(Output(url="", kind="video", inline=inline),))
            world.lane(provider=ScriptedProvider(ends_at(1, end)))
            added = await world.register("r1")
            record = await world.desk.wait(added.record.id, 100)

            assert world.store.files[record.id, 0] is inline
            (output,) = json.loads(world.store.events[0].body)["data"]["outputs"]
            assert output == {
                "url": f"/v1/tasks/{record.id}/outputs/0", "kind": "video", "needs_auth": True, "expires_at": None,
            }  # fmt: skip

    simulate(main)


def test_the_providers_creation_time_becomes_the_tasks_own():
    async def main():
        async with World() as world:
            told = Pending(status=Status.RUNNING, created_at=EPOCH - 500.0)
            world.lane(provider=ScriptedProvider(lambda r, n: told))
            added = await world.register("r1")
            await asyncio.sleep(10)

            assert (await world.desk.show(added.record.id)).created_at == EPOCH - 500.0
            assert world.watcher.live[added.record.id].age(world.clock.now()) == pytest.approx(510, abs=1)

    simulate(main)


class TestBilledResults:
    """A result request that bills is sent at most once on its own."""

    due = Ended(outcome=Status.SUCCEEDED, result_due=True)
    paid = Ended(outcome=Status.SUCCEEDED, outputs=DONE.outputs, response=Response(body={"data": 1}))

    def test_it_is_sent_once_and_its_outputs_are_told(self):
        async def main():
            async with World() as world:
                provider = world.lane(provider=ScriptedProvider(ends_at(2, self.due)))
                provider.result_answer = self.paid
                added = await world.register("r1", fetch_result=True)
                record = await world.desk.wait(added.record.id, 100)

                assert record.outputs == DONE.outputs
                assert provider.results == ["r1"]
                stored = await world.desk.result(record.id, repeat=False)
                assert stored.body == {"data": 1}
                assert provider.results == ["r1"], "asked again it bills nobody"

        simulate(main)

    def test_the_intent_is_committed_before_a_byte_is_sent(self):
        async def main():
            async with World() as world:
                provider = world.lane(provider=ScriptedProvider(ends_at(1, self.due)))
                seen = []
                provider.result_answer = lambda task: seen.append(dict(world.store.results)) or self.paid
                added = await world.register("r1", fetch_result=True)
                await world.desk.wait(added.record.id, 100)

                assert seen[0][added.record.id].stored_at is None

        simulate(main)

    def test_an_intent_left_by_a_crash_is_not_repeated_and_the_event_says_so(self):
        async def main():
            async with World() as world:
                provider = world.lane(provider=ScriptedProvider(ends_at(1, self.due)))
                added = await world.register("r1", fetch_result=True)
                await world.store.intend_result(added.record.id, 0.0)
                record = await world.desk.wait(added.record.id, 100)

                assert record.status is Status.SUCCEEDED
                assert provider.results == []
                assert json.loads(world.store.events[0].body)["data"]["response_omitted"] == "result_unresolved"
                with pytest.raises(ResultUnresolved):
                    await world.desk.result(record.id, repeat=False)
                provider.result_answer = self.paid
                assert (await world.desk.result(record.id, repeat=True)).body == {"data": 1}

        simulate(main)

    def test_a_request_that_surely_never_left_is_tried_again(self):
        async def main():
            async with World() as world:
                provider = world.lane(provider=ScriptedProvider(ends_at(1, self.due)))
                answers = [missed(Miss.NETWORK, unsent=True), self.paid]
                provider.result_answer = lambda task: answers.pop(0)
                added = await world.register("r1", fetch_result=True)
                record = await world.desk.wait(added.record.id, 100)

                assert record.outputs == DONE.outputs
                assert len(provider.results) == 2

        simulate(main)

    def test_an_answer_of_unknown_fate_is_not_repeated(self):
        async def main():
            async with World() as world:
                provider = world.lane(provider=ScriptedProvider(ends_at(1, self.due)))
                provider.result_answer = missed(Miss.SERVER_ERROR, 502)
                added = await world.register("r1", fetch_result=True)
                record = await world.desk.wait(added.record.id, 100)
                await asyncio.sleep(500)

                assert record.status is Status.SUCCEEDED
                assert len(provider.results) == 1

        simulate(main)

    def test_two_people_asking_at_once_bill_once(self):
        async def main():
            async with World() as world:
                provider = world.lane(provider=ScriptedProvider(ends_at(1)))
                provider.result_answer = self.paid
                added = await world.register("r1")
                with pytest.raises(NotEnded):
                    await world.desk.result(added.record.id, repeat=False)
                await world.desk.wait(added.record.id, 100)
                await asyncio.gather(*(world.desk.result(added.record.id, repeat=False) for _ in range(5)))

                assert len(provider.results) == 1

        simulate(main)

    def test_a_task_that_failed_has_no_result(self):
        async def main():
            async with World() as world:
                world.lane(provider=ScriptedProvider(ends_at(1, Ended(outcome=Status.FAILED))))
                added = await world.register("r1")
                await world.desk.wait(added.record.id, 100)
                with pytest.raises(NoResult):
                    await world.desk.result(added.record.id, repeat=False)

        simulate(main)


def test_after_a_restart_overdue_tasks_are_spread_over_the_rate_the_most_urgent_first():
    async def main():
        async with World(max_tasks=5000) as world:
            provider = world.lane(rate=10.0, burst=10.0)
            world.watcher.accounts["amux"].lane.pace.forget_burst(world.clock.now())
            for n in range(100):
                await world.store.add([_record(world, f"r{n}", deadline=1000.0 - n)])
            for record in list(world.store.tasks.values()):
                task = as_task(record, world.clock.shift)
                world.watcher.watch(task, rank=task.deadline)
            await asyncio.sleep(9.9)

            assert 95 <= len(provider.polls) <= 105
            assert [r for _, r in provider.polls[:3]] == ["r99", "r98", "r97"]

    simulate(main)


def _record(world, remote_id, deadline):
    return replace(
        record(), id=f"tsk_{remote_id}", remote_id=remote_id, status=Status.RUNNING,
        registered_at=EPOCH, created_at=EPOCH, deadline_at=EPOCH + deadline, next_poll_at=EPOCH - 5,
    )  # fmt: skip


def test_a_crowd_of_batches_cannot_pass_the_bound_and_keeps_its_idempotency_key():
    async def main():
        async with World(max_tasks=10) as world:
            world.lane()
            batches = [[Application(provider="amux", remote_id=f"b{b}r{n}") for n in range(11)] for b in range(5)]
            await asyncio.gather(*(world.desk.register(batch, None) for batch in batches))
            assert len(world.watcher.live) == 10

            (known,) = await world.desk.register([Application(provider="amux", remote_id="b0r0")], None)
            claim = Claim(key="k", fingerprint="f1")
            if not isinstance(known, WatchlistFull):
                await world.desk.register([Application(provider="amux", remote_id="b0r0")], claim)
                with pytest.raises(KeyReused):
                    await world.desk.register(
                        [Application(provider="amux", remote_id="b0r0")], replace(claim, fingerprint="f2")
                    )

    simulate(main)


class Earlier:
    """The store as it was before any claim, to whoever asks for one."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def claimed(self, claim):
        return None


def test_one_key_twice_at_once_is_answered_although_there_was_room_for_fewer_the_first_time():
    async def main():
        async with World(max_tasks=2) as world:
            world.lane()
            roomy = TaskDesk(
                world.watcher, Earlier(world.store), world.store, clock=world.clock, dice=Dice(roll=random, bits=getrandbits),
                max_tasks=100,
            )  # fmt: skip
            batch = [Application(provider="amux", remote_id=f"r{n}") for n in range(3)]
            claim = Claim(key="k", fingerprint="f")

            few, all_ = await world.desk.register(batch, claim), await roomy.register(batch, claim)

            assert [isinstance(one, WatchlistFull) for one in few] == [False, False, True]
            assert [one.is_new for one in all_] == [False, False, True]

    simulate(main)


def test_poll_now_keeps_the_smallest_gap():
    async def main():
        async with World() as world:
            provider = world.lane(min_gap=10.0)
            added = await world.register("r1")
            for _ in range(20):
                await world.desk.poll_now(added.record.id, 5)

            times = provider.times("r1")
            assert len(times) >= 5
            assert min(b - a for a, b in pairwise(times)) >= 10.0

    simulate(main)


def test_an_answer_too_large_to_one_task_is_no_outage_of_its_lane():
    async def main():
        async with World() as world:
            script = lambda r, n: missed(Miss.TOO_LARGE, 200) if r.startswith("x") else DONE  # noqa: E731
            world.lane(provider=ScriptedProvider(script))
            for n in range(40):
                await world.register(f"x{n}")
            await asyncio.sleep(300)
            good = await world.register("good")
            await world.desk.wait(good.record.id, 60)

            assert world.store.tasks[good.record.id].status is Status.SUCCEEDED

    simulate(main)


def test_tasks_that_always_draw_a_500_hold_up_the_others_of_their_lane_for_minutes_at_most():
    async def main():
        async with World() as world:
            script = lambda r, n: missed(Miss.SERVER_ERROR, 500) if r.startswith("x") else RUNNING  # noqa: E731
            provider = world.lane(provider=ScriptedProvider(script))
            await world.register("good")
            await asyncio.sleep(30)
            for n in range(40):
                await world.register(f"x{n}")
            await asyncio.sleep(3000)

            times = provider.times("good")
            assert max(b - a for a, b in pairwise(times)) < 600

    simulate(main)


def test_a_success_whose_billed_result_is_not_found_is_still_a_success():
    async def main():
        async with World() as world:
            due = Ended(outcome=Status.SUCCEEDED, result_due=True)
            provider = world.lane(provider=ScriptedProvider(lambda r, n: due))
            provider.result_answer = missed(Miss.NOT_FOUND, 404)
            added = await world.register("r1", fetch_result=True)
            record = await world.desk.wait(added.record.id, 3000)

            assert record.status is Status.SUCCEEDED
            assert record.polls == len(provider.polls)
            assert json.loads(world.store.events[0].body)["data"]["response_omitted"] == "result_unavailable"

    simulate(main)


def test_a_lane_set_aside_stays_so_whatever_late_answers_say():
    async def main():
        async with World() as world:
            provider = world.lane(provider=ScriptedProvider(lambda r, n: missed(Miss.UNAUTHORIZED, 401), took=1.0))
            await world.register("r1", first_poll_after=1.0)
            await asyncio.sleep(1.5)
            set_aside(world.watcher.accounts["amux"])
            provider.script = lambda r, n: RUNNING
            await asyncio.sleep(500)

            assert len(provider.polls) == 1

    simulate(main)


def test_a_parked_lane_is_probed_slowly_whatever_the_probes_bring():
    async def main():
        async with World() as world:
            answers = {"park": True}
            script = lambda r, n: missed(Miss.UNAUTHORIZED, 401) if answers["park"] else missed(Miss.CONFLICT, 409)  # noqa: E731
            provider = world.lane(provider=ScriptedProvider(script))
            for n in range(200):
                await world.register(f"r{n}")
            await asyncio.sleep(10)
            answers["park"] = False
            before = len(provider.polls)
            await asyncio.sleep(600)

            assert len(provider.polls) - before < 15

    simulate(main)


def test_a_revoked_key_is_alerted_once_though_good_answers_were_out():
    async def main():
        async with World(endpoints=("default", "ops")) as world:
            revoked = {"at": 20.0}

            class Slow(ScriptedProvider):
                async def poll(self, task):
                    asked = asyncio.get_running_loop().time()
                    self.polls.append((asked, task.remote_id))
                    await asyncio.sleep(0.1 if asked > revoked["at"] else 3.0)
                    return missed(Miss.UNAUTHORIZED, 401) if asked > revoked["at"] else RUNNING

            world.lane(provider=Slow())
            for n in range(50):
                await world.register(f"r{n}")
            await asyncio.sleep(200)

            assert [e.type for e in world.store.events] == ["provider.credentials_rejected"]

    simulate(main)


def test_a_late_401_of_the_old_key_does_not_park_the_new_one():
    async def main():
        async with World() as world:
            old = world.lane(provider=ScriptedProvider(lambda r, n: missed(Miss.UNAUTHORIZED, 401), took=5.0))
            await world.register("r1", first_poll_after=1.0)
            await asyncio.sleep(2)
            assert old.out == 1
            new = world.watcher.accounts["amux"].provider = ScriptedProvider()
            await asyncio.sleep(20)

            assert not world.watcher.accounts["amux"].is_parked
            assert len(new.polls) > 3

    simulate(main)


def test_repeating_a_result_waits_for_the_one_under_way():
    async def main():
        async with World() as world:
            provider = world.lane(provider=ScriptedProvider(ends_at(1)))
            added = await world.register("r1")
            await world.desk.wait(added.record.id, 100)
            out = {"now": 0, "most": 0}

            class Slow(ScriptedProvider):
                async def result(self, task):
                    out["now"] += 1
                    out["most"] = max(out["most"], out["now"])
                    await asyncio.sleep(5)
                    out["now"] -= 1
                    return missed(Miss.TIMEOUT)

            world.watcher.accounts["amux"].provider = Slow()
            assert provider.results == []

            async def ask(after, repeat):
                await asyncio.sleep(after)
                await world.desk.result(added.record.id, repeat=repeat)

            await asyncio.gather(ask(0, False), ask(1, True), ask(6, True), return_exceptions=True)
            assert out["most"] == 1

    simulate(main)


def test_closing_the_pump_starts_nothing_more_even_if_a_turn_was_due():
    async def main():
        async with World() as world:
            provider = world.lane()
            await world.register("r1", first_poll_after=0.0)
            world.watcher.pump.close()
            await world.watcher.pump.drained()
            await asyncio.sleep(10)

            assert provider.polls == []

    simulate(main)


def test_an_outage_or_a_restart_does_not_make_polls_dear():
    async def main():
        async with World(max_tasks=5000) as world:
            down = {"until": 400.0}

            def script(remote_id, n):
                hour = asyncio.get_running_loop().time()
                return missed(Miss.SERVER_ERROR, 502) if 100 < hour < down["until"] else RUNNING

            provider = world.lane(provider=ScriptedProvider(script))
            for n in range(50):
                await world.register(f"r{n}")
            await asyncio.sleep(600)

            assert provider.polls
            assert world.watcher.accounts["amux"].cadence.price < 0.2

    simulate(main)


def test_a_lane_whose_rate_cannot_carry_its_plan_stretches_all_gaps():
    async def main():
        async with World(max_tasks=5000) as world:
            world.lane(rate=5.0, burst=5.0)
            for n in range(300):
                await world.register(f"r{n}")
            await asyncio.sleep(600)

            assert world.watcher.accounts["amux"].cadence.price > 0.3

    simulate(main)


def test_an_end_is_learned_once_though_its_result_is_long_in_coming():
    async def main():
        async with World() as world:
            due = Ended(outcome=Status.SUCCEEDED, result_due=True)
            provider = world.lane(provider=ScriptedProvider(lambda r, n: due))
            provider.result_answer = missed(Miss.CONFLICT, 409)
            added = await world.register("r1", fetch_result=True)
            await world.desk.wait(added.record.id, 3000)

            assert world.watcher.accounts["amux"].cadence.whole.lane.endings <= 1.01

    simulate(main)
