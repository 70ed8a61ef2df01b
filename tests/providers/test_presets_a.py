"""Further presets: every example, and every body of the reference's fixtures of these providers, is read as it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from yarl import URL

from daemon.core.errors import InvalidRegistration
from daemon.core.observation import Ended, Json, Missed, Observation
from daemon.core.record import Admission, Application
from daemon.core.task import Miss, Task
from daemon.providers.account import Account
from daemon.providers.admission import admit
from daemon.providers.catalog import Catalog
from daemon.providers.check import check_examples
from daemon.providers.reading import Reader, Reply
from daemon.providers.request import Requests

Fixture: TypeAlias = dict[str, Json]
MakeTask: TypeAlias = Callable[..., Task]
PRESETS = (
    "anthropic-batches",
    "azure-sora",
    "azure-video-jobs",
    "fal",
    "gemini-batch",
    "gemini-veo",
    "google-interactions",
    "luma",
    "mistral-batch",
    "openai-batch",
    "openai-responses",
    "openai-videos",
    "replicate",
    "runway",
    "vertex-veo",
)
BY_FIXTURE = {
    "anthropic-batch": "anthropic-batches",
    "azure-video-jobs": "azure-video-jobs",
    "fal": "fal",
    "gemini": "gemini-veo",
    "luma": "luma",
    "mistral-batch": "mistral-batch",
    "openai-video": "openai-videos",
    "replicate": "replicate",
    "runway": "runway",
    "vertex": "vertex-veo",
}
FIXTURES = {
    f"{fixture['provider']}-{fixture['kind']}-{fixture['state']}-{number}": fixture
    for number, fixture in enumerate(json.loads((Path(__file__).parent / "fixtures.json").read_text("utf-8")))
    if fixture["provider"] in BY_FIXTURE
}
UNKNOWN_WORD = "brand_new is no word of the provider: no news, so that it is asked again"
TEST_HAS_500 = "HTTP 500 says nothing of a task: no news, so that it is asked again"
NO_STATUS_URL = "its status_url lacks the /status that fal documents, so that the app cannot be read from it"
EXCEPTIONS = {
    "openai-video-status-running-121": UNKNOWN_WORD,
    "fal-result-running-63": TEST_HAS_500,
    "fal-submit-queued-64": NO_STATUS_URL,
}


def names(*kinds: str) -> list[str]:
    return [name for name, fixture in FIXTURES.items() if fixture["kind"] in kinds]


def seen_in(catalog: Catalog, fixture: Fixture, http: int, *, result: bool = False) -> Observation:
    definition = catalog.definition(BY_FIXTURE[str(fixture["provider"])])
    body = json.dumps(fixture["body"]).encode()
    asked = URL(definition.base_text + "/v1/asked")
    reply = Reply(status=http, headers={}, body=body, asked=asked, now_at=1_750_000_000.0)
    reader = Reader(definition=definition)
    return (reader.result(reply) if result else reader.status(reply)).seen


def said(seen: Observation) -> str:
    if isinstance(seen, Missed):
        return f"no news: {seen.miss} ({seen.detail})"
    return str(seen.outcome if isinstance(seen, Ended) else seen.status)


def requests_of(catalog: Catalog, preset: str, **variables: str) -> Requests:
    table = {"preset": preset, "variables": variables}
    if catalog.definition(preset).auth.needs_key:
        table["api_key"] = "key"
    account: Account = catalog.account("lane", table)
    return Requests(account, lambda: 0.0)


def registered(catalog: Catalog, fixture: Fixture) -> tuple[Requests, Admission]:
    preset = BY_FIXTURE[str(fixture["provider"])]
    unset = catalog.definition(preset).unset
    requests = requests_of(catalog, preset, **dict.fromkeys(unset, "mine"))
    return requests, admit(requests, Application(provider="lane", submission=fixture["body"]))


@pytest.mark.parametrize("name", PRESETS)
def test_every_example_of_a_preset_is_read_as_it_says(catalog: Catalog, name: str) -> None:
    definition = catalog.definition(name)

    assert check_examples(definition) == []
    assert definition.name == name
    assert definition.docs.startswith("https://")
    assert definition.evidence in ("documented", "sdk", "code")
    assert all(example.source for example in definition.examples)


def test_every_fixture_of_these_providers_is_read_by_one_of_the_tests_here() -> None:
    assert len(FIXTURES) == 30
    assert {fixture["kind"] for fixture in FIXTURES.values()} <= {"status", "result", "error", "submit"}
    assert set(EXCEPTIONS) <= set(FIXTURES)


@pytest.mark.parametrize("name", names("status"))
def test_a_status_body_is_read_as_its_state_says(catalog: Catalog, name: str) -> None:
    fixture = FIXTURES[name]
    seen = seen_in(catalog, fixture, fixture["http_status"])

    if name in EXCEPTIONS:
        assert isinstance(seen, Missed), EXCEPTIONS[name]
        assert seen.miss is Miss.UNKNOWN_WORD
    else:
        assert said(seen) == fixture["state"]


@pytest.mark.parametrize("name", names("result"))
def test_a_result_body_is_read_as_its_state_says(catalog: Catalog, name: str) -> None:
    fixture = FIXTURES[name]
    seen = seen_in(catalog, fixture, fixture["http_status"], result=True)

    if name in EXCEPTIONS:
        assert isinstance(seen, Missed), EXCEPTIONS[name]
        assert seen.miss is Miss.SERVER_ERROR
        assert said(seen_in(catalog, fixture, 400, result=True)) == fixture["state"]
    else:
        assert said(seen) == fixture["state"]


@pytest.mark.parametrize("result", [False, True])
@pytest.mark.parametrize("name", names("error"))
def test_an_error_body_is_no_news(catalog: Catalog, name: str, *, result: bool) -> None:
    fixture = FIXTURES[name]

    assert isinstance(seen_in(catalog, fixture, fixture["http_status"], result=result), Missed)


@pytest.mark.parametrize("name", names("submit"))
def test_a_submit_body_is_enough_to_register_by(catalog: Catalog, name: str) -> None:
    fixture = FIXTURES[name]
    if name in EXCEPTIONS:
        with pytest.raises(InvalidRegistration, match="app"):
            registered(catalog, fixture)
        return

    requests, admission = registered(catalog, fixture)

    assert admission.remote_id == fixture["body"].get("request_id", fixture["body"].get("id"))
    assert requests.account.definition.name == BY_FIXTURE[str(fixture["provider"])]


def test_fal_asks_the_status_url_it_was_given_and_finds_the_result_beside_it(
    catalog: Catalog, make_task: MakeTask
) -> None:
    fixture = FIXTURES["fal-submit-queued-78"]
    requests, admission = registered(catalog, fixture)
    task = make_task(admission.remote_id, status_url=admission.status_url, params=admission.params)

    assert str(requests.status(task).url) == fixture["body"]["status_url"]
    assert str(requests.result(task).url) == fixture["body"]["response_url"]
    assert requests.status(task).headers["Authorization"] == "Key key"


def test_fal_cannot_be_registered_by_an_id_alone(catalog: Catalog) -> None:
    with pytest.raises(InvalidRegistration, match="status_url"):
        admit(requests_of(catalog, "fal"), Application(provider="lane", remote_id="80e732af"))


def test_an_operation_of_gemini_is_a_path_and_its_key_a_header(catalog: Catalog, make_task: MakeTask) -> None:
    sent = requests_of(catalog, "gemini-veo").status(make_task("models/veo/operations/xyz"))

    assert sent.url.path == "/v1beta/models/veo/operations/xyz"
    assert sent.headers["x-goog-api-key"] == "key"


def test_an_operation_of_vertex_is_asked_by_its_name_in_a_body(catalog: Catalog, make_task: MakeTask) -> None:
    requests = requests_of(catalog, "vertex-veo", project="mine", location="us-central1")
    sent = requests.status(make_task("projects/p/operations/xyz", model="veo-3"))

    base = "https://us-central1-aiplatform.googleapis.com/v1/projects/mine/locations/us-central1/publishers/google"
    assert (sent.method, str(sent.url)) == ("POST", f"{base}/models/veo-3:fetchPredictOperation")
    assert json.loads(sent.body or b"") == {"operationName": "projects/p/operations/xyz"}


def test_azure_jobs_are_asked_at_the_resource_with_an_api_version(catalog: Catalog, make_task: MakeTask) -> None:
    sent = requests_of(catalog, "azure-video-jobs", resource="mine").status(make_task("task_1"))

    host = "https://mine.openai.azure.com"
    assert str(sent.url) == f"{host}/openai/v1/video/generations/jobs/task_1?api-version=preview"
    assert sent.headers["api-key"] == "key"


@pytest.mark.parametrize(
    ("preset", "header", "value"),
    [("anthropic-batches", "anthropic-version", "2023-06-01"), ("runway", "X-Runway-Version", "2024-11-06")],
)
def test_a_version_header_goes_with_every_request(
    catalog: Catalog, make_task: MakeTask, preset: str, header: str, value: str
) -> None:
    assert requests_of(catalog, preset).status(make_task("abc")).headers[header] == value


@pytest.mark.parametrize(
    ("preset", "url"),
    [
        ("anthropic-batches", "https://api.anthropic.com/v1/messages/batches?limit=100"),
        ("luma", "https://api.lumalabs.ai/dream-machine/v1/generations?limit=100&offset=0"),
        ("mistral-batch", "https://api.mistral.ai/v1/batch/jobs?page=0&page_size=100"),
        ("openai-batch", "https://api.openai.com/v1/batches?limit=100"),
        ("openai-videos", "https://api.openai.com/v1/videos?limit=100&order=desc"),
    ],
)
def test_a_provider_with_a_list_is_asked_for_many_at_once(catalog: Catalog, preset: str, url: str) -> None:
    requests = requests_of(catalog, preset)
    spec = requests.account.definition.batch

    assert spec is not None
    assert str(requests.built(spec, {}).url) == url
