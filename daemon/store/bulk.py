"""Many rows by few statements: each statement hands the interpreter's lock over, which costs more than the row."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from daemon.store.rows import Value

_SIZES = (100, 10, 1)
_ROW = re.compile(r"VALUES\s+(\([?,\s]+\))")


def execute_all(statement: str, rows: Sequence[tuple[Value, ...]], connection: sqlite3.Connection) -> None:
    """Execute *statement*, written with the ``VALUES (?, …)`` of one row, for all *rows*, in their order."""
    done = 0
    for size in _SIZES:
        while len(rows) - done >= size:
            some = rows[done : done + size]
            connection.execute(_of_many(statement, size), tuple(chain.from_iterable(some)))
            done += size


@lru_cache(maxsize=64)
def _of_many(statement: str, size: int) -> str:
    return _ROW.sub(lambda found: "VALUES " + ", ".join([found[1]] * size), statement)
