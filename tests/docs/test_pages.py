"""The reference pages say what the code says."""

from __future__ import annotations

import pytest

from daemon.api.problems import CODES
from docs.generate import logs, metrics, problems
from docs.generate.pages import DOCS, pages

MADE = pages()


@pytest.mark.parametrize("name", MADE)
def test_a_generated_page_is_what_the_code_says_now(name):
    committed = (DOCS / name).read_text(encoding="utf-8")

    assert committed == MADE[name], f"docs/{name} is stale; make docs-pages writes it anew"


def test_every_event_that_the_code_logs_has_a_meaning_and_no_other_has():
    assert sorted(logs.meanings()) == sorted(logs.events()), "docs/generate/events.toml has a sentence for each event"


def test_events_are_read_from_the_code_with_their_levels_and_fields():
    events = logs.events()

    assert events["provider.credentials_rejected"].levels == {"warning"}
    assert list(events["task.ended"].fields) == ["task", "lane", "outcome", "polls", "event_id"]
    assert "exception" in events["work.crashed"].fields
    assert {"task", "lane", "fault"} <= events["output.unsaved"].fields.keys()


def test_every_problem_code_has_its_advice_and_no_other_has():
    assert sorted(problems.advice()) == sorted(CODES), "docs/generate/advice.toml has a sentence for each code"


def test_every_claim_of_the_contract_has_a_metric():
    names = {each.name for each in metrics.exported()}

    assert {name for _, name in metrics.CLAIMS} <= names


def test_every_label_is_bounded_and_told():
    told = metrics.label_values()

    assert {label for each in metrics.exported() for label in each.labels} == set(told)
