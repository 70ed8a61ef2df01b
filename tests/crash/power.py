"""Power loss: what would be on the disk if the power failed at a moment nobody chose, opened afresh.

A shim under the daemon records every write, rename and sync of its state folder. From the record the disk of any moment
can be made: *bare* holds only what was synced by then, *torn* beside that some of what was written since, in sectors of
512 bytes and in any order, *whole* all of it. A name is there only once its folder was synced. What had been answered or
told before that moment must be there. Beside them the running daemon is frozen now and then and its files are copied.

``python -m tests.crash.power --cuts 300 --seed 1`` prints the figures; ``--careless`` has SQLite sync nothing, to see
that this would be noticed.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from daemon.service.secrets import own_secrets
from daemon.store.store import open_store
from tests.crash.load import Acknowledged, Load, secret_of
from tests.crash.rig import CrashRig, Nursery
from tests.crash.world import DEFAULT, DOWN, MINE, World, tables

SECTOR = 512
MODES = ("bare", "torn", "whole")
COPIES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One change of the disk as the shim saw it; *at* is monotonic seconds."""

    what: str
    at: float
    inode: int
    offset: int
    path: str
    data: bytes


@dataclass(slots=True, eq=False)
class File:
    """One file: what is synced, and what was written since."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def after(self, deeds: list[tuple[int, bytes | None]]) -> bytearray:
        """Return the synced bytes with *deeds* done to them; None instead of bytes cuts the file."""
        content = bytearray(self.synced)
        for offset, data in deeds:
            if data is None:
                content = content[:offset].ljust(offset, b"\0")
            else:
                content = content.ljust(offset, b"\0")
                content[offset : offset + len(data)] = data
        return content


@dataclass(slots=True)
class Disk:
    """A folder as its disk would have it."""

    folder: str
    inodes: dict[int, File] = field(default_factory=dict)
    synced: dict[str, File] = field(default_factory=dict)
    names: list[tuple[str, str | None, File | None]] = field(default_factory=list)

    def do(self, deed: Deed) -> None:
        """Do one thing that was recorded."""
        match deed.what:
            case "make":
                self.inodes[deed.inode] = File()
                self.names.append((deed.path, None, self.inodes[deed.inode]))
            case "name" | "rename":
                old = deed.data.decode() if deed.what == "rename" else None
                self.names.append((deed.path, old, self.inodes[deed.inode]))
            case "unlink":
                self.names.append((deed.path, None, None))
            case "write" | "cut":
                data = deed.data if deed.what == "write" else None
                self.inodes.setdefault(deed.inode, File()).since.append((deed.offset, data))
            case "sync" if deed.inode in self.inodes:
                file = self.inodes[deed.inode]
                file.synced, file.since = file.after(file.since), []
            case "sync":
                mine = [one for one in self.names if one[0].rpartition("/")[0] == deed.path]
                self.names = [one for one in self.names if one not in mine]
                self._rename(self.synced, mine)

    @staticmethod
    def _rename(names: dict[str, File], deeds: list[tuple[str, str | None, File | None]]) -> None:
        for path, old, file in deeds:
            names.pop(old or path, None)
            if file is not None:
                names[path] = file

    def image(self, mode: str, dice: random.Random, target: Path) -> None:
        """Write into *target* what a failure of power leaves at this moment."""
        names = dict(self.synced)
        kept = {"bare": 0, "torn": dice.randint(0, len(self.names)), "whole": len(self.names)}[mode]
        self._rename(names, self.names[:kept])
        for path, file in names.items():
            deeds = {"bare": [], "torn": list(_torn(file, dice)), "whole": file.since}[mode]
            where = target / path.removeprefix(self.folder + "/")
            where.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            where.write_bytes(file.after(deeds))
            where.chmod(0o600)


def _torn(file: File, dice: random.Random) -> Iterator[tuple[int, bytes | None]]:
    share = dice.random()
    for offset, data in file.since:
        if data is None:
            if dice.random() < share:
                yield offset, None
            continue
        for start in range(0, len(data), SECTOR):
            if dice.random() < share:
                yield offset + start, data[start : start + SECTOR]


def recorded(file: Path) -> Iterator[Deed]:
    """Read what the shim recorded."""
    with file.open("rb") as record:
        while line := record.readline():
            what, at, inode, offset, size, path = line.decode().rstrip("\n").split("\t")
            data = record.read(int(size))
            yield Deed(what=what, at=float(at), inode=int(inode), offset=int(offset), path=path, data=data)


async def judge(image: Path, at: float, world: World, promised: Acknowledged) -> list[str]:
    """Open the disk of moment *at* as a start does; return what is wrong with it."""
    due = [task for task, moment in promised.at.items() if moment < at]
    path = image / "pollhook.db"
    if not path.exists():
        return ["the database is gone"] if due else []
    try:
        store = await open_store(path)
        await store.endpoints.keys()
        await store.close()
        own_secrets(path)
    except Exception as error:  # a disk that lies may break anything
        return [f"it does not open: {error!r}"]
    try:
        return _held_against(path, at, due, world, promised)
    except (sqlite3.Error, TypeError, ValueError) as error:
        return [f"integrity: {error}"]


def _held_against(path: Path, at: float, due: list[str], world: World, promised: Acknowledged) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        health = [text for (text,) in connection.execute("PRAGMA integrity_check")]
        tasks = dict(connection.execute("SELECT id, status FROM tasks"))
        bodies = {
            id_: hashlib.sha256(body).hexdigest() for id_, body in connection.execute("SELECT id, body FROM events")
        }
        asked = {id_ for (id_,) in connection.execute("SELECT remote_id FROM tasks JOIN results ON task_id = tasks.id")}
    wrong = [f"integrity: {text}" for text in health if text != "ok"]
    wrong += [f"{task} was acknowledged and is gone" for task in due if task not in tasks]
    wrong += [
        f"{one.id} was told and is gone"
        for one in world.arrivals
        if one.heard < at and bodies.get(one.id) != one.digest
    ]
    billed = [job for job in world.jobs.values() if job.kind == "paid" and 0 < job.asked_at < at]
    wrong += [f"{job.id}: its result was asked for and the intent is gone" for job in billed if job.id not in asked]
    stopped = [task for task, moment in promised.stopped_at.items() if moment < at and tasks.get(task) != "stopped"]
    return wrong + [f"{task} was stopped and is {tasks.get(task)}" for task in stopped]


@dataclass(slots=True)
class Outcome:
    """How many disks of each kind were opened, and what was wrong."""

    opened: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    registrations: int = 0
    webhooks: int = 0
    seconds: float = 0.0


async def record(
    home: Path, dice: random.Random, *, bouquets: int, careless: bool
) -> tuple[World, Acknowledged, dict[Path, float]]:
    """Let a daemon work in *home* with the shim under it; return the ledgers, and copies with their moments."""
    (home / "state").mkdir(mode=0o700)
    environ = {"CRASH_RECORD": str(home / "record"), "CRASH_FOLDER": str(home / "state")}
    world, promised = World(is_down=False), Acknowledged()
    world.secrets = {DEFAULT: [secret_of(DEFAULT)], DOWN: [secret_of(DOWN)], MINE: []}
    environ |= {"CRASH_CARELESS": "1"} if careless else {}
    async with Nursery(environ) as nursery, world, CrashRig(home, nursery) as rig:
        rig.tables = tables(world)
        rig.write_config()
        await rig.start()
        load = Load(rig, world, promised)
        asking = [asyncio.create_task(load.bouquet(f"{n:04d}"), name=f"bouquet {n}") for n in range(bouquets)]
        copies = {}
        for number in range(COPIES):
            await asyncio.wait(asking, timeout=dice.uniform(0.05, 0.4))
            copies[home / f"copy-{number}"] = await rig.frozen(home / f"copy-{number}")
        await asyncio.gather(*asking)
        await rig.kill()
    return world, promised, copies


async def lose_power(home: Path, *, cuts: int, seed: int, bouquets: int = 4, careless: bool = False) -> Outcome:
    """Record a daemon at work, and open the disks of *cuts* moments of it in each mode."""
    began, dice, found = time.monotonic(), random.Random(seed), Outcome()
    world, promised, copies = await record(home, dice, bouquets=bouquets, careless=careless)
    for image, at in copies.items():
        await _open(found, "copied", image, at, world, promised)
    deeds = list(recorded(home / "record"))
    found.deeds.update(deed.what for deed in deeds)
    moments = sorted(dice.sample(range(len(deeds)), min(cuts, len(deeds))))
    disk, done = Disk(str((home / "state").resolve())), 0
    for moment in moments:
        for deed in deeds[done : moment + 1]:
            disk.do(deed)
        done = moment + 1
        for mode in MODES:
            image = home / f"{mode}-{moment}"
            disk.image(mode, dice, image)
            await _open(found, mode, image, deeds[moment].at, world, promised)
    found.registrations, found.webhooks = len(promised.at), len({one.id for one in world.arrivals})
    found.seconds = time.monotonic() - began
    return found


async def _open(found: Outcome, mode: str, image: Path, at: float, world: World, promised: Acknowledged) -> None:
    wrong = await judge(image, at, world, promised)
    found.opened[mode] += 1
    found.lost[mode] += bool(wrong)
    found.wrong += [f"{image.name}: {one}" for one in wrong[:3]]
    shutil.rmtree(image, ignore_errors=True)


def report(found: Outcome) -> str:
    """Return the figures, a line each."""
    recorded_ = ", ".join(f"{count} {what}" for what, count in sorted(found.deeds.items()))
    lines = [f"{'recorded':34} {recorded_}"]
    lines += [f"{'registrations, webhooks':34} {found.registrations}, {found.webhooks}"]
    lines += [
        f"{f'disks opened, {mode}':34} {found.opened[mode]}, {found.lost[mode]} not whole"
        for mode in ("copied", *MODES)
    ]
    return "\n".join([*lines, f"{'seconds':34} {found.seconds:.0f}"])


def main() -> int:
    """Print the figures; 1 where something acknowledged was gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bouquets", type=int, default=4)
    parser.add_argument("--careless", action="store_true")
    asked = parser.parse_args()
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="pollhook-power-") as home:
        found = asyncio.run(
            lose_power(Path(home), cuts=asked.cuts, seed=asked.seed, bouquets=asked.bouquets, careless=asked.careless)
        )
    print(report(found))
    for one in found.wrong[:20]:
        print(f"BROKEN {one}", file=sys.stderr)
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
