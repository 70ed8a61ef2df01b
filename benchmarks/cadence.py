"""How near the daemon's own cadence comes to the exact optimum, in simulated time.

The real ``daemon.core.cadence`` learns from endings drawn from a law as it would in service: from polls alone. Then
what it has learned is held still and its checks are weighed against the whole law, against the exact optimum, and
against what other pollers do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import exp, log
from statistics import fmean

from daemon.core.cadence import LearnedCadence

from benchmarks import live
from benchmarks.laws import BIMODAL, LAWS, SLOW, SWIFT, Law, Outcome, durations, of_schedule, optimum, outcome
from benchmarks.phases import SHOWN
from benchmarks.phases import outcome as queued_and_run
from benchmarks.plot import Axis, Panel, Spot, draw
from benchmarks.replay import FREE, TYPICAL, curve, learn, seen, watched
from benchmarks.report import Row, Wishes, compared, main, progress

WORTH = (0.1, 0.3, 1.0, 3.0)
ENDINGS = (0, 10, 30, 300)
JUDGED = 30
DEFAULT_PRICE = 0.15
NEARNESS = {True: (1.12, 1.05), False: (1.15, 1.07)}
FEWER = {(SLOW.name, "fixed 5 s"): (1.3, 1.45), (SWIFT.name, "fixed 5 s"): (2.0, 2.3)}
FEWER_THAN_BACK_OFF = (3.0, 3.4)
TOLERANCE = (1.25, 1.1)

Policy = Callable[[Law], Outcome]


def fixed(first: float, gap: float) -> Policy:
    """Check at *first* and every *gap* seconds after it."""
    return lambda law: outcome(law, lambda age: age + gap, first)


def back_off(law: Law) -> Outcome:
    """Check after 1 s and then in gaps each half as long again, up to 30 s."""
    checks, gap = [1.0], 1.0
    while checks[-1] < durations(law)[-1]:
        gap = min(30.0, gap * 1.5)
        checks.append(checks[-1] + gap)
    return of_schedule(law, checks)


POLICIES: dict[str, Policy] = {
    "fixed 5 s": fixed(0.0, 5.0),
    "first after 7.5 s, then 5 s": fixed(7.5, 5.0),
    "back-off x1.5 cap 30 s": back_off,
    "fixed 1 s (OpenAI)": fixed(0.0, 1.0),
}


def delay_like(cadence: LearnedCadence, law: Law, delay: float) -> Outcome:
    """Return what the cadence gives at the price at which its mean delay is *delay*."""
    return at_delay(lambda price: curve(cadence, law, price), delay)


def at_delay(give: Callable[[float], Outcome], delay: float) -> Outcome:
    """Bisect the price until *give* has the mean delay asked for."""
    low, high = log(1e-3), log(1e4)
    for _ in range(15):
        middle = (low + high) / 2
        low, high = (middle, high) if give(exp(middle)).delay < delay else (low, middle)
    return give(exp(low))


def nearness(law: Law, seeds: int) -> list[Row]:
    """Return how near the cost comes to the optimum's, by endings seen and by what a second of delay is worth."""
    rows = []
    for endings in ENDINGS:
        ratios: dict[float, list[float]] = {r: [] for r in WORTH}
        for r in WORTH:
            best = optimum(law, 1 / r).cost(1 / r)
            for seed in range(seeds if endings else 1):
                learned = learn(law, endings, price=1 / r, seed=seed)
                ratios[r].append(curve(learned, law, 1 / r).cost(1 / r) / best)
            ours = fmean(ratios[r]) * best
            what = f"cost, {law.name}, {endings} endings, r = {r:g}"
            rows.append(compared(what, ours, "s", ("exact optimum", best), better="lower"))
        floor, goal = NEARNESS[law is not BIMODAL] if endings == JUDGED else (None, None)
        rows.append(_mean_row(f"cost, {law.name}, {endings} endings, mean over r", ratios, floor, goal))
    return rows


def _mean_row(measure: str, ratios: dict[float, list[float]], floor: float | None, goal: float | None) -> Row:
    mean = fmean(fmean(found) for found in ratios.values())
    return Row(
        measure=measure, value=mean, unit="x", rival="exact optimum", ratio=mean, floor=floor, goal=goal,
        better="lower",
    )  # fmt: skip


def others(law: Law) -> list[Row]:
    """Return what the other policies cost."""
    rows = []
    for name, policy in POLICIES.items():
        for r in WORTH:
            cost, best = policy(law).cost(1 / r), optimum(law, 1 / r).cost(1 / r)
            what = f"cost of {name}, {law.name}, r = {r:g}"
            rows.append(compared(what, cost, "s", ("exact optimum", best), better="lower"))
    return rows


def fewer(law: Law, seeds: int) -> list[Row]:
    """Return how many times fewer polls the cadence makes at the mean delay of fixed 5 s and of back-off."""
    rows = []
    for name in ("fixed 5 s", "back-off x1.5 cap 30 s"):
        theirs = POLICIES[name](law)
        best = at_delay(lambda price: optimum(law, price, 1000), theirs.delay)
        rows.append(_times(f"times fewer polls, {law.name}, exact optimum", best, name, theirs))
        for endings in (JUDGED, 300):
            found = [
                delay_like(learn(law, endings, price=DEFAULT_PRICE, seed=n), law, theirs.delay) for n in range(seeds)
            ]
            ours = Outcome(*(fmean(each) for each in zip(*((o.polls, o.delay, o.p95) for o in found), strict=True)))
            rows.append(_times(f"times fewer polls, {law.name}, {endings} endings", ours, name, theirs))
            if endings > JUDGED and law in (SLOW, SWIFT):
                floor, goal = FEWER.get((law.name, name), FEWER_THAN_BACK_OFF)
                rows[-1] = replace(rows[-1], floor=floor, goal=goal)
            rows.append(compared(f"p95 delay then, {law.name}, {endings} endings", ours.p95, "s", (name, theirs.p95),
                                 better="lower"))  # fmt: skip
    return rows


def _times(measure: str, ours: Outcome, name: str, theirs: Outcome) -> Row:
    return Row(
        measure=f"{measure}, at equal mean delay ({theirs.delay:.3g} s)", value=ours.polls, unit="polls", rival=name,
        against=theirs.polls, ratio=theirs.polls / ours.polls,
    )  # fmt: skip


def shifted(seeds: int) -> list[Row]:
    """Return how fast a law that shifts from 20 to 90 s is followed, after 300 endings of the first."""
    rows = []
    best = optimum(SLOW, 1.0).cost(1.0)
    for endings in ENDINGS:
        costs = []
        for seed in range(seeds):
            cadence = learn(SLOW, endings, price=1.0, seed=seed, into=learn(SWIFT, 300, price=1.0, seed=seed))
            costs.append(curve(cadence, SLOW, 1.0).cost(1.0))
        what = f"cost, 300 endings of LN(20, .3), then {endings} of LN(90, .5), r = 1"
        rows.append(compared(what, fmean(costs), "s", ("exact optimum", best), better="lower"))
    return rows


def plain(law: Law, seeds: int) -> list[Row]:
    """Return polls per task, mean and p95 delay at the default price, by endings seen, against the exact optimum."""
    rows, best = [], optimum(law, DEFAULT_PRICE)
    for endings in ENDINGS:
        found = [
            curve(learn(law, endings, price=DEFAULT_PRICE, seed=n), law, DEFAULT_PRICE)
            for n in range(seeds if endings else 1)
        ]
        for measure, unit in (("polls", "polls"), ("delay", "s"), ("p95", "s")):
            value, against = fmean(getattr(o, measure) for o in found), getattr(best, measure)
            what = f"{measure}, {law.name}, {endings} endings, at the default price"
            rows.append(compared(what, value, unit, ("exact optimum", against), better="lower"))
    return rows


def replanned(judged: int) -> list[Row]:
    """Return what the state, the start of the run and the progress are worth where tasks wait before they run."""
    rows = []
    for r in WORTH[:3]:
        costs = {}
        for name, shown in SHOWN.items():
            cadence = LearnedCadence(typical=TYPICAL, price=1 / r, bounds=FREE)
            found = queued_and_run(cadence, watched(), shown, endings=300, judged=judged)
            costs[name] = found.cost(1 / r)
            if name == "nothing":
                continue
            what = f"cost, queue LN(60, 1) then run LN(20, .2), answers show {name}, r = {r:g}"
            rows.append(compared(what, costs[name], "s", ("answers show nothing", costs["nothing"]), better="lower"))
    return rows


def alive(judged: int, seeds: int) -> list[Row]:
    """Return polls and mean delay of the daemon itself, a real process, against the simulation of the same jobs."""
    jobs = live.lived(judged)
    ours = live.outcome([(job.polls, job.delay or 0.0) for job in jobs])
    bounds, simulated = replace(FREE, min_gap=live.MIN_GAP), []
    for seed in range(seeds):
        cadence = LearnedCadence(typical=live.LAW.quantile(0.5), price=live.PRICE, bounds=bounds)
        learn(live.LAW, live.LEARNED, price=live.PRICE, seed=seed, into=cadence)
        simulated.append(live.outcome([seen(cadence, job.took) for job in jobs]))
    theirs = Outcome(*(fmean(each) for each in zip(*((o.polls, o.delay, o.p95) for o in simulated), strict=True)))
    rival = "simulation of the same tasks"
    what = f"{live.LAW.name}, {live.LEARNED} endings, the daemon itself on {judged} tasks"
    cost = theirs.cost(live.PRICE)
    return [
        compared(f"polls, {what}", ours.polls, "polls", (rival, theirs.polls), bounds=TOLERANCE, better="lower"),
        compared(f"delay, {what}", ours.delay, "s", (rival, theirs.delay), bounds=TOLERANCE, better="lower"),
        compared(f"cost, {what}", ours.cost(live.PRICE), "s", (rival, cost), bounds=TOLERANCE, better="lower"),
    ]


def picture(wishes: Wishes) -> None:
    """Draw delay over polls for each law: the optimum, the cadence cold and learned, the others as points."""
    prices = [0.1 * 10 ** (n / 4) for n in range(9)]
    panels = []
    for law in LAWS:
        lines = {
            "exact optimum": [_spot(optimum(law, price, 1000)) for price in prices],
            "Pollhook, cold": [_spot(curve(learn(law, 0, price=1.0, seed=0), law, price)) for price in prices],
            "Pollhook, 30 endings": [_spot(curve(learn(law, 30, price=1.0, seed=0), law, price)) for price in prices],
        }
        points = {name: _spot(policy(law)) for name, policy in POLICIES.items() if "1 s" not in name}
        panels.append(Panel(law.name, lines, points))
    ticks = (1, 2, 5, 10, 20, 40)
    wishes.results.mkdir(parents=True, exist_ok=True)
    picture = draw(panels, Axis("polls per task", ticks), Axis("mean delay, s", ticks))
    (wishes.results / "cadence.svg").write_text(picture)


def _spot(outcome: Outcome) -> Spot:
    return outcome.polls, outcome.delay


def measure(wishes: Wishes) -> Sequence[Row]:
    """Measure every law."""
    seeds, few = (1, 1) if wishes.quick else (16, 8)
    rows: list[Row] = []
    for law in LAWS:
        progress(f"{law.name}, {seeds} histories")
        rows += [*nearness(law, seeds), *plain(law, few), *fewer(law, few), *others(law)]
    rows += shifted(seeds)
    progress("a queue, then a run")
    rows += replanned(100 if wishes.quick else 3000)
    if not wishes.quick:
        progress("the daemon itself")
        rows += alive(200, seeds)
    picture(wishes)
    return rows


if __name__ == "__main__":
    sys.exit(main("cadence", measure))
