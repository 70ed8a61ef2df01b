"""The verdict of a soak: what grows is seen through noise and wild points, what is flat is called flat."""

from __future__ import annotations

import random

import pytest

from tests.soak.slopes import slope, trend


def test_a_leak_is_seen_through_noise_and_a_third_of_wild_points():
    dice = random.Random(1)
    times = [2.0 * n for n in range(300)]
    values = [100 + 0.05 * at + dice.uniform(-2, 2) + (500 if dice.random() < 0.2 else 0) for at in times]

    found = trend("rss", "MiB", times, values, share=0.06, floor=10.0)

    assert slope(times, values) == pytest.approx(0.05, rel=0.2)
    assert not found.is_flat


def test_noise_and_a_step_of_the_first_second_are_no_leak():
    dice = random.Random(2)
    times = [2.0 * n for n in range(300)]
    values = [60.0, *(100 + dice.uniform(-5, 5) for _ in times[1:])]

    assert trend("rss", "MiB", times, values, share=0.06, floor=1.0).is_flat


def test_falling_is_no_fault():
    assert trend("wal", "MiB", [0, 1, 2], [9, 5, 1], share=0.1, floor=0.0).is_flat
