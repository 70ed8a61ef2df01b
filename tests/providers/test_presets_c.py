"""The presets of gateways, self-hosted servers and smaller providers: every example and every reference body."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import pytest
from yarl import URL

from daemon.core.errors import InvalidRegistration
from daemon.core.observation import Ended, Json, Missed, Observation, Pending
from daemon.core.record import Application
from daemon.core.task import Miss
from daemon.providers.account import Account
from daemon.providers.admission import admit
from daemon.providers.batch import parted
from daemon.providers.catalog import Catalog
from daemon.providers.check import check_examples
from daemon.providers.mistakes import DefinitionError
from daemon.providers.reading import Reader, Reply
from daemon.providers.request import Requests

PRESETS = (
    "ai-ml",
    "ai-stats",
    "catchups",
    "cloudflare-stream",
    "comfyui",
    "globalaiopc-sora",
    "huggingface-jobs",
    "imini",
    "inworld",
    "litellm-videos",
    "maxapi",
    "modal",
    "modelrunner",
    "new-api",
    "ofox",
    "openrouter-video",
    "shotstack",
    "unifically",
    "vessl",
)
OWN_HOST = ("catchups", "cloudflare-stream", "litellm-videos", "modal", "new-api", "vessl")
PRESET_OF = {
    "ai.ml": "ai-ml",
    "catchups": "catchups",
    "cloudflare-stream": "cloudflare-stream",
    "comfyui": "comfyui",
    "maxapi": "maxapi",
    "modelrunner": "modelrunner",
    "new-api-envelope": "new-api",
    "new-api-openai": "new-api",
    "ofox": "ofox",
    "openrouter": "openrouter-video",
    "shotstack": "shotstack",
    "sora-reseller": "globalaiopc-sora",
}
EXCEPTIONS: dict[tuple[str, str, str], str] = {}
"""Bodies that are not read as their state says, by provider, kind and state, and why; there are none."""


class Fixture(TypedDict):
    """A body that a provider showed, and how it is to be read."""

    provider: str
    state: str
    kind: str
    http_status: int
    body: dict[str, Json]


EVERYTHING: list[Fixture] = json.loads((Path(__file__).parent / "fixtures.json").read_text("utf-8"))
FIXTURES = [fixture for fixture in EVERYTHING if fixture["provider"] in PRESET_OF]
IDS = {"ai.ml": "9b9f1e2c-1a23-45b6-8c9d-1234567890ab", "comfyui": "PROMPT_ID", "openrouter": "JOB_ID"}


def fixtures(*kinds: str) -> list[object]:
    return [
        pytest.param(fixture, id=f"{fixture['provider']}-{fixture['kind']}-{fixture['state']}-{number}")
        for number, fixture in enumerate(FIXTURES)
        if fixture["kind"] in kinds and (fixture["provider"], fixture["kind"], fixture["state"]) not in EXCEPTIONS
    ]


def seen_in(catalog: Catalog, name: str, body: object, http: int = 200) -> Observation:
    definition = catalog.definition(name)
    asked = URL(definition.base_text + "/asked")
    reply = Reply(status=http, headers={}, body=json.dumps(body).encode(), asked=asked, now_at=1_750_000_000.0)
    return Reader(definition=definition).status(reply).seen


def said(seen: Observation) -> str:
    if isinstance(seen, Missed):
        return f"no news: {seen.miss} ({seen.detail})"
    return str(seen.outcome if isinstance(seen, Ended) else seen.status)


def requests_of(catalog: Catalog, name: str) -> Requests:
    return Requests(Account("lane", name, catalog.definition(name), "key"), lambda: 0.0)


@pytest.mark.parametrize("name", PRESETS)
def test_every_example_of_a_preset_is_read_as_it_says(catalog: Catalog, name: str) -> None:
    definition = catalog.definition(name)

    assert check_examples(definition) == []
    assert definition.docs.startswith("https://")
    assert definition.evidence != "unverified"
    assert all(example.source or example.note for example in definition.examples)


def test_every_reference_body_of_these_providers_is_read_by_a_test() -> None:
    assert len(FIXTURES) == 17
    assert {fixture["kind"] for fixture in FIXTURES} == {"status", "submit", "webhook", "error"}
    assert {fixture["provider"] for fixture in FIXTURES} == set(PRESET_OF)
    assert set(PRESET_OF.values()) <= set(PRESETS)


@pytest.mark.parametrize("fixture", fixtures("status", "webhook"))
def test_a_status_body_is_read_as_its_state_says(catalog: Catalog, fixture: Fixture) -> None:
    seen = seen_in(catalog, PRESET_OF[fixture["provider"]], fixture["body"], fixture["http_status"])

    assert said(seen) == fixture["state"]


@pytest.mark.parametrize("http", [200, 400, 500])
@pytest.mark.parametrize("fixture", fixtures("error"))
def test_an_error_body_is_no_news_whatever_its_http_status(catalog: Catalog, fixture: Fixture, http: int) -> None:
    assert isinstance(seen_in(catalog, PRESET_OF[fixture["provider"]], fixture["body"], http), Missed)


@pytest.mark.parametrize("fixture", fixtures("submit"))
def test_a_submit_body_is_enough_to_register_by(catalog: Catalog, fixture: Fixture) -> None:
    provider, body = fixture["provider"], fixture["body"]

    admission = admit(requests_of(catalog, PRESET_OF[provider]), Application(provider="lane", submission=body))

    assert admission.remote_id == IDS.get(provider, body.get("id"))
    assert admission.status_url is None, "what the template makes anyway is not kept"


@pytest.mark.parametrize("name", OWN_HOST)
def test_a_deployment_of_ones_own_has_to_be_named(catalog: Catalog, name: str) -> None:
    with pytest.raises(DefinitionError, match="needs variables"):
        catalog.account("lane", {"preset": name, "api_key": "key"})


def test_a_deployment_is_named_by_a_variable_or_by_its_base_url(catalog: Catalog) -> None:
    named = catalog.account("lane", {"preset": "new-api", "api_key": "key", "variables": {"host": "api.example.com"}})
    based = catalog.account("lane", {"preset": "new-api", "api_key": "key", "base_url": "https://gw.example.com/x"})

    assert named.definition.base_text == "https://api.example.com"
    assert based.definition.base_text == "https://gw.example.com/x"


def test_modelrunner_is_asked_by_the_url_it_returned_only(catalog: Catalog) -> None:
    requests = requests_of(catalog, "modelrunner")
    url = "https://queue.modelrunner.run/bytedance/sdxl/requests/abc/status"

    admission = admit(requests, Application(provider="lane", submission={"request_id": "abc", "status_url": url}))

    assert admission.status_url == url
    assert (admission.model, dict(admission.params)) == ("sdxl", {"owner": "bytedance"})
    with pytest.raises(InvalidRegistration, match="status_url"):
        admit(requests, Application(provider="lane", submission={"request_id": "abc"}))


def test_an_unknown_word_between_the_known_ones_never_ends_a_task(catalog: Catalog) -> None:
    for name in ("ofox", "inworld", "unifically", "maxapi"):
        seen = seen_in(catalog, name, {"status": "warming-up", "data": {"status": "warming-up"}})

        assert isinstance(seen, Missed), name
        assert seen.miss is Miss.UNKNOWN_WORD, name


@pytest.mark.parametrize(
    ("name", "answer", "states"),
    [
        ("comfyui", {"a": {"status": {"completed": True, "status_str": "success"}, "outputs": {}}}, {"a": "succeeded"}),
        ("new-api", {"code": "success", "data": [{"task_id": "a", "status": "IN_PROGRESS"}]}, {"a": "running"}),
        (
            "huggingface-jobs",
            [{"id": "a", "status": {"stage": "ERROR"}}, {"id": "b", "status": {"stage": "RUNNING"}}],
            {"a": "failed", "b": "running"},
        ),
        (
            "cloudflare-stream",
            {"success": True, "result": [{"uid": "a", "status": {"state": "ready"}}]},
            {"a": "succeeded"},
        ),
        ("catchups", {"items": [{"id": "a", "status": "queued"}], "limit": 30, "offset": 0}, {"a": "queued"}),
    ],
)
def test_an_item_of_a_batch_is_read_like_an_answer_of_its_own(
    catalog: Catalog, name: str, answer: object, states: dict[str, str]
) -> None:
    spec = catalog.definition(name).batch
    assert spec is not None

    bodies = parted(spec, answer)  # type: ignore[arg-type]

    assert bodies is not None
    assert {known: said(seen_in(catalog, name, body)) for known, body in bodies.items()} == states


def test_comfyui_says_running_only_where_the_history_is_an_empty_object(catalog: Catalog) -> None:
    assert isinstance(seen_in(catalog, "comfyui", {}), Pending)
    others: list[object] = [[], "", {"error": "no"}, {"a": {"status": None}}]
    for body in others:
        assert isinstance(seen_in(catalog, "comfyui", body), Missed), body
