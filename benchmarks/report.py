"""What a benchmark says: rows in a table and in a JSON file, and an exit status.

A floor is what users are promised, a goal where we are going. Both are held against the row's ratio where it has one,
and against its value otherwise.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine, versions

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measure; ``ratio`` is value over ``against``, the same measure of ``rival`` in the same run."""

    measure: str
    value: float
    unit: str
    rival: str | None = None
    against: float | None = None
    ratio: float | None = None
    floor: float | None = None
    goal: float | None = None
    better: Literal["higher", "lower"] = "higher"

    def meets(self, bound: float | None) -> bool:
        """Whether the row is at least as good as *bound*; no bound is always met."""
        measured = self.value if self.ratio is None else self.ratio
        return bound is None or (measured >= bound if self.better == "higher" else measured <= bound)

    @property
    def verdict(self) -> str:
        """What to say of the row: nothing where nothing was promised."""
        if self.floor is None and self.goal is None:
            return ""
        if not self.meets(self.floor):
            return "MISSED"
        return "goal" if self.goal is not None and self.meets(self.goal) else "floor"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for."""

    quick: bool
    strict: bool
    results: Path


def compared(
    measure: str,
    value: float,
    unit: str,
    rival: tuple[str, float],
    *,
    bounds: tuple[float, float] | None = None,
    better: Literal["higher", "lower"] = "higher",
) -> Row:
    """Return a row of *value* against a rival's (name, value); *bounds* are (floor, goal) of the ratio."""
    name, against = rival
    ratio = value / against if against else None
    floor, goal = bounds or (None, None)
    return Row(
        measure=measure, value=value, unit=unit, rival=name, against=against, ratio=ratio, floor=floor, goal=goal,
        better=better,
    )  # fmt: skip


def main(name: str, measure: Callable[[Wishes], Sequence[Row]], argv: Sequence[str] | None = None) -> int:
    """Measure, print, write ``NAME.json``; return 1 where a floor is missed under ``--strict``."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="short runs: to see that it works, not to quote")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a floor is missed")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder to write to")
    asked = parser.parse_args(argv)
    if argv is None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    wishes = Wishes(asked.quick, asked.strict, asked.results)
    rows = measure(wishes)
    show(name, rows)
    path = write(name, rows, wishes)
    missed = [row for row in rows if not row.meets(row.floor)]
    sys.stdout.write(f"{len(missed)} of {sum(row.floor is not None for row in rows)} floors missed; {path}\n")
    return 1 if missed and wishes.strict else 0


def write(name: str, rows: Sequence[Row], wishes: Wishes) -> Path:
    """Write the rows with the machine and the versions beside them; return the file."""
    wishes.results.mkdir(parents=True, exist_ok=True)
    path = wishes.results / f"{name}.json"
    told = {
        "rows": [asdict(row) for row in rows],
        "quick": wishes.quick,
        "machine": machine(),
        "versions": versions(),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    return path


def show(name: str, rows: Sequence[Row]) -> None:
    """Print the rows as a table."""
    table = Table(title=name, title_justify="left")
    for head in ("measure", "value", "against", "ratio", "floor", "goal", "met?"):
        table.add_column(head, justify="left" if head in ("measure", "against", "met?") else "right", overflow="fold")
    for row in rows:
        against = "" if row.rival is None else row.rival if row.against is None else f"{row.rival} {_n(row.against)}"
        style = "red" if row.verdict == "MISSED" else None
        cells = (row.measure, f"{_n(row.value)} {row.unit}", against, _n(row.ratio), _n(row.floor), _n(row.goal))
        table.add_row(*cells, row.verdict, style=style)
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def progress(text: str) -> None:
    """Say on stderr what is under way."""
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def _n(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
