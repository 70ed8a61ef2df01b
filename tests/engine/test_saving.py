"""Outputs are saved apart from the end, or before it, in virtual time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from daemon.core.observation import Ended, Missed, Output, Pending, Response
from daemon.core.record import ToEndpoint
from daemon.core.saving import Copied, SaveBounds, SaveFault, SaveState, Uncopied
from daemon.core.task import Miss, Saving, Status
from daemon.engine.ports import Lack
from tests.engine.fakes import EPOCH, ScriptedProvider, World, simulate

DEFAULT = ToEndpoint(name="default")


def copied(save, n):
    return Copied(size=7, sha256="ab", content_type="video/mp4", seconds=0.5)


def refused(status=403, fault=SaveFault.HTTP):
    return Uncopied(fault=fault, detail=f"the link was answered with HTTP {status}", seconds=0.1, http_status=status)


def video(*names, **more):
    outputs = tuple(Output(url=f"https://cdn.example/{name}", kind="video", **more) for name in names or ("v",))
    return Ended(outcome=Status.SUCCEEDED, outputs=outputs)


def ends(ended, after=1):
    return lambda remote_id, n: ended if n >= after else Pending(status=Status.RUNNING)


def states(world):
    return {key.rpartition("/")[2]: record.state for key, (_, record) in world.store.saves.items()}


def endings(world):
    return [event for event in world.store.events if event.task_id is not None]


def test_the_event_does_not_wait_for_the_copy():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends(video("a", "b"))))
            world.fetcher.script = lambda save, n: copied(save, n) if n > 2 else refused()
            await world.register("job", save_outputs=Saving.AFTERWARDS, target=DEFAULT)
            await asyncio.sleep(10)
            told = [at for at, _, _ in world.sender.sent]
            assert len(told) == 1
            assert told[0] < 5
            await asyncio.sleep(120)
            assert states(world) == {"0": SaveState.SAVED, "1": SaveState.SAVED}
            assert len(world.fetcher.tries) == 6

    simulate(main)


def test_the_registration_goes_before_the_lane_and_by_default_nothing_is_saved():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends(video())))
            await world.register("plain")
            await asyncio.sleep(20)
            world.watcher.accounts["amux"].saving = Saving.AFTERWARDS
            await world.register("not", save_outputs=Saving.NEVER)
            wanted = await world.register("wanted")
            await asyncio.sleep(20)
            assert {key.split("/")[0] for key in world.store.saves} == {wanted.record.id}

    simulate(main)


def test_a_copy_that_never_comes_is_given_up_after_its_schedule_with_a_reason_and_told_to_ops():
    async def main():
        async with World(endpoints=("default", "ops")) as world:
            world.lane(provider=ScriptedProvider(ends(video())))
            world.fetcher.script = lambda save, n: refused(410)
            added = await world.register("job", save_outputs=Saving.AFTERWARDS)
            await asyncio.sleep(1000)
            (record,) = (record for _, record in world.store.saves.values())
            assert record.state is SaveState.FAILED
            assert record.reason == "no success in 4 tries, the last: the link was answered with HTTP 410"
            assert len(world.fetcher.tries) == 4
            assert world.store.dropped == [f"{added.record.id}/0"]
            (told,) = (json.loads(e.body) for e in world.store.events if e.type == "output.failed")
            assert told["data"]["reason"] == record.reason
            assert [result for _, result, _ in world.tally.saves] == ["http_status"] * 4

    simulate(main)


def test_what_no_try_can_mend_is_given_up_at_once():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends(video())))
            world.fetcher.script = lambda save, n: refused(200, SaveFault.TOO_LARGE)
            await world.register("job", save_outputs=Saving.AFTERWARDS)
            await asyncio.sleep(1000)
            assert len(world.fetcher.tries) == 1
            assert states(world) == {"0": SaveState.FAILED}

    simulate(main)


def test_why_a_link_may_not_be_followed_is_told_to_the_log_alone():
    async def main():
        async with World(endpoints=("default", "ops")) as world:
            world.fetcher.script = lambda save, n: Uncopied(
                fault=SaveFault.NOT_ALLOWED, detail="10.1.2.3 port 443: it is not a public address", seconds=0.1
            )
            world.lane(provider=ScriptedProvider(ends(video())))
            await world.register("job", save_outputs=Saving.AFTERWARDS)
            await asyncio.sleep(1_000)

            (record,) = [record for _, record in world.store.saves.values()]
            told = json.dumps([event.body.decode() for event in world.store.events])
            assert record.state is SaveState.FAILED
            assert "egress rules" in record.reason
            assert "10.1.2.3" not in record.reason + told

    simulate(main)


def test_before_event_the_end_is_told_once_all_outputs_are_saved_and_without_one_more_poll():
    async def main():
        async with World() as world:
            provider = world.lane(provider=ScriptedProvider(ends(video("a", "b"))))
            world.fetcher.took = 4.0
            added = await world.register("job", save_outputs=Saving.BEFORE_EVENT, target=DEFAULT)
            await asyncio.sleep(5)
            assert not endings(world)
            assert states(world) == {"0": SaveState.PENDING, "1": SaveState.PENDING}
            await asyncio.sleep(60)
            assert states(world) == {"0": SaveState.SAVED, "1": SaveState.SAVED}
            (event,) = endings(world)
            assert event.type == "task.succeeded"
            (sent,) = world.sender.sent
            saved_at = max(at for at, _, _ in world.fetcher.tries) + 4.0
            assert saved_at <= sent[0] < saved_at + 0.1
            assert len(world.fetcher.tries) == 2
            body = json.loads(event.body)["data"]
            assert [one["url"] for one in body["outputs"]] == ["https://cdn.example/a", "https://cdn.example/b"]
            assert body["response_omitted"] is None
            assert added.record.id not in world.watcher.live
            assert len(provider.polls) <= 6

    simulate(main)


def test_before_event_a_fresh_link_from_the_next_poll_takes_the_place_of_one_that_expired():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(lambda remote_id, n: video(f"v{n}")))
            world.fetcher.script = lambda save, n: refused() if save.url.endswith("v1") else copied(save, n)
            await world.register("job", save_outputs=Saving.BEFORE_EVENT)
            await asyncio.sleep(60)
            assert world.fetcher.tries[0][2] == "https://cdn.example/v1"
            assert world.fetcher.tries[-1][2] != "https://cdn.example/v1"
            assert [event.type for event in endings(world)] == ["task.succeeded"]

    simulate(main)


def test_before_event_an_output_that_cannot_be_saved_delays_the_known_end_but_never_loses_it():
    async def main():
        async with World() as world:
            world.room.bounds = SaveBounds(schedule=(200.0,) * 9)
            world.lane(provider=ScriptedProvider(ends(video())))
            world.fetcher.script = lambda save, n: refused(404)
            await world.register("job", save_outputs=Saving.BEFORE_EVENT, target=DEFAULT)
            await asyncio.sleep(500)
            assert not endings(world)
            await asyncio.sleep(300)
            assert [event.type for event in endings(world)] == ["task.succeeded"]
            assert len(world.sender.sent) == 1

    simulate(main)


@pytest.mark.parametrize(
    ("later", "deadline"),
    [
        (Ended(outcome=Status.FAILED), None),
        (Ended(outcome=Status.EXPIRED), None),
        (Pending(status=Status.RUNNING), None),
        (Pending(status=Status.RUNNING), 30.0),
        (Missed(miss=Miss.NOT_FOUND, detail="gone", http_status=404), None),
    ],
)
def test_before_event_a_success_that_was_seen_is_the_end_whatever_the_provider_says_later(later, deadline):
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(lambda remote_id, n: video("a") if n == 1 else later))
            world.fetcher.took = 90.0
            added = await world.register("job", save_outputs=Saving.BEFORE_EVENT, deadline=deadline)
            await asyncio.sleep(20)
            assert not endings(world)
            await asyncio.sleep(180)
            assert [event.type for event in endings(world)] == ["task.succeeded"]
            assert [output.url for output in world.store.tasks[added.record.id].outputs] == ["https://cdn.example/a"]
            assert states(world) == {"0": SaveState.SAVED}

    simulate(main)


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (("b?s=2", "a?s=2"), ["a?s=2", "b?s=2"]),
        (("b?s=2",), ["a?s=1", "b?s=1"]),
        (("b?s=2", "c?s=2"), ["a?s=1", "b?s=1"]),
        (("a?s=2", "a?s=3"), ["a?s=1", "b?s=1"]),
        (("a?s=2", "b?s=2", "c?s=2"), ["a?s=1", "b?s=1"]),
        (("a?s=2", "b?s=2", "b?s=3"), ["a?s=1", "b?s=1"]),
    ],
)
def test_before_event_fresh_links_in_another_order_keep_the_numbers_of_the_first_end(later, told):
    async def main():
        async with World() as world:
            first = video("a?s=1", "b?s=1")
            world.lane(provider=ScriptedProvider(lambda remote_id, n: first if n == 1 else video(*later)))
            world.fetcher.script = lambda save, n: refused(500) if save.number == 1 and n == 1 else copied(save, n)
            added = await world.register("job", save_outputs=Saving.BEFORE_EVENT)
            await asyncio.sleep(100)
            outputs = world.store.tasks[added.record.id].outputs
            assert [output.url.rpartition("/")[2] for output in outputs] == told
            paths = {(key[-1], url.rpartition("/")[2].partition("?")[0]) for _, key, url in world.fetcher.tries}
            assert paths == {("0", "a"), ("1", "b")}

    simulate(main)


def test_before_event_an_output_that_failed_for_good_holds_nothing_up():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends(video("a", "b"))))
            world.fetcher.script = lambda save, n: copied(save, n) if save.number else refused(200, SaveFault.TOO_LARGE)
            await world.register("job", save_outputs=Saving.BEFORE_EVENT, target=DEFAULT)
            await asyncio.sleep(100)
            (sent,) = world.sender.sent
            assert sent[0] < world.fetcher.tries[-1][0] + 1.0
            assert states(world) == {"0": SaveState.FAILED, "1": SaveState.SAVED}

    simulate(main)


def test_before_event_the_end_is_told_when_its_last_pending_output_is_given_up():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends(video())))
            world.fetcher.script = lambda save, n: refused(404)
            await world.register("job", save_outputs=Saving.BEFORE_EVENT, target=DEFAULT)
            await asyncio.sleep(400)
            (sent,) = world.sender.sent
            last = world.fetcher.tries[-1][0] + world.fetcher.took
            assert last <= sent[0] < last + 0.1
            assert states(world) == {"0": SaveState.FAILED}

    simulate(main)


def test_before_event_an_end_that_waits_outlives_a_provider_that_falls_silent():
    async def main():
        silence = Missed(miss=Miss.NETWORK, detail="no connection")

        def script(remote_id, n):
            return video() if n == 1 else silence

        async with World() as world:
            world.lane(provider=ScriptedProvider(script))
            world.fetcher.script = lambda save, n: refused(404)
            await world.register("job", save_outputs=Saving.BEFORE_EVENT, deadline=900.0)
            await asyncio.sleep(1200)
            assert [event.type for event in endings(world)] == ["task.succeeded"]

    simulate(main)


@pytest.mark.parametrize("later", [Miss.NOT_FOUND, Miss.FORBIDDEN, Miss.NETWORK])
def test_a_success_whose_result_is_missing_is_told_though_the_provider_falls_silent_about_it(later):
    async def main():
        bare = Ended(outcome=Status.SUCCEEDED, response=Response(body={"state": "done"}))
        missing = Missed(miss=Miss.RESULT_MISSING, detail="not ready", known=bare)
        silence = Missed(miss=later, detail="no such job", http_status=404)
        async with World() as world:
            world.lane(provider=ScriptedProvider(lambda remote_id, n: missing if n < 3 else silence))
            added = await world.register("job", deadline=900.0)
            await asyncio.sleep(4)
            assert world.store.held_ends[added.record.id][1] is Lack.RESULT
            writes = world.store.writes
            await asyncio.sleep(3)
            assert world.store.writes == writes
            await asyncio.sleep(1000)
            assert [event.type for event in endings(world)] == ["task.succeeded"]
            assert json.loads(endings(world)[0].body)["data"]["response_omitted"] == "result_unavailable"
            assert world.store.held_ends == {}

    simulate(main)


def test_what_the_provider_says_later_goes_before_a_success_whose_result_was_missing():
    async def main():
        missing = Missed(miss=Miss.RESULT_MISSING, detail="not ready", known=Ended(outcome=Status.SUCCEEDED))
        script = {1: missing, 2: Pending(status=Status.RUNNING)}
        async with World() as world:
            world.lane(provider=ScriptedProvider(lambda remote_id, n: script.get(n, Ended(outcome=Status.FAILED))))
            await world.register("job")
            await asyncio.sleep(300)
            assert [event.type for event in endings(world)] == ["task.failed"]

    simulate(main)


def test_a_task_stopped_while_its_end_waits_tells_nothing():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends(video())))
            world.fetcher.took = 30.0
            added = await world.register("job", save_outputs=Saving.BEFORE_EVENT)
            await asyncio.sleep(5)
            await world.desk.stop(added.record.id)
            await asyncio.sleep(100)
            assert not endings(world)

    simulate(main)


def test_links_that_expire_soon_go_first():
    async def main():
        async with World() as world:
            world.downloads.pump.cap = 1
            outputs = tuple(
                Output(url=f"https://cdn.example/{name}", kind="video", expires_at=ends_at)
                for name, ends_at in (
                    ("none", None),
                    ("late", EPOCH + 9000),
                    ("soon", EPOCH + 60),
                    ("mid", EPOCH + 600),
                )
            )
            ended = Ended(outcome=Status.SUCCEEDED, outputs=outputs)
            world.lane(provider=ScriptedProvider(ends(ended)))
            await world.register("job", save_outputs=Saving.AFTERWARDS)
            await asyncio.sleep(60)
            assert [url.rpartition("/")[2] for _, _, url in world.fetcher.tries] == ["soon", "mid", "late", "none"]

    simulate(main)


def test_a_bound_of_downloads_that_is_raised_later_holds_for_a_lane_that_is_there_already():
    async def main():
        async with World() as world:
            world.downloads.pump.cap = 2
            world.lane(provider=ScriptedProvider(lambda remote_id, n: video(*(f"{remote_id}{i}" for i in range(6)))))
            world.fetcher.took = 30.0
            await world.register("a", save_outputs=Saving.AFTERWARDS)
            await asyncio.sleep(10)
            assert len(world.fetcher.tries) == 1
            world.downloads.pump.cap = 8
            await world.register("b", save_outputs=Saving.AFTERWARDS)
            await asyncio.sleep(60)
            assert len(world.fetcher.tries) > 4

    simulate(main)


def test_only_an_output_that_needs_the_key_is_fetched_with_it_and_only_where_it_may_go():
    async def main():
        async with World() as world:
            outputs = (
                Output(url="https://api.example/v", kind="video", needs_auth=True),
                Output(url="https://api.example/w", kind="video"),
                Output(url="https://elsewhere.example/x", kind="video", needs_auth=True),
            )
            world.lane(provider=ScriptedProvider(ends(Ended(outcome=Status.SUCCEEDED, outputs=outputs))))
            added = await world.register("job", save_outputs=Saving.AFTERWARDS)
            await asyncio.sleep(20)
            found = {key.removeprefix(added.record.id + "/"): had for key, had in world.fetcher.accesses.items()}
            assert found["0"][0] == "https://api.example:443"
            assert found["0"][1].headers == {"Authorization": "Bearer k"}
            assert found["1"][1] is None
            assert found["2"][1] is None

    simulate(main)


def test_the_shelf_bound_and_the_free_space_hold_over_all_downloads_together():
    async def main():
        async with World() as world:
            room = world.room
            one, other = room.of("t/0"), room.of("t/1")
            total = room.bounds.max_total
            assert one(total - 10) is None
            assert "max_total" in other(11)
            room.leave("t/0")
            assert other(11) is None
            room.free = lambda: 100
            assert "free bytes" in other(12)

    simulate(main)


def test_after_a_failed_try_only_the_bytes_of_its_draft_take_room():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends(video())))
            total = world.room.bounds.max_total

            def announced(save, n):
                assert world.room.of(save.key)(total) is None
                return replace(refused(500), left=40)

            world.fetcher.script = announced
            await world.register("job", save_outputs=Saving.AFTERWARDS)
            await asyncio.sleep(4)
            assert len(world.fetcher.tries) == 1
            other = world.room.of("other")
            assert "max_total" in other(total - 39)
            assert other(total - 40) is None

    simulate(main)


def test_a_download_whose_task_was_deleted_meanwhile_leaves_nothing():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends(video())))
            world.fetcher.took = 10.0
            added = await world.register("job", save_outputs=Saving.AFTERWARDS)
            await asyncio.sleep(5)
            await world.store.discard([added.record.id])
            await asyncio.sleep(50)
            assert world.store.saves == {}
            assert len(world.fetcher.tries) == 1
            assert world.tally.crashes == []

    simulate(main)


def test_what_had_gathered_is_deleted_before_the_copy_is_given_up_so_that_no_kill_leaves_it_behind():
    async def main():
        async with World() as world:
            world.lane(provider=ScriptedProvider(ends(video())))
            world.fetcher.script = lambda save, n: refused()
            stood = []

            async def drop_draft(task_id, number):
                stood.append(states(world)[str(number)])

            world.store.drop_draft = drop_draft
            await world.register("job", save_outputs=Saving.AFTERWARDS, target=DEFAULT)
            await asyncio.sleep(3600)

            assert states(world) == {"0": SaveState.FAILED}
            assert stood == [SaveState.PENDING]

    simulate(main)
