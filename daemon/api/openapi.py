"""The OpenAPI 3.1 document, made from the route table and the very models that check requests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from daemon.api.models import ProblemDocument
from daemon.api.problems import CODES
from daemon.api.routes import Answer, Route
from daemon.core.event import encode
from daemon.core.observation import Json

Parameter: TypeAlias = dict[str, Json]
Schemas: TypeAlias = dict[str, dict[str, Json]]
_REF = "#/components/schemas/{model}"
_PATH_VARIABLE = re.compile(r"\{(\w+)\}")
_EVERYWHERE = ("forbidden", "misdirected", "internal")
_WITH_BODY = ("bad_json", "bad_request", "duplicate_key", "timeout", "too_large", "unsupported_media_type")
_INTRODUCTION = (
    "Webhooks for APIs that only poll. Times are RFC 3339 in UTC with milliseconds; errors are RFC 9457 problem "
    "documents whose `code` is stable. On TCP every call but health and readiness needs the bearer token."
)


class Description:
    """The description of a route table, made when first asked for."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._table: Sequence[Route] = ()

    def describe(self, table: Sequence[Route]) -> None:
        """Take *table* as what there is to describe."""
        self._table = table

    def document(self) -> bytes:
        """Return the document as JSON."""
        return self._document

    @cached_property
    def _document(self) -> bytes:
        return encode(openapi(self._table, self._version))


def openapi(table: Sequence[Route], version: str) -> dict[str, Json]:
    """Return the OpenAPI document of *table*."""
    from daemon.api import meanings, parameter_meanings  # noqa: PLC0415 (plain data that only this document needs)

    paths: dict[str, Json] = {}
    for path in dict.fromkeys(route.path for route in table):
        paths[path] = {
            route.method.lower(): _operation(route, parameter_meanings.PARAMETERS.get(route.tag, {}))
            for route in table
            if route.path == path
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Pollhook", "version": version, "description": _INTRODUCTION},
        "servers": [{"url": "http://127.0.0.1:8710"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": _explained(_schemas(table), meanings.FIELDS, meanings.WORDS),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "`pollhook token` prints it"}
            },
        },
    }


def _operation(route: Route, said: Mapping[str, str]) -> dict[str, Json]:
    operation: dict[str, Json] = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [_said(one, said) for one in _parameters(route)],
        "responses": _responses(route),
    }
    if route.body is not None:
        content: Json = {"application/json": {"schema": _ref(route.body)}}
        operation["requestBody"] = {"required": not route.body_is_optional, "content": content}
    if route.is_open:
        operation["security"] = []
    return operation


def _said(parameter: Parameter, said: Mapping[str, str]) -> Json:
    name = str(parameter["name"])
    return parameter | {"description": said[name]} if name in said else parameter


def _parameters(route: Route) -> list[Parameter]:
    in_path: list[Parameter] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if name == "n" else "string"}}
        for name in _PATH_VARIABLE.findall(route.path)
    ]
    claim: list[Parameter] = [
        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255}}
    ]
    return in_path + _query_parameters(route.query) + (claim if route.takes_claim else [])


def _query_parameters(model: type[BaseModel]) -> list[Parameter]:
    schema: dict[str, dict[str, dict[str, Json]]] = model.model_json_schema(ref_template=_REF)
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_definitions(rule)}
        for name, rule in schema.get("properties", {}).items()
    ]


def _without_definitions(rule: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in rule.items() if name != "title"}


def _responses(route: Route) -> dict[str, Json]:
    responses: dict[str, Json] = {str(status): _good(answer) for status, answer in route.answers.items()}
    codes = [*route.problems, "invalid_query", *(() if route.body is None else _WITH_BODY)]
    codes += [*_EVERYWHERE, *(() if route.is_open else ("unauthorized",))]
    for status in sorted({CODES[code][0] for code in codes}):
        mine = [code for code in dict.fromkeys(codes) if CODES[code][0] == status]
        responses[str(status)] = _bad(mine)
    return responses


def _good(answer: Answer) -> dict[str, Json]:
    schema: Json = {} if answer.model is None else _ref(answer.model)
    return {"description": answer.meaning, "content": {answer.content_type: {"schema": schema}}}


def _bad(codes: Sequence[str]) -> dict[str, Json]:
    said = "; ".join(f"`{code}`: {CODES[code][1].lower()}" for code in codes)
    return {"description": said, "content": {"application/problem+json": {"schema": _ref(ProblemDocument)}}}


def _ref(model: type[BaseModel]) -> dict[str, Json]:
    return {"$ref": _REF.format(model=model.__name__)}


def _schemas(table: Sequence[Route]) -> Schemas:
    models = {route.body for route in table if route.body is not None} | {ProblemDocument}
    models |= {answer.model for route in table for answer in route.answers.values() if answer.model is not None}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, definitions = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    schemas: Schemas = json.loads(json.dumps(definitions["$defs"]))
    return schemas


def _explained(
    schemas: Schemas, fields: Mapping[str, Mapping[str, str]], words: Mapping[str, Mapping[str, str]]
) -> dict[str, Json]:
    """Return *schemas* with what each field means, and in an enumeration what each word does."""
    explained: dict[str, Json] = {}
    for model, schema in schemas.items():
        rules = schema.get("properties")
        if isinstance(rules, dict):
            schema |= {
                "properties": {name: _told(rule, fields.get(model, {}).get(name)) for name, rule in rules.items()}
            }
        if model in words:
            listed = "\n".join(f"- `{word}`: {meaning}" for word, meaning in words[model].items())
            schema |= {"description": f"{schema.get('description', '')}\n\n{listed}"}
        explained[model] = schema
    return explained


def _told(rule: Json, meaning: str | None) -> Json:
    return rule | {"description": meaning} if meaning is not None and isinstance(rule, dict) else rule
