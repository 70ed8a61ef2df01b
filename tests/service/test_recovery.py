"""What lanes learned is kept over a restart, of all lanes alike, and of no more models than a lane keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daemon.core.durations import Durations
from daemon.core.experience import MODELS_KEPT
from daemon.engine.lanes import lane_state, restore
from daemon.service.recovery import LaneKeeper, recall
from daemon.store.store import open_store
from tests.engine.fakes import World


@pytest.fixture
async def store(tmp_path):
    opened = await open_store(tmp_path / "pollhook.db")
    yield opened
    await opened.close()


def learn(world, lane, model, endings=1):
    for _ in range(endings):
        world.watcher.accounts[lane].cadence.whole.ended(model, 1.0, 2.0, has_succeeded=True)


async def test_a_busy_lane_does_not_keep_the_others_from_being_saved(store):
    world = World()
    for lane in ("busy", "quiet"):
        world.lane(lane)
    keeper = LaneKeeper(world.watcher, store.ledger, world.clock)
    learn(world, "quiet", "rare", endings=3)
    for _ in range(5):
        for n in range(8):
            learn(world, "busy", f"m{n}")
        await keeper.save_durations(limit=6)

    assert ("quiet", "rare") in await store.ledger.durations()


async def test_a_model_that_its_lane_forgot_is_forgotten_on_disk(store):
    world = World()
    world.lane()
    keeper = LaneKeeper(world.watcher, store.ledger, world.clock)
    for n in range(3 * MODELS_KEPT):
        learn(world, "amux", f"m{n}")
        if n % 50 == 49:
            await keeper.save_durations(limit=10_000)

    kept = {model for _, model in await store.ledger.durations()} - {"", "\x1f"}

    assert kept == set(world.watcher.accounts["amux"].cadence.whole.models)


async def test_models_on_disk_past_those_a_lane_keeps_are_dropped_at_the_start(store):
    packed = Durations().pack()
    await store.ledger.save_durations(
        {("amux", f"m{n}"): packed for n in range(MODELS_KEPT + 30)} | {("amux", "odd"): b"?"}
    )
    world = World()
    world.lane()

    await recall(world.watcher, store.ledger, world.watcher.accounts)

    left = {model for _, model in await store.ledger.durations()}
    assert left == {*world.watcher.accounts["amux"].cadence.whole.models, "odd"}


@pytest.mark.parametrize("rate", [0.01, 10.0])
async def test_a_restart_lets_no_lane_go_faster_than_its_rate_nor_a_wrong_clock_stall_it(rate):
    world = World()
    world.lane(rate=rate, burst=2.0)
    account, now = world.watcher.accounts["amux"], world.clock.now()
    account.lane.pace.tat = now + 2 / rate
    saved = lane_state(account, world.clock)
    wrong = replace(saved, tat_at=saved.tat_at + 1e6)
    for state in (saved, wrong):
        account.lane.pace.tat = 0.0
        restore(account, state, world.clock, hold_cap=3600.0)

        assert account.lane.pace.tat == pytest.approx(now + 2 / rate, abs=1.0)
