"""Admission: every bad field at once, the submission understood, and the key promised to allowed origins only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from daemon.core.errors import HostNotAllowed, InvalidRegistration
from daemon.core.record import Admission, Application
from daemon.core.task import LaneName, Task
from daemon.providers.account import Account
from daemon.providers.admission import Admissions, admit
from daemon.providers.catalog import Catalog
from daemon.providers.request import Requests
from daemon.providers.template import Unbuildable

CATALOG = Catalog()
GIVEN = Application(provider="lane", remote_id="abc")


def requests(preset: str, **table: object) -> Requests:
    return Requests(CATALOG.account("lane", {"preset": preset, "api_key": "key-123"} | table), lambda: 0.0)


def admitted(preset: str, application: Application = GIVEN, **changes: object) -> Admission:
    return admit(requests(preset), replace(application, **changes))  # type: ignore[arg-type]


def errors(preset: str, **changes: object) -> dict[str, str]:
    with pytest.raises(InvalidRegistration) as caught:
        admitted(preset, **changes)
    return {error.field: error.message for error in caught.value.errors}


def test_an_id_is_enough_where_the_path_needs_no_more() -> None:
    assert admitted("amux") == Admission(remote_id="abc", model=None, params=(), status_url=None)


@pytest.mark.parametrize("preset", ["modelmax", "seacloud"])
def test_a_missing_model_is_named(preset: str) -> None:
    assert errors(preset) == {"params": f"{preset} needs params.model or model"}
    assert admitted(preset, model="veo-3").model == "veo-3"
    assert admitted(preset, params=(("model", "veo-3"),)).params == (("model", "veo-3"),)


@pytest.mark.parametrize(
    ("remote_id", "told"),
    [
        ("", "missing or empty"), ("  ", "missing or empty"), (None, "missing or empty; give remote_id, or as submission"),
        ("x" * 2049, "2049 bytes"), ("ü" * 1025, "2050 bytes"), ("a\nb", "control characters"), ("a\x00", "control"),
        ("a\ud800", "control"), ("..", "'..'"), (".", "'.'"),
    ],
)  # fmt: skip
def test_a_bad_id_is_told(remote_id: str | None, told: str) -> None:
    assert told in errors("amux", remote_id=remote_id)["remote_id"]


def test_an_id_of_2048_bytes_is_taken() -> None:
    assert admitted("amux", remote_id="x" * 2048).remote_id == "x" * 2048


@pytest.mark.parametrize("submission", ["text", ["list"], 5, True])
def test_a_submission_that_is_no_object_is_told(submission: object) -> None:
    assert "must be the object" in errors("amux", submission=submission)["submission"]


def test_params_are_bounded() -> None:
    assert "at most 32" in errors("amux", params=tuple((f"p{n}", "x") for n in range(33)))["params"]
    assert "2049 bytes" in errors("amux", params=(("p", "x" * 2049),))["params.p"]
    assert "control" in errors("amux", params=(("p", "a\r\nb"),))["params.p"]


def test_explicit_fields_go_before_the_submission() -> None:
    told = admitted("token360", remote_id="mine", model="m", submission={"id": "theirs", "model": "n"})

    assert (told.remote_id, told.model) == ("mine", "m")


def test_a_submission_with_a_number_as_id_is_understood() -> None:
    assert (
        admitted("amux", remote_id=None, submission={"task_id": 842250903629086785}).remote_id == "842250903629086785"
    )


def test_the_model_is_read_from_a_relative_status_url() -> None:
    submission = {"request_id": "Z2Vt+/=", "status_url": "/v1/queue/veo-3/requests/Z2Vt%2B%2F%3D/status"}

    told = admitted("modelmax", remote_id=None, submission=submission)

    assert told == Admission(remote_id="Z2Vt+/=", model="veo-3", params=(), status_url=None)


RESULT_URLS = [
    "/v1/queue/veo-3/requests/abc", "https://api.modelmax.io/v1/queue/veo-3/requests/abc", "/v1/queue/veo-3/requests/abc/",
    "/v1/queue/veo-3/requests/abc?x=1", "//api.modelmax.io:443/v1//queue/veo-3/requests/abc", "/v1/%71ueue/veo-3/requests/abc",
    "/v1/queue/veo-3/requests/abc/status/..", "/v1/queue/veo-3/requests/abc/status/%2e%2e", "/v1/queue/veo-3/requests/a%2Fb",
    "/v1/queue/veo-3/./requests/abc",
]  # fmt: skip


@pytest.mark.parametrize("url", RESULT_URLS)
def test_the_url_of_a_result_that_bills_is_refused_as_status_url(url: str) -> None:
    told = errors("modelmax", model="veo-3", status_url=url)

    assert "result request, which bills" in told["status_url"]
    assert "GET /v1/queue/{model}/requests/{id}/status" in told["status_url"]


def test_a_submission_cannot_name_the_result_that_bills_as_status_url() -> None:
    submission = {"request_id": "abc", "model": "veo-3", "status_url": "/v1/queue/veo-3/requests/abc"}

    assert "which bills" in errors("modelmax", remote_id=None, submission=submission)["submission"]


@pytest.mark.parametrize("url", RESULT_URLS)
def test_a_stored_status_url_that_would_bill_is_not_asked(url: str) -> None:
    with pytest.raises(Unbuildable, match="the result request"):
        requests("modelmax").status(task(Admission(remote_id="a", model="veo-3", params=(), status_url=url)))


@pytest.mark.parametrize(
    ("preset", "url", "is_refused"),
    [
        ("seacloud", "/model/v1/queue/nano/requests/1/response", False),
        ("mixroute", "/v1/video/generations/download?id=1", True), ("mixroute", "/v1/video/generations/1", False),
        ("token360", "/v1/videos/1/content?format=url", True), ("token360", "/v1/videos/1", False),
        ("modelmax", "/v1/queue/veo/requests/1/status", False), ("amux", "/v1/videos/1", False),
    ],
)  # fmt: skip
def test_only_a_result_request_that_is_asked_for_is_refused_as_status_url(
    preset: str, url: str, is_refused: bool
) -> None:
    if is_refused:
        assert "result request" in errors(preset, model="m", status_url=url)["status_url"]
    else:
        admitted(preset, model="m", status_url=url)


def test_a_result_request_that_differs_by_its_query_is_told_by_its_query() -> None:
    result = {"request": "GET /v1/videos/{id}?bill=1", "when": "asked"}
    asking = requests("token360", result=result)

    admit(asking, replace(GIVEN, status_url="/v1/videos/abc"))
    with pytest.raises(InvalidRegistration):
        admit(asking, replace(GIVEN, status_url="/v1/videos/abc?bill=1"))


def test_another_status_url_on_an_allowed_origin_is_kept_verbatim() -> None:
    url = "https://api.amux.ai/v1/videos/a%2Fb?x=%20#frag"

    told = admitted("amux", status_url=url)

    assert told.status_url == "https://api.amux.ai/v1/videos/a%2Fb?x=%20"
    assert str(requests("amux").status(task(told)).url) == told.status_url


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1/videos/1", "http://api.amux.ai/v1/x", "https://api.amux.ai:8443/x", "//evil.example/x",
        "https://api.amux.ai@evil.example/x", "https://u:p@api.amux.ai/x", "https://api.amux.ai.evil.example/x",
        "ftp://api.amux.ai/x", "https:///x", "https://api.amux.ai\\@evil.example/x", "https://[::1", "https://a\tb/",
        "https://api.amux.ai/" + "x" * 5000, "https://xn--pi-7ka.amux.ai/x", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_a_status_url_off_the_allowed_origins_is_refused_and_they_are_listed(url: str) -> None:
    with pytest.raises(HostNotAllowed) as caught:
        admitted("amux", status_url=url)

    assert "https://api.amux.ai" in caught.value.detail
    assert "key-123" not in caught.value.detail


def test_a_submission_cannot_name_another_host() -> None:
    submission = {"request_id": "1", "status_url": "https://evil.example/v1/queue/m/requests/1/status"}

    with pytest.raises(HostNotAllowed):
        admitted("modelmax", remote_id=None, submission=submission)


def test_further_hosts_are_allowed() -> None:
    assert admitted("mixroute", status_url="https://api.mixroute.ai/v1/video/generations/abc").status_url is not None


def test_a_status_url_stored_under_another_definition_is_not_asked() -> None:
    moved = requests("amux", base_url="https://elsewhere.example")

    with pytest.raises(Unbuildable, match=r"https://elsewhere\.example"):
        moved.status(
            task(Admission(remote_id="a", model=None, params=(), status_url="https://api.amux.ai/v1/videos/a"))
        )


def task(admission: Admission) -> Task:
    return Task(
        id="tsk_1", provider=LaneName("lane"), remote_id=admission.remote_id, model=admission.model,
        params=admission.params, status_url=admission.status_url, updated_at=0.0, born=0.0, deadline=1e9, next_at=0.0,
    )  # type: ignore[arg-type]  # fmt: skip


ALLOWED = {("https", "api.modelmax.io", 443), ("https", "*.example.com", 443)}
hosts = st.sampled_from(
    [
        "api.modelmax.io",
        "evil.example",
        "a.example.com",
        "example.com",
        "127.0.0.1",
        "[::1]",
        "api.modelmax.io.evil.example",
    ]
)
pieces = st.sampled_from(
    [
        "https://",
        "http://",
        "//",
        "/",
        "\\",
        "@",
        ":443",
        ":80",
        "?",
        "#",
        "..",
        "%2e%2e",
        "%00",
        "u:p@",
        "api.modelmax.io",
        "evil.example",
        "a.example.com",
        " ",
        "\t",
        "ü",
    ]
)
urls = (
    st.lists(pieces | hosts, max_size=6).map("".join)
    | st.text(max_size=30)
    | hosts.map(lambda host: f"https://{host}/x")
)


@example(url="https://[::1]@", place="status_url", remote_id="", model="")
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    url=urls,
    place=st.sampled_from(["status_url", "submission", "stored"]),
    remote_id=st.text(max_size=10),
    model=st.text(max_size=10),
)
def test_the_key_goes_to_no_other_origin_whatever_a_caller_says(
    url: str, place: str, remote_id: str, model: str
) -> None:
    asking = requests("modelmax", hosts=["*.example.com"])
    given_url = url if place == "status_url" else None
    submission = {"request_id": remote_id, "model": model, "status_url": url} if place == "submission" else None
    application = Application(
        provider="lane",
        remote_id=None if submission else remote_id,
        model=None if submission else model,
        status_url=given_url,
        submission=submission,
    )  # type: ignore[arg-type]

    try:
        admission = admit(asking, application)
        if place == "stored":
            admission = replace(admission, status_url=url)
        prepared = [asking.status(task(admission)), asking.result(task(admission))]
    except (InvalidRegistration, HostNotAllowed, Unbuildable):
        return

    for request in prepared:
        origin = request.url
        assert origin.scheme == "https"
        assert origin.port == 443
        assert origin.host == "api.modelmax.io" or str(origin.host).endswith(".example.com")
        assert origin.user is None


def test_an_account_alone_makes_requests() -> None:
    account: Account = CATALOG.account("modelmax", {"api_key": "key-123"})
    admission = admit(Requests(account, lambda: 0.0), replace(GIVEN, remote_id="a+/=", model="veo/3"))

    prepared = Requests(account, lambda: 0.0).status(task(admission))

    assert str(prepared.url) == "https://api.modelmax.io/v1/queue/veo%2F3/requests/a%2B%2F%3D/status"
    assert prepared.headers["Authorization"] == "Bearer key-123"


_ODD = st.sampled_from(
    ["abc", "a/b", "..", "", " ", "a b", "\u00fc", "x" * 300, "x" * 3000, "\x07", "fal-ai/flux", "veo-3.1", "-", "~"]
)


@given(
    st.sampled_from(["amux", "seacloud", "modelmax", "fal", "kling"]),
    st.lists(st.tuples(_ODD, st.none() | _ODD, st.sampled_from([None, True, False])), min_size=1, max_size=6),
)
@example("amux", [("abc", None, None), ("abc", None, True)])
@example("seacloud", [("abc", "veo-3.1", None), ("abc", None, None)])
@settings(deadline=None)
def test_what_was_learned_of_one_registration_changes_the_answer_to_no_other(preset: str, asked: list[tuple]) -> None:  # type: ignore[type-arg]
    asks_more = {"request": "GET /results/{model}/{id}", "outputs": "url", "when": "asked"}
    ours = requests(preset, **({"result": asks_more} if preset == "amux" else {}))
    admissions = Admissions(ours)

    for remote_id, model, fetch_result in asked:
        application = Application(provider="lane", remote_id=remote_id, model=model, fetch_result=fetch_result)

        assert _told(admissions.admit, application) == _told(lambda each: admit(ours, each), application)


def _told(admits: Callable[[Application], Admission], application: Application) -> object:
    try:
        return admits(application)
    except InvalidRegistration as refusal:
        return refusal.errors
