"""Truth held against what arrived: a row per provider, and every complaint that makes the show fail."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from daemon.demo.job import Entry
from daemon.demo.receiver import Arrival, findings, is_delivered, is_ending

Job = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """When the daemon was killed and when it was ready again (wall-clock seconds), and the most deliveries that can
    have been in flight.
    """

    killed_at: float
    ready_at: float
    in_flight: int

    def excuses(self, times: Sequence[float]) -> bool:
        """Whether an event taken at exactly these *times* may have been in flight at the kill."""
        return len(times) == 2 and times[0] <= self.ready_at and times[1] >= self.killed_at


@dataclass(slots=True, kw_only=True)
class Row:
    """What happened at one provider; ``delays`` are seconds from the true end to its first verified webhook."""

    provider: str
    tasks: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    polls: int = 0
    delays: list[float] = field(default_factory=list)
    verified: int = 0
    duplicates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The rows, remarks and complaints; no complaint is success."""

    rows: list[Row]
    remarks: list[str]
    complaints: list[str]


def judge_show(
    truth: Sequence[Entry], arrivals: Sequence[Arrival], recorded: Mapping[Job, str], kill: Kill | None
) -> Verdict:
    """Hold what arrived and what the daemon *recorded* (a status per job) against the *truth*."""
    endings = _endings(arrivals)
    rows = _rows(truth, arrivals, endings)
    complaints = [
        *([] if kill else ["missing: the kill; less than half of the webhooks arrived in time"]),
        *_missing(truth, endings),
        *_wrong(truth, endings, recorded),
        *_double(arrivals, kill),
        *_billing(truth),
    ]
    return Verdict(rows=rows, remarks=remarks(truth, arrivals), complaints=complaints)


def table(rows: Sequence[Row]) -> Table:
    """Return *rows* as a table of 80 columns, with a line for all of them."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    drawn.add_column("provider", no_wrap=True)
    for name in ("tasks", "succeeded", "failed", "canceled", "polls\n/task", "delay\np50", "delay\np95"):
        drawn.add_column(name, justify="right")
    drawn.add_column("webhooks\nverified", justify="right")
    drawn.add_column("duplicates", justify="right")
    for row in rows:
        drawn.add_row(*_cells(row))
    drawn.add_row(*_cells(_total(rows)), style="bold")
    return drawn


def remarks(truth: Sequence[Entry], arrivals: Sequence[Arrival]) -> list[str]:
    """Return what the table does not hold: the faults that were survived, refusals by the receiver, bills."""
    faults: Counter[str] = Counter()
    for job in truth:
        faults.update(job["faults"])
    weather = ", ".join(f"{count} {fault.replace('_', ' ')}" for fault, count in faults.most_common()) or "none"
    refused = sum(arrival["status"] == 503 for arrival in arrivals)
    return [
        "delay: seconds from the true end at the provider to the first verified webhook",
        f"faulty answers survived: {weather}",
        f"webhooks answered 503 and sent again: {refused}; results billed: {sum(job['billed'] for job in truth)}",
    ]


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least *share* of *values* do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _endings(arrivals: Iterable[Arrival]) -> dict[Job, Arrival]:
    """Return the first verified terminal event of each job of which one was delivered, too."""
    first: dict[Job, Arrival] = {}
    delivered: set[Job] = set()
    for arrival in arrivals:
        job = (arrival["provider"], arrival["remote_id"])
        if is_ending(arrival) and not arrival["complaint"]:
            first.setdefault(job, arrival)
        if is_delivered(arrival):
            delivered.add(job)
    return {job: arrival for job, arrival in first.items() if job in delivered}


def _rows(truth: Sequence[Entry], arrivals: Sequence[Arrival], endings: Mapping[Job, Arrival]) -> list[Row]:
    rows: dict[str, Row] = {}
    for job in truth:
        row = rows.setdefault(job["provider"], Row(provider=job["provider"]))
        row.tasks += 1
        row.outcomes[job["outcome"]] += 1
        row.polls += job["polls"]
        arrival = endings.get((job["provider"], job["remote_id"]))
        if arrival is not None:
            row.verified += 1
            row.delays.append(arrival["at"] - job["ended_at"])
    provider_of = {arrival["webhook_id"]: arrival["provider"] for arrival in arrivals}
    for webhook_id, count in findings(arrivals)["repeated"].items():
        if provider_of[webhook_id] in rows:
            rows[provider_of[webhook_id]].duplicates += count - 1
    return list(rows.values())


def _missing(truth: Sequence[Entry], endings: Mapping[Job, Arrival]) -> list[str]:
    missing = [job for job in truth if (job["provider"], job["remote_id"]) not in endings]
    if not missing:
        return []
    named = ", ".join(f"{job['provider']} {job['remote_id']}" for job in missing[:3])
    return [f"missing: no webhook for {len(missing)} of {len(truth)} tasks, such as {named}"]


def _wrong(truth: Sequence[Entry], endings: Mapping[Job, Arrival], recorded: Mapping[Job, str]) -> list[str]:
    complaints = []
    for job in truth:
        key = (job["provider"], job["remote_id"])
        told = endings[key]["type"].removeprefix("task.") if key in endings else job["outcome"]
        kept = recorded.get(key, "nothing")
        if (told, kept) != (job["outcome"], job["outcome"]):
            complaints.append(f"wrong: {' '.join(key)} {job['outcome']}, was told {told} and recorded {kept}")
    return complaints


def _double(arrivals: Sequence[Arrival], kill: Kill | None) -> list[str]:
    found = findings(arrivals)
    complaints = []
    if found["unverified"]:
        why = next(arrival["complaint"] for arrival in arrivals if arrival["complaint"])
        complaints.append(f"unverified: {found['unverified']} webhooks without a valid signature ({why})")
    if found["doubled"]:
        complaints.append(f"double: {len(found['doubled'])} tasks with two terminal events: {found['doubled'][:3]}")
    if found["changed"]:
        complaints.append(f"double: {len(found['changed'])} ids came with different bytes: {found['changed'][:3]}")
    excess = _unexcused(arrivals, found["repeated"], kill)
    if excess:
        complaints.append(f"double: {len(excess)} webhooks came again without the kill's excuse: {excess[:3]}")
    return complaints


def _unexcused(arrivals: Sequence[Arrival], repeated: Mapping[str, int], kill: Kill | None) -> list[str]:
    """Return the ids taken again although no kill can have cut off the record of the first time.

    At least once allows a second time for a delivery in flight at the kill: taken before it (or out of the socket's
    buffer just after), and again when the daemon was back. There are at most ``in_flight`` of those.
    """
    taken: dict[str, list[float]] = defaultdict(list)
    for arrival in arrivals:
        if arrival["status"] < 300:
            taken[arrival["webhook_id"]].append(arrival["at"])
    if kill is None:
        return list(repeated)
    excused = [webhook_id for webhook_id in repeated if kill.excuses(taken[webhook_id])]
    return [webhook_id for webhook_id in repeated if webhook_id not in excused[: kill.in_flight]]


def _billing(truth: Sequence[Entry]) -> list[str]:
    twice = [job["remote_id"] for job in truth if job["billed"] > 1]
    return [f"double: {len(twice)} results were billed more than once: {twice[:3]}"] if twice else []


def _total(rows: Sequence[Row]) -> Row:
    total = Row(provider="all")
    for row in rows:
        total.tasks += row.tasks
        total.outcomes += row.outcomes
        total.polls += row.polls
        total.delays += row.delays
        total.verified += row.verified
        total.duplicates += row.duplicates
    return total


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.provider,
        str(row.tasks),
        *(str(row.outcomes[outcome]) for outcome in ("succeeded", "failed", "canceled")),
        f"{row.polls / max(1, row.tasks):.1f}",
        f"{quantile(row.delays, 0.5):.2f}",
        f"{quantile(row.delays, 0.95):.2f}",
        str(row.verified),
        str(row.duplicates),
    )
