"""Learning takes its time where there is some, and never that of the polls."""

from __future__ import annotations

import math
import random
import time

from daemon.core.cadence import Bounds, LearnedCadence
from daemon.engine.leisure import Leisure
from tests.core.test_judge import task


def test_there_is_time_forty_times_a_second_and_four_times_in_a_row():
    now = [100.0]
    leisure = Leisure(lambda: now[0])

    at_once = [leisure() for _ in range(10)]
    told = 0
    for _ in range(1000):
        now[0] += 0.001
        told += leisure()

    assert at_once == [True] * 4 + [False] * 6
    assert 38 <= told <= 41


def test_five_hundred_endings_of_fifty_models_in_one_second_stay_within_what_the_loop_can_spare():
    now, dice = [0.0], random.Random(1)
    it = LearnedCadence(
        typical=90.0,
        price=0.15,
        bounds=Bounds(min_gap=2.0, max_gap=60.0, retention=86400.0),
        at_leisure=Leisure(lambda: now[0]),
    )
    began = time.process_time()
    for n in range(500):
        now[0] += 0.002
        age, model = 90 * math.exp(0.5 * dice.gauss(0, 1)), f"m{n % 50}"
        it.alive(task(model=model, born=0.0, seen=0.0), max(0.0, age - 3))
        it.ended(task(model=model, born=0.0, seen=max(0.0, age - 3)), age, has_succeeded=True)
        it.next(task(model=model, born=0.0), 60.0)

    assert time.process_time() - began < 1.0
    assert it.whole.forecast("m0").law.endings > 5
