"""The presets: every example, and every body of the reference fixtures, is read as it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from yarl import URL

from daemon.core.observation import Ended, Missed, Observation, Pending
from daemon.core.record import Application
from daemon.core.task import Miss, Status
from daemon.providers.account import Account
from daemon.providers.admission import admit
from daemon.providers.catalog import Catalog
from daemon.providers.check import check_examples
from daemon.providers.reading import Reader, Reply
from daemon.providers.request import Requests

PRESETS = ("amux", "mixroute", "modelmax", "seacloud", "token360")
FAMILY = {"new-api-envelope": "amux", "new-api-openai": "amux"}
FIXTURES = [
    fixture
    for fixture in json.loads((Path(__file__).parent / "fixtures.json").read_text("utf-8"))
    if fixture["provider"] in {*PRESETS, *FAMILY}
]
NEEDS_MODEL = {"modelmax": "veo-3", "seacloud": "nano_banana_2"}

# Bodies that are not the answer to any request Pollhook sends, and what they are read as all the same.
LISTS = "a list is the answer to another request; as a status answer it has no status word"


def fixtures(*kinds: str) -> list[object]:
    return [
        pytest.param(fixture, id=f"{fixture['provider']}-{fixture['kind']}-{fixture['state']}-{number}")
        for number, fixture in enumerate(FIXTURES)
        if fixture["kind"] in kinds
    ]


def preset_of(fixture: dict) -> str:
    return FAMILY.get(fixture["provider"], fixture["provider"])


def seen_in(catalog: Catalog, fixture: dict, http: int, *, result: bool = False) -> Observation:
    definition = catalog.definition(preset_of(fixture))
    body = json.dumps(fixture["body"]).encode()
    asked = URL(definition.base_text + "/v1/asked")
    reply = Reply(status=http, headers={}, body=body, asked=asked, now_at=1_750_000_000.0)
    reader = Reader(definition=definition)
    return (reader.result(reply) if result else reader.status(reply)).seen


def said(seen: Observation) -> str:
    if isinstance(seen, Missed):
        return f"no news: {seen.miss} ({seen.detail})"
    return str(seen.outcome if isinstance(seen, Ended) else seen.status)


@pytest.mark.parametrize("name", PRESETS)
def test_every_example_of_a_preset_is_read_as_it_says(catalog: Catalog, name: str) -> None:
    definition = catalog.definition(name)

    assert check_examples(definition) == []
    assert definition.docs.startswith("https://")
    assert definition.evidence == "documented"
    assert all(example.source for example in definition.examples)


def test_the_five_presets_ship(catalog: Catalog) -> None:
    assert set(PRESETS) <= set(catalog.names)


def test_the_fixtures_cover_the_five_providers_and_the_gateway_family() -> None:
    assert len(FIXTURES) == 38
    assert {preset_of(fixture) for fixture in FIXTURES} == set(PRESETS)


@pytest.mark.parametrize("fixture", fixtures("status"))
def test_a_status_body_is_read_as_its_state_says(catalog: Catalog, fixture: dict) -> None:
    assert said(seen_in(catalog, fixture, fixture["http_status"])) == fixture["state"]


@pytest.mark.parametrize("fixture", fixtures("result"))
def test_a_result_body_is_read_as_its_state_says(catalog: Catalog, fixture: dict) -> None:
    for http in [fixture["http_status"]] if fixture["http_status"] else [200, 400]:
        seen = seen_in(catalog, fixture, http, result=True)

        assert said(seen) == fixture["state"]
        assert fixture["state"] != "succeeded" or (isinstance(seen, Ended) and seen.outputs)


@pytest.mark.parametrize("http", [200, 400, 500])
@pytest.mark.parametrize("fixture", fixtures("error"))
def test_an_error_body_is_no_news_whatever_its_http_status(catalog: Catalog, fixture: dict, http: int) -> None:
    for status in {http, fixture["http_status"] or http}:
        assert isinstance(seen_in(catalog, fixture, status), Missed)


@pytest.mark.parametrize("fixture", fixtures("list"))
def test_a_list_body_is_no_news_as_a_status_answer(catalog: Catalog, fixture: dict) -> None:
    seen = seen_in(catalog, fixture, 200)

    assert isinstance(seen, Missed), LISTS
    assert seen.miss is Miss.UNREADABLE


@pytest.mark.parametrize("fixture", fixtures("submit"))
def test_a_submit_body_is_enough_to_register_by(catalog: Catalog, fixture: dict) -> None:
    name = preset_of(fixture)
    account = Account("lane", name, catalog.definition(name), "key")
    body = fixture["body"]

    admission = admit(Requests(account, lambda: 0.0), Application(provider="lane", submission=body))

    assert admission.remote_id == body.get("request_id", body.get("task_id"))
    assert admission.model == NEEDS_MODEL.get(name)


def test_an_end_carries_why(catalog: Catalog) -> None:
    (fixture,) = [f for f in FIXTURES if f["provider"] == "mixroute" and f["state"] == "failed"]

    seen = seen_in(catalog, fixture, 200)

    assert isinstance(seen, Ended)
    assert seen.outcome is Status.FAILED
    assert seen.error is not None
    assert (seen.error.code, seen.error.kind) == ("400", "content_blocked")
    assert seen.response.body == fixture["body"]


def test_the_providers_own_times_are_told(catalog: Catalog) -> None:
    (fixture,) = [f for f in FIXTURES if f["provider"] == "token360" and f["kind"] == "status"]

    seen = seen_in(catalog, fixture, 200)

    assert isinstance(seen, Ended)
    assert (seen.created_at, seen.finished_at) == (1776352017.0, 1776352105.0)


def test_a_queue_position_is_told(catalog: Catalog) -> None:
    (fixture,) = [
        f for f in FIXTURES if f["provider"] == "seacloud" and f["kind"] == "status" and f["state"] == "queued"
    ]

    seen = seen_in(catalog, fixture, 200)

    assert isinstance(seen, Pending)
    assert seen.queue_position == 0
