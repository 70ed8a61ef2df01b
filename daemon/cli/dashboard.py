"""What ``pollhook top`` shows: a summary, a row for each lane and one for each endpoint, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from daemon.cli import say
from daemon.cli.client import Object
from daemon.cli.scrape import Look, quantile, rate
from daemon.core.observation import Json

NAME_WIDTH = 14
STYLES = {"ok": "green", "failing": "red", "disabled": "red", "parked": "bold red"}
LANE_COLUMNS = (
    ("lane", "name"), ("state", "state"), ("tasks", "tasks"), ("flying", "in_flight"), ("polls/s", "polls_per_second"),
    ("limit", "rate"), ("late p99", "lateness_p99"), ("429/s", "throttled_per_second"), ("price", "price"),
)  # fmt: skip
ENDPOINT_COLUMNS = (
    ("endpoint", "name"), ("state", "state"), ("pending", "pending"), ("parked", "parked"), ("dead", "dead"),
    ("flying", "in_flight"), ("sent/s", "attempts_per_second"), ("failed/s", "failures_per_second"),
)  # fmt: skip


def figures(before: Look, now: Look) -> Object:
    """Return all that is shown, as JSON: the whole, its lanes and its endpoints, those in trouble first."""
    lanes = sorted((_lane(lane, before, now) for lane in now.lanes), key=_urgency)
    endpoints = sorted((_endpoint(endpoint, before, now) for endpoint in now.endpoints), key=_urgency)
    return {
        "seconds": round(now.at - before.at, 3),
        "tasks": round(sum(_number(lane.get("tasks")) for lane in now.lanes)),
        "polls_per_second": _rounded(rate(before, now, "pollhook_polls_total")),
        "endings_per_second": _rounded(rate(before, now, "pollhook_task_endings_total")),
        "lateness_p99": quantile(before, now, "pollhook_poll_lateness_seconds", 0.99),
        "oldest_due_delivery": _rounded(now.total("pollhook_oldest_due_delivery_seconds")),
        "resident_bytes": round(now.total("process_resident_memory_bytes")),
        "lanes": [*lanes],
        "endpoints": [*endpoints],
    }


def drawn(shown: Object, where: str, *, height: int | None = None) -> Group:
    """Return the figures as text for a terminal of *height* lines; rows that do not fit are counted."""
    room = None if height is None else max(2, height - 10)
    lanes, endpoints = _rows(shown["lanes"]), _rows(shown["endpoints"])
    shares = (None, None) if room is None else _shares(room, len(lanes), len(endpoints))
    return Group(
        _summary(shown, where),
        Text(),
        *_table(LANE_COLUMNS, lanes, shares[0], "no provider is configured"),
        Text(),
        *_table(ENDPOINT_COLUMNS, endpoints, shares[1], "no endpoint is configured"),
    )


def _lane(lane: Object, before: Look, now: Look) -> Object:
    name = str(lane["name"])
    return {
        "name": name,
        "state": lane.get("state"),
        "reason": lane.get("reason"),
        "tasks": lane.get("tasks"),
        "in_flight": lane.get("in_flight"),
        "polls_per_second": _rounded(rate(before, now, "pollhook_polls_total", lane=name)),
        "rate": lane.get("rate"),
        "lateness_p99": quantile(before, now, "pollhook_poll_lateness_seconds", 0.99, lane=name),
        "throttled_per_second": _rounded(
            rate(before, now, "pollhook_poll_misses_total", lane=name, reason="throttled")
        ),
        "price": lane.get("price"),
    }


def _endpoint(endpoint: Object, before: Look, now: Look) -> Object:
    name = str(endpoint["name"])
    sent = rate(before, now, "pollhook_delivery_attempts_total", endpoint=name)
    taken = rate(before, now, "pollhook_delivery_attempts_total", endpoint=name, result="delivered")
    kept = ("state", "reason", "pending", "parked", "dead", "in_flight")
    return {
        "name": name,
        **{key: endpoint.get(key) for key in kept},
        "attempts_per_second": _rounded(sent),
        "failures_per_second": _rounded(max(0.0, sent - taken)),
    }


def _summary(shown: Object, where: str) -> Text:
    late = shown["lateness_p99"]
    parts = [
        f"{shown['tasks']:,} tasks",
        f"{shown['polls_per_second']:g} polls/s",
        f"{shown['endings_per_second']:g} endings/s",
        f"late p99 {_spoken(late)}",
        f"oldest due {_spoken(shown['oldest_due_delivery'])}",
        f"{_number(shown['resident_bytes']) / 1e6:.0f} MB",
    ]
    return Text.assemble(("pollhook", "bold"), f" at {say.clean(where)}\n{'  '.join(parts)}")


def _table(columns: Sequence[tuple[str, str]], rows: list[Object], room: int | None, empty: str) -> list[Table | Text]:
    if not rows:
        return [Text(empty, style="dim")]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for place, (title, _) in enumerate(columns):
        width = NAME_WIDTH if place == 0 else None
        table.add_column(title, justify="left" if place < 2 else "right", no_wrap=True, max_width=width)
    for row in rows[:room]:
        table.add_row(*(_cell(key, row.get(key)) for _, key in columns))
    left = 0 if room is None else len(rows) - room
    reasons = [
        Text(f"  {row['name']}: {say.clean(str(row['reason']))}", style="red") for row in rows if row.get("reason")
    ]
    more = [Text(f"  … and {left} more", style="dim")] if left > 0 else []
    return [table, *more, *reasons[:3]]


def _cell(key: str, value: Json) -> Text:
    if key == "state":
        return Text(say.cell(value), style=STYLES.get(str(value), "yellow"))
    if key == "lateness_p99":
        return Text(_spoken(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text(say.cell(value))


def _spoken(seconds: Json) -> str:
    if not isinstance(seconds, int | float):
        return say.NOTHING
    if seconds == float("inf"):
        return "> 60 s"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"


def _shares(room: int, lanes: int, endpoints: int) -> tuple[int, int]:
    """Share *room* lines out: endpoints get half at most, unless the lanes leave more."""
    for_endpoints = min(endpoints, max(room // 2, room - lanes))
    return max(1, room - for_endpoints), max(1, for_endpoints)


def _urgency(row: Object) -> tuple[bool, str]:
    return row.get("state") == "ok", str(row["name"])


def _rows(value: Json) -> list[Object]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _number(value: Json) -> float:
    return value if isinstance(value, int | float) else 0.0


def _rounded(value: float) -> float:
    return round(value, 1) if value < 100 else round(value)
