"""Killed with SIGKILL at random moments, a store still has every registration it acknowledged."""

import random
import subprocess
import sys
from pathlib import Path

from daemon.store.store import open_store

ROOT = Path(__file__).parents[2]
CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import newcomer
from daemon.store.store import open_store

async def main():
    store = await open_store(Path(sys.argv[1]))
    async def register(worker):
        for turn in range(1_000_000):
            (added,) = await store.watchlist.add([newcomer(f"{sys.argv[3]}-{worker}-{turn}")])
            sys.stdout.write(added.record.id + "\\n")
            sys.stdout.flush()
    await asyncio.gather(*(register(worker) for worker in range(20)))

asyncio.run(main())
"""


def killed_after(lines: int, path: Path, run: int) -> list[str]:
    command = [sys.executable, "-c", CHILD, str(path), str(Path(__file__).parent), str(run)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    told = [child.stdout.readline() for _ in range(lines)]
    child.kill()
    told += child.stdout.readlines()
    child.stdout.close()
    assert child.wait(10) == -9
    return [line.strip() for line in told if line.endswith("\n")]


async def test_ten_kills_lose_no_acknowledged_registration(tmp_path):
    path = tmp_path / "p.db"
    acknowledged: list[str] = []

    for run in range(10):
        acknowledged += killed_after(random.randint(1, 400), path, run)

    store = await open_store(path)
    there = {task.id async for chunk in store.watchlist.live(0.0, 1e12) for task in chunk}
    await store.close()
    assert len(acknowledged) >= 10
    assert set(acknowledged) <= there
