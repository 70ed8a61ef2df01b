"""Endpoints over the API: what a caller may write, what is answered once, and what is refused and how."""

from __future__ import annotations

import pytest

from daemon.api.endpoint_forms import EndpointForm
from daemon.config import EndpointSettings
from tests.api.conftest import NOW

URL = "https://app.example.com/hooks"
FULL = {
    "url": URL, "headers": {"Authorization": "Bearer x"}, "timeout": "5s", "concurrency": 3, "rate": 20,
    "schedule": ["5s", 60], "events": ["task.succeeded", "delivery.*"], "providers": ["amux"],
    "where": "data.metadata.order > `10`", "disable_after": "2d", "signing_key": "generate",
}  # fmt: skip


async def test_creating_an_endpoint_tells_its_secret_once(api):
    created, first, _ = await api.call("PUT", "/v1/endpoints/mine", json_body={"url": URL})
    replaced, second, _ = await api.call("PUT", "/v1/endpoints/mine", json_body={"url": URL, "timeout": "3s"})
    _, shown, _ = await api.call("GET", "/v1/endpoints/mine")

    assert (created, first["secret"]) == (201, "whsec_made")
    assert (replaced, second["secret"]) == (200, None)
    assert "secret" not in shown


async def test_every_setting_reaches_the_engine(api):
    status, _, _ = await api.call("PUT", "/v1/endpoints/mine", json_body=FULL)

    spec = api.endpoints.drafts["mine"].spec
    assert status == 201
    assert (spec.url, spec.headers) == (URL, (("Authorization", "Bearer x"),))
    assert (spec.timeout, spec.concurrency, spec.rate, spec.schedule) == (5.0, 3, 20.0, (5.0, 60.0))
    assert (spec.events, spec.providers) == (("task.succeeded", "delivery.*"), ("amux",))
    assert (spec.where, spec.disable_after) == ("data.metadata.order > `10`", 172800.0)
    assert api.endpoints.drafts["mine"].signing_key == "generate"


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"url": "ftp://x"}, "url", "http or https"),
        ({"timeout": "11m"}, "timeout", "at most 10m"),
        ({"timeout": 0}, "timeout", "at least"),
        ({"concurrency": 0}, "concurrency", "greater than or equal to 1"),
        ({"concurrency": "3"}, "concurrency", "a whole number"),
        ({"headers": {"webhook-signature": "v1,x"}}, "headers", "set by pollhook itself"),
        ({"headers": {"X": "a\nb"}}, "headers", "printable ASCII"),
        ({"headers": ["X"]}, "headers", "an object of strings"),
        ({"events": ["task.failed!"]}, "events.0", "event type"),
        ({"where": "a =="}, "where", "JMESPath"),
        ({"ca": "not pem"}, "ca", "PEM"),
        ({"schedule": ["x"]}, "schedule", "span of time"),
        ({"shedule": []}, "shedule", 'did you mean "schedule"'),
    ],
)
async def test_a_bad_field_is_named_with_what_is_allowed(api, fields, field, says):
    status, problem, _ = await api.call("PUT", "/v1/endpoints/mine", json_body={"url": URL} | fields)

    assert (status, problem["code"]) == (422, "invalid_endpoint")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert says in problem["errors"][0]["message"]
    assert "mine" not in api.endpoints.drafts


@pytest.mark.parametrize("name", ["Mine", "-x", "a" * 65, "a.b"])
async def test_a_name_is_short_and_plain(api, name):
    status, problem, _ = await api.call("PUT", f"/v1/endpoints/{name}", json_body={"url": URL})

    assert (status, problem["errors"][0]["field"]) == (422, "name")


async def test_a_url_the_egress_rules_refuse_gets_one_neutral_answer(api):
    status, problem, _ = await api.call("PUT", "/v1/endpoints/mine", json_body={"url": "https://10.0.0.1/x"})

    assert (status, problem["code"]) == (422, "target_not_allowed")
    assert "10.0.0.0/8" not in str(problem)
    assert "mine" not in api.endpoints.drafts


async def test_a_deleted_endpoint_is_gone(api):
    await api.call("PUT", "/v1/endpoints/mine", json_body={"url": URL})
    deleted, last, _ = await api.call("DELETE", "/v1/endpoints/mine")
    shown, _, _ = await api.call("GET", "/v1/endpoints/mine")
    again, _, _ = await api.call("DELETE", "/v1/endpoints/mine")

    assert (deleted, last["name"], shown, again) == (200, "mine", 404, 404)


@pytest.mark.parametrize(
    ("body", "version", "grace"),
    [(None, "v1", 86400.0), ({"grace": 0}, "v1", 0.0), ({"grace": "7d", "kind": "signing_key"}, "v1a", 604800.0)],
)
async def test_a_rotation_tells_the_new_secret(api, body, version, grace):
    status, answer, _ = await api.call("POST", "/v1/endpoints/default/rotate", json_body=body)

    assert (status, answer["secret"]) == (200, "whsec_new")
    assert (api.endpoints.rotations[0].version, api.endpoints.rotations[0].grace) == (version, grace)


async def test_a_grace_is_seven_days_at_most(api):
    status, problem, _ = await api.call("POST", "/v1/endpoints/default/rotate", json_body={"grace": "8d"})

    assert (status, problem["errors"][0]["message"]) == (422, 'grace must be at most 7d, got "8d"')


@pytest.mark.parametrize(
    ("window", "field"),
    [
        ({"since": None}, "since"),
        ({"since": "2025-11-24T00:00:00Z", "until": "2025-11-23T00:00:00Z"}, "until"),
        ({"since": "2025-11-24T00:00:00Z", "until": "2025-11-24T00:00:00Z"}, "until"),
    ],
)
async def test_a_window_that_is_none_is_refused_before_anything_is_sent_again(api, window, field):
    status, problem, _ = await api.call("POST", "/v1/endpoints/default/replay", json_body=window)

    assert status == 422
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_replay_can_be_dry(api):
    body = {"since": "2026-01-01T00:00:00Z", "states": ["dead"]}
    dry, counted, _ = await api.call("POST", "/v1/endpoints/default/replay", json_body=body | {"dry_run": True})
    wet, sent, _ = await api.call("POST", "/v1/endpoints/default/replay", json_body=body)
    bare, problem, _ = await api.call("POST", "/v1/endpoints/default/replay", json_body={})

    assert (dry, counted["dry_run"], counted["count"]) == (200, True, 2)
    assert (wet, sent["dry_run"], sent["by_state"]) == (202, False, {"dead": 2})
    assert api.endpoints.windows[0].until == NOW
    assert (bare, problem["errors"][0]["field"]) == (422, "since")


def test_the_config_file_and_the_api_take_the_same_keys():
    assert EndpointSettings.model_fields.keys() - EndpointForm.model_fields.keys() == {"previous_secrets"}
    assert EndpointForm.model_fields.keys() <= EndpointSettings.model_fields.keys()


async def test_one_delivery_is_sent_again_by_its_id(api):
    owed = api.outbox.owe(api.outbox.add())
    status, answer, _ = await api.call("POST", f"/v1/deliveries/{owed.id}/redeliver")
    missing, problem, _ = await api.call("POST", "/v1/deliveries/dlv_x/redeliver")

    assert (status, answer["id"]) == (202, owed.id)
    assert (missing, problem["code"]) == (404, "not_found")
