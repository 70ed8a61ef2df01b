"""The dashboard and the alert rules ask for metrics and labels that the daemon exports, and every runbook is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.generate.metrics import exported

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "contrib/prometheus/pollhook.rules.yml").read_text(encoding="utf-8")
DASHBOARD = json.loads((ROOT / "contrib/grafana/pollhook.json").read_text(encoding="utf-8"))
TARGET_LABELS = {"job", "instance", "le"}
FUNCTIONS = {
    "sum", "min", "max", "by", "rate", "increase", "delta", "changes", "histogram_quantile", "label_values", "and", "or",
}  # fmt: skip
OWN = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"}


def series() -> dict[str, set[str]]:
    """Every name that a query may use, with its labels."""
    found: dict[str, set[str]] = {name: set() for name in OWN}
    for each in exported():
        ends = ("_bucket", "_sum", "_count") if each.kind == "histogram" else ("",)
        found |= {each.name + end: set(each.labels) for end in ends}
    return found


def alerts() -> dict[str, str]:
    blocks = re.split(r"^ {6}- alert: ", RULES, flags=re.MULTILINE)[1:]
    return {block.split("\n", 1)[0]: expression(block) for block in blocks}


def expression(block: str) -> str:
    found = re.search(r"^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*))", block, re.MULTILINE)
    assert found is not None, block
    return found[1] or found[2]


def panels() -> dict[str, str]:
    return {panel["title"]: target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())}


def queries() -> dict[str, str]:
    variables = {each["name"]: each["definition"] for each in DASHBOARD["templating"]["list"] if "definition" in each}
    notes = {each["name"]: each["expr"] for each in DASHBOARD["annotations"]["list"]}
    targets = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", ())
    }
    return alerts() | targets | variables | notes


def complaints(query: str) -> Iterator[str]:
    """What is wrong with *query*: names nobody exports, labels that a name does not have."""
    known, bare = series(), re.sub(r'"[^"]*"', '""', query)
    names = set(re.findall(r"\b(?:pollhook|process)_[a-z_]+|\bup\b", bare))
    yield from (f"no metric {name}" for name in names - known.keys())
    labels = TARGET_LABELS.union(*(known.get(name, set()) for name in names))
    for name, inside in re.findall(r"([a-z_]+)\{([^}]*)\}", bare):
        mine = TARGET_LABELS | known.get(name, set())
        yield from (f"{name} has no label {label}" for label in set(re.findall(r"([a-z_]+)=", inside)) - mine)
        yield from (
            f"{name} has no label {label}" for label in re.findall(r"([a-z_]+)!?=~?", inside) if label not in mine
        )
    for group in re.findall(r"\bby \(([^)]*)\)", bare):
        yield from (f"nothing has the label {label}" for label in re.split(r",\s*", group) if label not in labels)
    words = set(re.findall(r"\b[a-z_]+(?=\()", bare)) - FUNCTIONS
    yield from (f"no function {word}" for word in words)


@pytest.mark.parametrize(("name", "query"), queries().items(), ids=lambda each: str(each)[:40])
def test_a_query_asks_for_what_is_exported(name, query):
    assert list(complaints(query)) == []


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("rate(pollhook_pols_total[5m])", "no metric pollhook_pols_total"),
        ('pollhook_polls_total{endpoint="x"}', "pollhook_polls_total has no label endpoint"),
        ("sum by (endpoint) (pollhook_polls_total)", "nothing has the label endpoint"),
        ("pollhook_poll_seconds", "no metric pollhook_poll_seconds"),
    ],
)
def test_a_query_that_asks_for_something_else_is_found_out(query, complaint):
    assert complaint in list(complaints(query))


def test_label_values_in_queries_are_values_that_occur():
    told = {"reason": {"throttled"}, "state": {"dead", "pending", "parked"}}

    for query in queries().values():
        for label, value in re.findall(r'\b(reason|state|result|outcome)!?=~?"([^"]*)"', query):
            assert value in told[label], query


def test_every_alert_leads_to_its_runbook():
    page = (ROOT / "docs/how-to/runbooks.md").read_text(encoding="utf-8")
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).strip().replace(" ", "-")
        for line in page.splitlines()
        if line.startswith("## ")
    }
    named = re.findall(r"runbook: runbooks\.md#(\S+)", RULES)

    assert len(named) == len(alerts()) > 10
    assert set(named) <= anchors


def test_every_metric_of_the_daemon_is_on_the_dashboard():
    asked = " ".join(queries().values())
    shown = [each.name for each in exported() if each.name not in asked]

    assert shown == [
        "pollhook_output_save_seconds",
        "pollhook_deliveries_in_flight",
    ], "a new metric belongs on the dashboard, or in this list"


def test_panels_do_not_overlap_and_have_titles_of_their_own():
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
