"""The drills of `make test-crash`: every point there is, kills at random, starts cut short, and the power gone."""

from __future__ import annotations

import logging
import os

import pytest

from tests.crash import kills, matrix, power, starts
from tests.crash.points import running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(7200)]
KILLS = int(os.environ.get("KILLS", "30"))
CUTS = int(os.environ.get("CUTS", "20"))


@pytest.fixture(autouse=True)
def _quiet_world():
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)


async def test_killed_at_every_point_the_daemon_loses_nothing_and_ends_nothing_twice(capsys):
    outcomes = await matrix.run([(point, 1) for point in running()], worlds=2)

    with capsys.disabled():
        print(f"\n{matrix.table(outcomes)}")
    assert matrix.missed(outcomes) == []
    assert [one for outcome in outcomes for one in outcome.figures.broken] == []
    unnamed = {point for outcome in outcomes for point in outcome.passed if point.startswith("unnamed")}
    assert not unnamed, "a change of the database by no method of a port"


async def test_killed_at_every_point_of_its_start_it_upgrades_whole_or_not_at_all(capsys):
    done = await starts.run(starts.every())

    with capsys.disabled():
        print(f"\nstarts killed: {sum(one.died for one in done)} of {len(done)} points")
    assert [(one.point, one.version) for one in done if not one.died] == []
    assert [(one.point, one.version, one.broken) for one in done if one.broken] == []


async def test_killed_at_random_it_loses_nothing_and_repeats_only_what_was_in_flight(capsys):
    done = await kills.run(KILLS, seed=1)

    with capsys.disabled():
        print(f"\n{kills.report(done)}")
    assert done.figures.broken == []
    assert len(done.figures.repeats) <= done.figures.in_flight


async def test_what_was_acknowledged_is_on_the_disk_at_every_moment_the_power_may_fail(tmp_path, capsys):
    found = await power.lose_power(tmp_path, cuts=CUTS, seed=1)

    with capsys.disabled():
        print(f"\n{power.report(found)}")
    assert found.wrong == []


async def test_a_daemon_that_syncs_nothing_is_found_out_by_the_same_drill(tmp_path):
    found = await power.lose_power(tmp_path, cuts=8, seed=1, bouquets=1, careless=True)

    assert found.lost["bare"]
