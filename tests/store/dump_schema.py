"""Write a dump of every schema that has none yet: ``python -m tests.store.dump_schema``.

A dump is a database as a daemon of that schema left it, and is never written anew: that is what makes it a witness.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from daemon.core.breaker import Trouble
from daemon.core.observation import Inline, Output
from daemon.core.record import Claim, LaneState, ToUrl
from daemon.store.migrate import APPLICATION_ID, migrations
from daemon.store.store import Store, open_store
from tests.store import conftest as a

SAVE = """
INSERT INTO saves (task_id, number, lane, state, needs_auth, kind, created_at, updated_at, url)
VALUES (?1, 1, 'amux', 'failed', 0, 'video', ?2, ?2, 'https://cdn.example.com/b.mp4')
"""
SECRET = "INSERT INTO endpoints (name, secret) VALUES ('default', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')"
"""In the clear, as schemas before 5 kept it; whoever opens the database seals it."""
FOLDER = Path(__file__).with_name("schemas")


def main() -> None:
    """Fill a database of today, and copy of it what each schema can hold."""
    with tempfile.TemporaryDirectory() as name:
        full = Path(name) / "full.db"
        asyncio.run(fill(full))
        for version in range(1, len(migrations()) + 1):
            target = FOLDER / f"v{version}.sql"
            if not target.exists():
                target.write_text(dump(full, version))
                print(f"wrote {target}")


async def fill(path: Path) -> None:
    store = await open_store(path)
    try:
        await _fill(store)
    finally:
        await store.close()


async def _fill(store: Store) -> None:
    live, done, failed, billed = (a.newcomer(f"job-{n}") for n in range(4))
    adhoc = a.newcomer("job-url", target=ToUrl(url="https://app.example.com/hook"), metadata={"order": 17, "who": "é"})
    await store.watchlist.add([live, done, failed, billed, adhoc], Claim(key="k1", fingerprint="f" * 64))
    await store.watchlist.intend_result(billed.id, a.NOW + 5)
    made = Output(url="https://cdn.example.com/a.mp4", kind="video")
    for record, outcome, outputs in ((done, "succeeded", (made,)), (failed, "failed", ()), (adhoc, "succeeded", ())):
        ending = a.ending(record, outcome, outputs=outputs)
        await store.watchlist.finish(ending)
        if outcome == "failed":
            await store.outbox.settle(a.settled(ending.owed[0].delivery, "delivered"))
    await store.shelf.keep(done.id, 0, Inline(content=b"bytes", content_type="image/png"))
    await store.ledger.save_disabled("old", a.NOW, "answered 410")
    await store.ledger.save_durations({("amux", "seedance-2.0"): b"\x00packed\xff"})
    await store.ledger.save_lanes(
        [
            LaneState(
                name="amux", trouble=Trouble.CREDENTIALS, trouble_at=a.NOW, held_until_at=0.0, tat_at=1.5, key_mark="ab"
            )
        ]
    )
    await store.database.change(lambda connection: connection.execute(SAVE, (done.id, a.NOW)))
    await store.database.change(lambda connection: connection.execute(SECRET))


def dump(full: Path, version: int) -> str:
    """Return as SQL what a database of schema *version* can hold of *full*."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as old:
        for sql in migrations()[:version]:
            old.executescript(sql)
        old.execute("ATTACH ? AS today", (str(full),))
        for (table,) in old.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
        ).fetchall():
            kept = ", ".join(columns(old, "main", table) & columns(old, "today", table))
            old.execute(f"INSERT INTO main.{table} ({kept}) SELECT {kept} FROM today.{table}")
        old.execute("DETACH today")
        lines = "\n".join(old.iterdump())
    return f"{lines}\nPRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {version};\n"


def columns(connection: sqlite3.Connection, schema: str, table: str) -> set[str]:
    """Return the names of a table's columns."""
    return {row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({table})")}


if __name__ == "__main__":
    main()
