"""The crash points: a name before and after every commit, fsync, send and change of state.

Nothing in the daemon knows of them: ``plant`` wraps the ports, the adapters and SQLite from outside, in a test's own
process. A point is ``WHAT: WHEN``. Of a write of the store, ``asked`` lies before anything happened, ``written`` in the
transaction before its COMMIT, ``committed`` right after it on the writer's thread, ``told`` when the engine has heard.
"""

from __future__ import annotations

from daemon.engine import endpoint_ports, ports
from daemon.store.endpoints import SqliteEndpoints
from daemon.store.ledger import SqliteLedger
from daemon.store.migrate import migrations
from daemon.store.outbox import SqliteOutbox
from daemon.store.rechecks import SqliteRechecks
from daemon.store.saves import SqliteSaves
from daemon.store.shelf import FileShelf
from daemon.store.watchlist import SqliteWatchlist

PORTS = {
    "watchlist": (ports.Watchlist, SqliteWatchlist),
    "outbox": (ports.Outbox, SqliteOutbox),
    "ledger": (ports.Ledger, SqliteLedger),
    "shelf": (ports.Shelf, FileShelf),
    "saves": (ports.Saves, SqliteSaves),
    "rechecks": (ports.Rechecks, SqliteRechecks),
    "endpoints": (endpoint_ports.EndpointStore, SqliteEndpoints),
}

READS = {
    "watchlist": {"claimed", "record", "find", "page", "live", "result"},
    "outbox": {"due", "message", "windowed", "feed", "seq_of", "event", "deliveries_of", "page", "delivery", "counts"},
    "ledger": {"lanes", "durations", "endpoints"},
    "shelf": {"find"},
    "saves": {"due", "pending", "held", "used"},
    "rechecks": {"owed"},
    "endpoints": {"specs", "keys"},
}
"""What changes nothing: whatever else a port has is a write, and gets its points whether anyone thought of it or not."""

FILES_ONLY = {"shelf.draft", "shelf.adopt", "shelf.drop_draft"}
"""Writes of files alone, in no transaction."""

UNREACHED = {"ledger.drop_durations"}
"""Writes that the load does not bring about: it takes more models than a lane keeps. Learned durations may be lost."""

ASKED, WRITTEN, COMMITTED, TOLD = "asked", "written", "committed", "told"
AROUND = (ASKED, TOLD)
OF_A_COMMIT = (ASKED, WRITTEN, COMMITTED, TOLD)

TRIES = ("sender.send", "provider.poll", "provider.result", "fetcher.fetch")
"""What is asked of the world; ``told`` is an answer that nothing follows from yet."""

ARRIVALS = (
    "webhook: arrived", "webhook: answered", "poll: arrived", "poll: answered", "result: arrived", "result: answered",
    "file: half",
)  # fmt: skip
"""Kills by the world outside, with a request on its way or an answer not yet read."""

DISK = ("wal torn", "wal sync: before", "wal sync: after", "database torn", "database sync: before",
        "database sync: after")  # fmt: skip
"""Kills within SQLite, by a shim under it; *torn* is half a page written."""

SERVICE = ("service.recover: asked", "service.recover: told", "service.ready: asked", "service.ready: told")


def methods(port: type) -> list[str]:
    """Return the methods that *port* asks of an implementation."""
    return [name for name, value in vars(port).items() if callable(value) and not name.startswith("_")]


def writes() -> dict[str, tuple[str, ...]]:
    """Return every write of the store's ports, by ``port.method``, with the moments of its points."""
    found = {}
    for name, (port, _) in PORTS.items():
        for method in methods(port):
            if method not in READS[name]:
                write = f"{name}.{method}"
                found[write] = AROUND if write in FILES_ONLY else OF_A_COMMIT
    return found


def running() -> list[str]:
    """Return the points that a daemon at work comes by."""
    stored = [f"{write}: {moment}" for write, moments in writes().items() for moment in moments
              if write not in UNREACHED]  # fmt: skip
    tries = [f"{one}: {moment}" for one in TRIES for moment in AROUND]
    files = [f"output {deed}: {moment}" for deed in ("fsync", "replace") for moment in ("before", "after")]
    return [*stored, *tries, *files, *SERVICE, *ARRIVALS, *DISK]


def starting(version: int) -> list[str]:
    """Return the points that a start comes by which finds a database of schema *version*, or none where that is 0."""
    steps = [f"migration {n}: written" for n in range(version + 1, len(migrations()) + 1)]
    steps += [f"upgrade: {moment}" for moment in (ASKED, WRITTEN, COMMITTED)]
    journal = [f"to WAL: {moment}" for moment in ("before", "after")]
    deeds = ["folder fsync", "secret fsync", "secret link", "secret unlink"]
    if version:
        deeds += ["copy fsync", "copy replace"]
        journal += [f"vault.seal: {moment}" for moment in OF_A_COMMIT]
        journal += [f"vault.empty_journal: {moment}" for moment in AROUND]
    return [*steps, *journal, *(f"{deed}: {moment}" for deed in deeds for moment in ("before", "after"))]


def every() -> list[str]:
    """Return every point there is, once."""
    return list(dict.fromkeys([*running(), *starting(0), *starting(1)]))


if __name__ == "__main__":
    print("\n".join(every()))
