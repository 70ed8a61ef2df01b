"""The crash matrix: a daemon under load is killed at every point there is, and what follows is audited.

``python -m tests.crash.matrix`` prints the table; ``--passes 1 3`` kills at the first and at the third pass of each.
Rounds follow one another on one database, each killed at its point while it still recovers from the one before.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sqlite3
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.crash.audit import Evidence, Figures, audit, expected_saves
from tests.crash.load import Acknowledged, Load, secret_of, wanted
from tests.crash.points import ARRIVALS, running
from tests.crash.rig import CrashRig, Nursery
from tests.crash.world import DEFAULT, DOWN, MINE, World, tables

log = logging.getLogger("matrix")
PATIENCE = 20.0
UNDER_WAY = 12
QUIET = 60.0


@dataclass(slots=True)
class Round:
    """One kill: its point, the label of its tasks, when it died."""

    point: str
    n: int
    label: str
    died_at: float | None = None


@dataclass(slots=True)
class Outcome:
    """All rounds on one database, and the audit of it."""

    rounds: list[Round]
    figures: Figures
    passed: set[str]
    promised: Acknowledged


async def killed_at(points: Sequence[tuple[str, int]], folder: Path, nursery: Nursery) -> Outcome:
    """Kill a daemon in *folder* at each of *points* in turn, let it come to rest, and audit it."""
    world, promised, rounds = World(), Acknowledged(), []
    world.secrets = {DEFAULT: [secret_of(DEFAULT)], DOWN: [secret_of(DOWN)], MINE: []}
    async with world, CrashRig(folder, nursery, tables={}) as rig:
        rig.tables = tables(world)
        rig.write_config()
        world.kill = rig.kill_now
        load, asking = Load(rig, world, promised), []
        queue = deque(points)
        for number in count():
            if not queue:
                break
            point, n = queue.popleft()
            one = Round(point, n, f"{number:04d}")
            rounds.append(one)
            if "prune" in point or "discard" in point:
                age(rig, promised)
            asking.append(asyncio.create_task(load.bouquet(one.label, wanted(point)), name=one.label))
            await _die(rig, world, one)
            if one.died_at is None and len(rounds) <= len(points):
                queue.append((point, n))
            if sum(not each.done() for each in asking) > UNDER_WAY:
                await _breathe(rig, world, asking)
        world.arm("", 1)
        await rig.start()
        await asyncio.wait_for(asyncio.gather(*asking), QUIET)
        world.is_down = False
        await rest(rig)
        assert await rig.stop() == 0
        evidence = Evidence(folder / "state", world, promised, rig.deaths)
        figures = audit(evidence)
        figures.broken += [f"no copy of the output of {one}" for one in expected_saves(evidence)]
        crashed = rig.log_lines("work.crashed")
        figures.broken += [f"a bug was contained: {one}" for one in crashed[:3]]
        return Outcome(rounds, figures, rig.passed() | world.seen, promised)


async def _die(rig: CrashRig, world: World, one: Round) -> None:
    world.arm(one.point if one.point in ARRIVALS else "", one.n)
    await rig.launch(one.point, one.n)
    if await rig.dies(PATIENCE):
        assert rig.ended is not None
        assert rig.ended.result() == -9, f"{one.point}: exit {rig.ended.result()}: {rig.log.read_text()[-2000:]}"
        one.died_at = rig.deaths[rig.starts]
        log.info("%s %s", one.label, one.point)
    else:
        log.warning("%s %s was not reached", one.label, one.point)
        await rig.kill()


async def _breathe(rig: CrashRig, world: World, asking: list[asyncio.Task[None]]) -> None:
    """Let a daemon live until those who ask have all their answers."""
    log.info("a pause, for %d who wait", sum(not each.done() for each in asking))
    world.arm("", 1)
    await rig.start()
    await asyncio.wait([each for each in asking if not each.done()], timeout=10)
    await rig.kill()


def age(rig: CrashRig, promised: Acknowledged) -> None:
    """Make some that are done and told so old that retention deletes them."""
    path = rig.folder / "state" / "pollhook.db"
    if not path.exists():
        return
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute(
            "SELECT tasks.id, event_id FROM tasks JOIN deliveries USING (event_id)"
            " WHERE state = 'delivered' AND endpoint = 'default' AND status = 'succeeded' LIMIT 6"
        ).fetchall()
        for task_id, event_id in rows:
            promised.aged.add(task_id)
            connection.execute("UPDATE tasks SET ended_at = 1e9 WHERE id = ?", (task_id,))
            connection.execute("UPDATE events SET created_at = 1e9 WHERE id = ?", (event_id,))


LEFT = {
    "live tasks": "SELECT id, status, last_miss FROM tasks WHERE ended_at IS NULL",
    "deliveries": "SELECT id, endpoint, state, reason FROM deliveries WHERE state IN ('pending', 'parked')",
    "copies": "SELECT task_id, number, reason FROM saves WHERE state = 'pending'",
    "re-checks": "SELECT task_id FROM rechecks WHERE late IS NULL",
}


async def rest(rig: CrashRig) -> None:
    """Wait until nothing is left to be done; say what is left where that does not come."""
    deadline = time.monotonic() + QUIET
    while left := _left(rig.folder / "state" / "pollhook.db"):
        assert time.monotonic() < deadline, f"still to be done after {QUIET} s: {left}"
        await asyncio.sleep(0.2)


def _left(path: Path) -> dict[str, list[object]]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        found = {what: connection.execute(sql + " LIMIT 5").fetchall() for what, sql in LEFT.items()}
    return {what: rows for what, rows in found.items() if rows}


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the table: each point, and what its rounds brought."""
    lines = [f"{'point':34} {'kills':>5} {'registered':>10} {'repeated':>8}"]
    for point in running():
        rounds = [(outcome, one) for outcome in outcomes for one in outcome.rounds if one.point == point]
        kills = sum(one.died_at is not None for _, one in rounds)
        tasks = sum(_is_of(remote, one) for outcome, one in rounds for remote in outcome.promised.tasks)
        repeats = sum(Counter(at for at, _ in outcome.figures.repeats)[one.died_at] for outcome, one in rounds)
        lines.append(f"{point:34} {kills:5} {tasks:10} {repeats:8}")
    return "\n".join([*lines, "", *summary(outcomes)])


def _is_of(remote_id: str, one: Round) -> bool:
    return remote_id.split("-")[1] == one.label


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the totals, a line each."""
    figures = [outcome.figures for outcome in outcomes]
    rounds = [one for outcome in outcomes for one in outcome.rounds]
    totals = {
        "kills": sum(one.died_at is not None for one in rounds),
        "points not reached": len(missed(outcomes)),
        "registrations acknowledged": sum(one.registrations for one in figures),
        "registrations lost": sum(len(one.lost) for one in figures),
        "endings": sum(one.endings for one in figures),
        "endings untold": sum(len(one.untold) for one in figures),
        "second endings": sum(len(one.double) for one in figures),
        "webhooks": sum(one.webhooks for one in figures),
        "taken, the record lost in a kill": sum(one.in_flight for one in figures),
        "sent again after it": sum(len(one.repeats) for one in figures),
        "results billed": sum(one.billed for one in figures),
        "broken": sum(len(one.broken) for one in figures),
    }
    return [f"{name:34} {value}" for name, value in totals.items()]


def missed(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the points whose first pass killed no daemon."""
    rounds = [one for outcome in outcomes for one in outcome.rounds if one.n == 1]
    killed = {one.point for one in rounds if one.died_at is not None}
    return sorted({one.point for one in rounds} - killed)


async def run(points: Sequence[tuple[str, int]], worlds: int) -> list[Outcome]:
    """Run the matrix in *worlds* databases side by side."""
    with tempfile.TemporaryDirectory(prefix="pollhook-crash-") as folder:
        async with Nursery() as nursery:
            homes = [Path(folder) / str(n) for n in range(worlds)]
            for home in homes:
                home.mkdir()
            shares = [points[n::worlds] for n in range(worlds)]
            return await asyncio.gather(
                *(killed_at(share, home, nursery) for share, home in zip(shares, homes, strict=True))
            )


def main() -> int:
    """Run it and print the table; 1 where a guarantee was broken or a point not reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=int, nargs="+", default=[1])
    parser.add_argument("--worlds", type=int, default=2)
    parser.add_argument("--only", default="", help="the points that hold this text")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(message)s")
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    began = time.monotonic()
    points = [(point, n) for n in asked.passes for point in running() if asked.only in point]
    outcomes = asyncio.run(run(points, asked.worlds))
    print(table(outcomes))
    print(f"{'seconds':34} {time.monotonic() - began:.0f}")
    broken = [one for outcome in outcomes for one in outcome.figures.broken]
    broken += [f"not reached: {point}" for point in missed(outcomes)]
    for one in broken:
        print(f"BROKEN {one}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
