"""The presets of Kling, MiniMax, Ark and others: their examples, and every body of theirs in the public fixtures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import pytest
from _pytest.mark.structures import ParameterSet
from yarl import URL

from daemon.core.errors import HostNotAllowed
from daemon.core.observation import Ended, Json, Missed, Observation
from daemon.core.record import Application
from daemon.core.task import Miss, Status
from daemon.providers.account import Account
from daemon.providers.admission import admit
from daemon.providers.batch import parted
from daemon.providers.catalog import Catalog
from daemon.providers.check import check_examples
from daemon.providers.reading import Reader, Reply
from daemon.providers.request import Requests


class Fixture(TypedDict):
    """A body of the public fixtures and what it says."""

    provider: str
    state: str
    kind: str
    http_status: int | None
    body: Json


EVIDENCE = {
    "aiml-luma": "documented",
    "bfl": "code",
    "byteplus-ark": "code",
    "dashscope": "documented",
    "gladia": "code",
    "kling": "code",
    "kling-legacy": "code",
    "minimax": "documented",
    "minimax-template": "documented",
    "piapi": "documented",
    "revai": "code",
    "synthesia": "third-party",
    "together-video": "sdk",
    "volcengine-ark": "code",
    "wavespeed": "documented",
    "xai": "code",
}
READ_BY = {
    "bfl": ("bfl",),
    "byteplus-ark": ("byteplus-ark", "volcengine-ark"),
    "dashscope": ("dashscope",),
    "gladia": ("gladia",),
    "kling": ("kling", "kling-legacy"),
    "minimax-v1": ("minimax",),
    "minimax-v1-template": ("minimax-template",),
    "piapi": ("piapi",),
    "revai": ("revai",),
    "synthesia": ("synthesia",),
    "wavespeed": ("wavespeed",),
    "xai": ("xai",),
}
WITHOUT_FIXTURES = {"aiml-luma", "together-video"}
NUMBERS = {"status": 32, "submit": 8, "webhook": 1, "list": 1}
IDS = ("id", "request_id", "data.id", "data.task_id", "output.task_id")
PARAMS = {"kling": (("kind", "videos/text2video"),), "kling-legacy": (("kind", "videos/text2video"),)}

EXCEPTIONS = {
    ("minimax-v1", "webhook"): "the provider's own webhook uses words in lower case, which its status answers never do",
    ("kling", "list"): "a list is the answer to another request; here it is empty, so each task is asked for alone",
    ("bfl", "submit"): "its polling URL is a test's, on a host to which the key must not go",
}

ALL: list[Fixture] = json.loads((Path(__file__).parent / "fixtures.json").read_text("utf-8"))
FIXTURES = [fixture for fixture in ALL if fixture["provider"] in READ_BY]


def fixtures(kind: str) -> list[ParameterSet]:
    return [
        pytest.param(fixture, preset, id=f"{preset}-{fixture['state']}-{number}")
        for number, fixture in enumerate(FIXTURES)
        for preset in READ_BY[fixture["provider"]]
        if fixture["kind"] == kind
    ]


def seen_in(catalog: Catalog, preset: str, fixture: Fixture) -> Observation:
    definition = catalog.definition(preset)
    body = json.dumps(fixture["body"]).encode() if fixture["body"] != "" else b""
    asked = URL(definition.base_text + "/asked")
    reply = Reply(status=fixture["http_status"] or 200, headers={}, body=body, asked=asked, now_at=1_750_000_000.0)
    return Reader(definition=definition).status(reply).seen


def said(seen: Observation) -> str:
    if isinstance(seen, Missed):
        return f"no news: {seen.miss} ({seen.detail})"
    return str(seen.outcome if isinstance(seen, Ended) else seen.status)


def requests_of(catalog: Catalog, preset: str) -> Requests:
    return Requests(Account("lane", preset, catalog.definition(preset), "key"), lambda: 0.0)


def submitted(preset: str, body: Json) -> Application:
    return Application(provider="lane", submission=body, params=PARAMS.get(preset, ()))


def found(body: Json, path: str) -> Json:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    return body


@pytest.mark.parametrize("name", sorted(EVIDENCE))
def test_every_example_of_a_preset_is_read_as_it_says(catalog: Catalog, name: str) -> None:
    definition = catalog.definition(name)

    assert check_examples(definition) == []
    assert definition.name == name
    assert definition.evidence == EVIDENCE[name]
    assert definition.title
    assert definition.docs.startswith("https://")
    assert all(example.source for example in definition.examples)


def test_every_body_of_these_providers_is_tried() -> None:
    kinds = [fixture["kind"] for fixture in FIXTURES]

    assert {kind: kinds.count(kind) for kind in set(kinds)} == NUMBERS
    assert {preset for presets in READ_BY.values() for preset in presets} | WITHOUT_FIXTURES == EVIDENCE.keys()


@pytest.mark.parametrize(("fixture", "preset"), fixtures("status"))
def test_a_status_body_is_read_as_its_state_says(catalog: Catalog, fixture: Fixture, preset: str) -> None:
    assert said(seen_in(catalog, preset, fixture)) == fixture["state"]


@pytest.mark.parametrize(("fixture", "preset"), fixtures("status"))
def test_a_success_has_outputs_unless_a_second_request_tells_them(
    catalog: Catalog, fixture: Fixture, preset: str
) -> None:
    seen = seen_in(catalog, preset, fixture)

    if isinstance(seen, Ended) and seen.outcome is Status.SUCCEEDED:
        assert bool(seen.outputs) is (catalog.definition(preset).result is None)


@pytest.mark.parametrize(("fixture", "preset"), fixtures("webhook"))
def test_a_providers_own_webhook_is_no_status_answer(catalog: Catalog, fixture: Fixture, preset: str) -> None:
    seen = seen_in(catalog, preset, fixture)

    assert isinstance(seen, Missed), EXCEPTIONS[fixture["provider"], "webhook"]
    assert seen.miss is Miss.UNKNOWN_WORD


@pytest.mark.parametrize(("fixture", "preset"), fixtures("list"))
def test_an_empty_list_is_no_news_as_a_status_answer_and_tells_of_no_task(
    catalog: Catalog, fixture: Fixture, preset: str
) -> None:
    batch = catalog.definition(preset).batch

    assert batch is not None, EXCEPTIONS[fixture["provider"], "list"]
    assert parted(batch, fixture["body"]) == {}
    assert isinstance(seen_in(catalog, preset, fixture), Missed)


@pytest.mark.parametrize(("fixture", "preset"), fixtures("submit"))
def test_a_submit_body_is_enough_to_register_by(catalog: Catalog, fixture: Fixture, preset: str) -> None:
    requests, application = requests_of(catalog, preset), submitted(preset, fixture["body"])
    if (fixture["provider"], "submit") in EXCEPTIONS:
        with pytest.raises(HostNotAllowed):
            admit(requests, application)
        return

    admission = admit(requests, application)

    known = [found(fixture["body"], path) for path in IDS]
    assert admission.remote_id in known
    assert admission.status_url is None
