"""Each benchmark measures something real in a run of seconds, and says so in its file and its exit status."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks import api, delivery, lanes, latency, polls, restart
from benchmarks.machine import UNDER_TEST, Child, quantile
from benchmarks.report import Row, compared, main
from benchmarks.scraped import lateness, quantile_between
from benchmarks.subject import LaneSpec, Subject

pytestmark = pytest.mark.slow

running = pytest.mark.e2e


@running
def test_polls_are_counted_for_the_daemon_and_every_rival(tmp_path):
    found, _ = polls.at(200, 1, 1.0, tmp_path)

    assert set(found) == {"daemon", *polls.RIVALS}
    assert all(each.cost[0] > 0 and each.rss[0] > 0 for each in found.values())
    assert min(found[name].rate[0] for name in ("daemon", "aiohttp")) > 2
    assert all(load < 0.9 for each in found.values() for load in each.load)


@running
def test_healthy_lanes_are_polled_in_time_beside_bad_ones(tmp_path):
    late = lanes.in_company(tmp_path, 2.5)

    assert late["polls"] == pytest.approx(lanes.HEALTHY * lanes.TASKS / lanes.GAP, rel=0.1)
    assert 0 <= late["p50"] <= late["p99"] < 1000


@running
def test_a_restart_polls_what_is_overdue_within_the_rate(tmp_path):
    (once,) = restart.full(tmp_path, 2000, 1, seconds=1.0)

    assert 0 < once["ready"] < 10
    assert once["first"] < once["ready"] + 1
    assert 0.5 < once["early"] / (restart.LANES * restart.RATE) < 1.1


@running
def test_every_end_is_told_and_timed(tmp_path):
    delays, untold = latency.telling(tmp_path, 50, 1.0)

    assert untold == 0
    assert len(delays) == 50
    assert all(0 < delay < 5000 for delay in delays)


@running
def test_lateness_is_seen_from_both_sides(tmp_path):
    found = latency.late(tmp_path, 500, 2.5)

    assert found["p50"] <= found["p99"]
    assert math.isfinite(found["own"])
    assert 0 < found["core"] < 1.5


@running
def test_deliveries_are_counted_beside_a_bare_loop_and_timed(tmp_path):
    ours, theirs = delivery.flat_out(tmp_path / "a", 0.5), delivery.bare(0.5)
    alone = delivery.delays(tmp_path / "b", 50, 1.0, names=["healthy"])
    beside = delivery.delays(tmp_path / "c", 50, 1.0, names=["healthy"], hanging=10)

    assert min(ours["rate"], theirs["rate"]) > 20
    assert ours["cost"] > theirs["cost"] > 0
    assert len(alone) == len(beside)
    assert all(0 < delay < 5000 for delay in (*alone, *beside))


@running
def test_registrations_are_counted_beside_the_bare_server(tmp_path):
    lane = LaneSpec(name="l0", url="http://127.0.0.1:9", gap=2.0, typical=1200.0)
    with Subject(tmp_path, [lane]) as subject, Child.module("benchmarks.bare", core=UNDER_TEST) as bare:
        subject.start()
        found = api.rounds_of(1, 0.5, subject, bare)

    assert found["single"][0] > 50
    assert found["batch"][0] > 500
    assert found["single bare"][0] > 50


def test_a_missed_floor_fails_only_a_strict_run(tmp_path, capsys):
    missed = lambda wishes: [compared("polls", 1.0, "/s", ("theirs", 2.0), bounds=(0.7, 0.9))]  # noqa: E731

    assert main("x", missed, ["--results", str(tmp_path)]) == 0
    assert main("x", missed, ["--results", str(tmp_path), "--strict"]) == 1
    assert "MISSED" in capsys.readouterr().out

    (row,) = json.loads((tmp_path / "x.json").read_text())["rows"]
    assert (row["ratio"], row["floor"], row["goal"], row["better"]) == (0.5, 0.7, 0.9, "higher")


@pytest.mark.parametrize(
    ("value", "ratio", "better", "verdict"),
    [
        (5.0, None, "lower", "floor"),
        (1.0, None, "lower", "goal"),
        (50.0, 1.5, "lower", "goal"),
        (7.0, None, "higher", "floor"),
    ],
)
def test_a_bound_is_held_against_the_ratio_where_there_is_one(value, ratio, better, verdict):
    floor, goal = (6.0, 2.0) if better == "lower" else (6.0, 9.0)

    row = Row(measure="m", value=value, unit="", ratio=ratio, floor=floor, goal=goal, better=better)

    assert row.verdict == verdict


def test_quantiles_are_those_of_what_came_between_two_scrapes():
    text = 'pollhook_poll_lateness_seconds_bucket{{lane="{}",le="{}"}} {}.0'
    before = lateness("\n".join(text.format("a", le, n) for le, n in [("0.01", 10), ("0.02", 10), ("+Inf", 10)]), {"a"})
    after = lateness(
        "\n".join(text.format("a", le, n) for le, n in [("0.01", 60), ("0.02", 110), ("+Inf", 110)]), {"a"}
    )

    assert quantile_between(before, after, 0.75) == pytest.approx(0.015)
    assert math.isnan(quantile_between(after, after, 0.5))
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
