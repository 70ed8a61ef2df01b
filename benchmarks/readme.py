"""The measured tables of the README, made from the results: ``python -m benchmarks.readme`` writes them in.

A figure stands there only because a benchmark printed it: what is promised (a floor or a goal), what was measured in
the last full run, and whether it holds, missed ones included.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS, Row

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
NAMES = ("polls", "cadence", "lanes", "restart", "latency", "api", "delivery")


def tables() -> str:
    """Return the tables of all results that there are, in Markdown."""
    return "\n".join(_table(name) for name in NAMES if (RESULTS / f"{name}.json").exists())


def written(readme: str) -> str:
    """Return *readme* with the tables between its marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{after}"


def _table(name: str) -> str:
    told: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    rows = [Row(**row) for row in told["rows"]]
    lines = [f"`make bench-{name}` ({told['made_at'][:10]}):\n", "| measure | measured | floor | goal | holds |"]
    lines.append("|---|---|---|---|---|")
    for row in rows:
        if row.floor is not None or row.goal is not None:
            held = {"MISSED": "**missed**", "floor": "floor", "goal": "goal"}[row.verdict]
            lines.append(f"| {_named(row)} | {_measured(row)} | {_n(row.floor)} | {_n(row.goal)} | {held} |")
    return "\n".join([*lines, ""])


def _named(row: Row) -> str:
    return row.measure if row.rival is None else f"{row.measure}, against {row.rival}"


def _measured(row: Row) -> str:
    value = f"{_n(row.value)} {row.unit}".strip()
    return value if row.ratio is None else f"{_n(row.ratio)} of it ({value})"


def _n(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def main() -> int:
    """Write the tables into the README."""
    README.write_text(written(README.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
