import json

import pytest
from pydantic import TypeAdapter

from daemon.api import meanings, models, parameter_meanings, standing_models
from daemon.api.problems import CODES, problem_of
from daemon.core import errors

CALLS = """
GET /healthz · GET /readyz · GET /metrics · GET /openapi.json
POST /v1/tasks · POST /v1/tasks/batch · GET /v1/tasks · GET /v1/tasks/{id} · DELETE /v1/tasks/{id}
POST /v1/tasks/{id}/poll · POST /v1/tasks/{id}/result · GET /v1/tasks/{id}/outputs/{n}
GET /v1/events · GET /v1/events/{id} · GET /v1/events/{id}/body · POST /v1/events/{id}/redeliver
GET /v1/deliveries · GET /v1/deliveries/{id} · POST /v1/deliveries/{id}/redeliver
GET /v1/endpoints · GET /v1/endpoints/{name} · PUT /v1/endpoints/{name} · DELETE /v1/endpoints/{name}
POST /v1/endpoints/{name}/rotate · POST /v1/endpoints/{name}/replay
POST /v1/endpoints/{name}/test · POST /v1/endpoints/{name}/enable · POST /v1/endpoints/{name}/disable
GET /v1/providers · GET /v1/providers/{name}
"""


@pytest.fixture
async def document(api):
    status, document, _ = await api.call("GET", "/openapi.json")
    assert status == 200
    return document


async def test_every_call_is_described_and_no_other(document):
    described = {f"{method.upper()} {path}" for path, calls in document["paths"].items() for method in calls}

    assert described == {call.strip() for line in CALLS.strip().splitlines() for call in line.split("·")}


async def test_every_route_of_the_application_is_described(make_api, document):
    _, app = make_api()
    routed = {(route.method, route.resource.canonical) for route in app.router.routes() if route.method != "HEAD"}

    assert routed == {(method.upper(), path) for path, calls in document["paths"].items() for method in calls}


async def test_every_operation_is_named_once_and_says_its_answers_and_problems(document):
    operations = [call for calls in document["paths"].values() for call in calls.values()]

    assert document["openapi"] == "3.1.0"
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert "421" in operation["responses"]
        assert ("401" in operation["responses"]) == (operation.get("security") != [])
        assert all(response["description"] for response in operation["responses"].values())


async def test_every_path_variable_is_a_parameter(document):
    for path, calls in document["paths"].items():
        for operation in calls.values():
            named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


async def test_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]

    for found in _references({"paths": document["paths"], "schemas": schemas}):
        assert found.removeprefix("#/components/schemas/") in schemas


async def test_registration_is_described_by_the_model_that_checks_it(document):
    schema = document["components"]["schemas"]["Registration"]

    assert list(schema["properties"]) == [
        "provider", "remote_id", "submission", "status_url", "webhook", "model", "params", "metadata", "created_at",
        "deadline", "first_poll_after", "fetch_result", "save_outputs", "recheck", "events",
    ]  # fmt: skip
    assert schema["additionalProperties"] is False
    assert schema["examples"]
    assert schema["properties"]["params"]["default"] == {}


async def test_query_parameters_carry_their_bounds(document):
    parameters = {one["name"]: one["schema"] for one in document["paths"]["/v1/events"]["get"]["parameters"]}

    assert (parameters["wait"]["maximum"], parameters["limit"]["maximum"]) == (60.0, 500)


async def test_the_answers_are_what_the_models_say(api):
    task = await api.register(webhook={"url": "https://app.example.com/x"})
    await api.tasks.end(task["id"])
    item = api.outbox.add()
    owed = api.outbox.owe(item)
    bad = {"tasks": [{}, {"provider": "amux", "remote_id": "x"}]}

    for model, (method, path, body) in {
        models.TaskShown: ("GET", f"/v1/tasks/{task['id']}", None),
        models.TaskList: ("GET", "/v1/tasks", None),
        models.BatchAnswer: ("POST", "/v1/tasks/batch", bad),
        models.EventFeed: ("GET", "/v1/events", None),
        models.EventWithDeliveries: ("GET", f"/v1/events/{item.id}", None),
        models.DeliveryList: ("GET", "/v1/deliveries", None),
        models.DeliveryWithAttempts: ("GET", f"/v1/deliveries/{owed.id}", None),
        standing_models.EndpointList: ("GET", "/v1/endpoints", None),
        standing_models.EndpointRevealed: ("PUT", "/v1/endpoints/mine", {"url": "https://app.example.com/x"}),
        standing_models.ReplayShown: ("POST", "/v1/endpoints/mine/replay", {"since": "2026-01-01T00:00:00Z"}),
        standing_models.LaneList: ("GET", "/v1/providers", None),
        models.Health: ("GET", "/readyz", None),
        models.ProblemDocument: ("POST", "/v1/tasks", {}),
    }.items():
        _, answer, _ = await api.call(method, path, json_body=body)
        TypeAdapter(model).validate_json(json.dumps(answer))
        shown = answer["data"][0] if answer.get("data") else answer
        inner = model.model_fields["data"].annotation.__args__[0] if "data" in model.model_fields else model
        if model not in (models.BatchAnswer, models.ProblemDocument):
            assert list(shown) == list(inner.model_fields)


async def test_every_parameter_has_a_meaning_and_every_meaning_its_parameter(document):
    operations = [call for calls in document["paths"].values() for call in calls.values()]
    told = [(call["tags"][0], one["name"], one.get("description")) for call in operations for one in call["parameters"]]

    assert [(tag, name) for tag, name, meaning in told if not meaning] == []
    assert _pairs(parameter_meanings.PARAMETERS) == {(tag, name) for tag, name, _ in told}


async def test_every_field_has_a_meaning_and_every_meaning_its_field(document):
    schemas = document["components"]["schemas"]
    fields = {model: schema["properties"] for model, schema in schemas.items() if "properties" in schema}
    silent = [
        (model, name) for model, rules in fields.items() for name, rule in rules.items() if not rule.get("description")
    ]

    assert silent == []
    assert _pairs(meanings.FIELDS) == _pairs(fields)


async def test_every_word_of_an_enumeration_is_explained_and_no_other(document):
    schemas = document["components"]["schemas"]
    words = {model: list(schema["enum"]) for model, schema in schemas.items() if "enum" in schema}

    assert {model: list(said) for model, said in meanings.WORDS.items()} == words
    assert all(f"- `{word}`: " in schemas[model]["description"] for model, each in words.items() for word in each)


def test_every_mistake_of_the_core_has_its_row():
    mistakes = errors.Mistake.__subclasses__()

    assert {kind.code for kind in mistakes} <= set(CODES)
    assert problem_of(errors.Mistake("odd")).status == 422


def _pairs(tables):
    return {(table, name) for table, names in tables.items() for name in names}


def _references(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


async def test_every_call_with_a_body_says_how_a_body_may_be_refused(document):
    for calls in document["paths"].values():
        for operation in calls.values():
            assert "requestBody" not in operation or {"400", "408", "413", "415"} <= set(operation["responses"])
