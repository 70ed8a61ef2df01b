"""Random kills: a daemon under load dies at moments nobody chose, also while it starts, and is audited in the end.

``python -m tests.crash.kills --kills 1000 --seed 1`` prints the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.crash.audit import Evidence, Figures, audit, expected_saves
from tests.crash.load import ALWAYS, EVERYTHING, Acknowledged, Load, secret_of
from tests.crash.matrix import QUIET, rest
from tests.crash.rig import CrashRig, Nursery
from tests.crash.world import DEFAULT, DOWN, MINE, World, tables

UNDER_WAY = 10
log = logging.getLogger("kills")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What was done, and what was found."""

    kills: int
    unready: int
    seconds: float
    figures: Figures


async def kill_at_random(kills: int, seed: int, folder: Path, nursery: Nursery) -> Run:
    """Kill a daemon in *folder* *kills* times; one in five dies before it is ready."""
    dice, began = random.Random(seed), time.monotonic()
    world, promised, unready = World(), Acknowledged(), 0
    world.secrets = {DEFAULT: [secret_of(DEFAULT)], DOWN: [secret_of(DOWN)], MINE: []}
    async with world, CrashRig(folder, nursery, tables={}) as rig:
        rig.tables = tables(world)
        rig.write_config()
        load, asking = Load(rig, world, promised), set()
        for number in range(kills):
            kinds = EVERYTHING if number % 5 == 0 else ALWAYS
            if len(asking) < UNDER_WAY:
                task = asyncio.create_task(load.bouquet(f"{number:04d}", kinds), name=f"bouquet {number}")
                asking.add(task)
                task.add_done_callback(asking.discard)
            await rig.launch()
            if dice.random() < 0.2:
                unready += 1
                await rig.dies(dice.uniform(0.0, 0.3))
            else:
                await rig.ready()
                await rig.dies(dice.expovariate(1 / 0.4))
            await rig.kill()
            if number % 50 == 49:
                log.info("%d kills in %.0f s", number + 1, time.monotonic() - began)
        await rig.start()
        await asyncio.wait_for(asyncio.gather(*asking), QUIET)
        world.is_down = False
        await rest(rig)
        assert await rig.stop() == 0
        evidence = Evidence(folder / "state", world, promised, rig.deaths)
        figures = audit(evidence)
        figures.broken += [f"no copy of the output of {one}" for one in expected_saves(evidence)]
        figures.broken += [f"a bug was contained: {one}" for one in rig.log_lines("work.crashed")[:3]]
        return Run(kills=len(rig.deaths), unready=unready, seconds=time.monotonic() - began, figures=figures)


async def run(kills: int, seed: int) -> Run:
    """Do it in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pollhook-kills-") as folder:
        async with Nursery() as nursery:
            return await kill_at_random(kills, seed, Path(folder), nursery)


def report(done: Run) -> str:
    """Return the figures, a line each."""
    found = done.figures
    per_delivery = len(found.repeats) / found.in_flight if found.in_flight else 0.0
    lines = {
        "kills": done.kills,
        "of them before it was ready": done.unready,
        "registrations acknowledged": found.registrations,
        "registrations lost": len(found.lost),
        "endings": found.endings,
        "endings untold": len(found.untold),
        "second endings": len(found.double),
        "webhooks": found.webhooks,
        "taken, the record lost in a kill": found.in_flight,
        "sent again after it": len(found.repeats),
        "sent again per delivery in flight": f"{per_delivery:.2f}",
        "results billed": found.billed,
        "broken": len(found.broken),
        "seconds": f"{done.seconds:.0f}",
    }
    return "\n".join(f"{name:34} {value}" for name, value in lines.items())


def main() -> int:
    """Print the figures; 1 where a guarantee was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    done = asyncio.run(run(asked.kills, asked.seed))
    print(report(done))
    for one in done.figures.broken:
        print(f"BROKEN {one}", file=sys.stderr)
    return 1 if done.figures.broken else 0


if __name__ == "__main__":
    sys.exit(main())
