"""A registration as it comes in, and the core's Application made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from daemon.api.complaints import field_errors, summary
from daemon.api.fields import (
    Deadline,
    FirstPoll,
    HttpUrl,
    MetadataField,
    Moment,
    Name,
    ParamsField,
    RemoteId,
    SavingField,
    StatusUrl,
    Submission,
    WishesField,
    wrong,
)
from daemon.api.problems import Problem, Rejected
from daemon.api.targets import require_allowed
from daemon.core.errors import FieldError
from daemon.core.observation import Json
from daemon.core.record import Application, Target, ToEndpoint, ToUrl
from daemon.core.task import Params

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
FIELDS_LIMIT = 64
_EXAMPLE: dict[str, Json] = {
    "provider": "amux",
    "remote_id": "abcd1234efgh",
    "webhook": {"endpoint": "default"},
    "model": "seedance-2.0",
    "metadata": {"order": 17},
    "deadline": "30m",
}


class EndpointNames(Protocol):
    """Which endpoints are configured."""

    def has(self, name: str) -> bool:
        """Whether an endpoint of that name is configured."""
        ...

    def names(self) -> list[str]:
        """Return the names of the configured endpoints."""
        ...


class WebhookTarget(BaseModel):
    """Where the events go: an endpoint by its name, or a URL; exactly one of them."""

    model_config = _STRICT
    endpoint: Name | None = None
    url: HttpUrl | None = None

    @model_validator(mode="after")
    def _is_one(self) -> WebhookTarget:
        if (self.endpoint is None) == (self.url is None):
            raise wrong('must be either {"endpoint": NAME} or {"url": URL}')
        return self


class Registration(BaseModel):
    """A task to watch: its provider, and its id there or the provider's answer to the submit call."""

    model_config = ConfigDict(**_STRICT, json_schema_extra={"examples": [_EXAMPLE]})
    provider: Name
    remote_id: RemoteId | None = None
    submission: Submission = None
    status_url: StatusUrl | None = None
    webhook: WebhookTarget | None = None
    model: Name | None = None
    params: ParamsField = Field(default=(), json_schema_extra={"default": {}})
    metadata: MetadataField = Field(default_factory=dict)
    created_at: Moment = None
    deadline: Deadline = None
    first_poll_after: FirstPoll = None
    fetch_result: bool | None = None
    save_outputs: SavingField = None
    recheck: bool | None = None
    events: WishesField = frozenset()


class Batch(BaseModel):
    """Up to 1,000 registrations, committed together; each is answered on its own."""

    model_config = _STRICT
    tasks: list[Registration] = Field(max_length=1000)


_REGISTRATION = TypeAdapter(Registration)


class Registrar:
    """Turns JSON into Applications, or into a problem that lists every bad field."""

    def __init__(
        self, endpoints: EndpointNames, check_target: Callable[[str], str | None], now_at: Callable[[], float]
    ) -> None:
        self._endpoints = endpoints
        self._check_target = check_target
        self._now_at = now_at

    def application(self, value: Json) -> Application:
        """Return the Application in *value*; raise Rejected, or TargetNotAllowed for a URL the egress rules refuse."""
        self._require_few_fields(value)
        try:
            form = _REGISTRATION.validate_python(value, context=float(self._now_at()))
        except ValidationError as error:
            raise self._invalid([*field_errors(error, Registration), *self._also_wrong(value)]) from None
        if form.remote_id is None and form.submission is None:
            raise self._invalid([FieldError(field="remote_id", message="remote_id or submission is required")])
        model, params = self._model(form)
        return Application(
            provider=form.provider,
            remote_id=form.remote_id,
            submission=cast("Json", form.submission),
            status_url=form.status_url,
            model=model,
            params=params,
            metadata=cast("dict[str, Json]", form.metadata),
            target=self._target(form.webhook),
            created_at=form.created_at,
            deadline=form.deadline,
            first_poll_after=form.first_poll_after,
            fetch_result=form.fetch_result,
            save_outputs=form.save_outputs,
            recheck=form.recheck,
            wishes=form.events,
        )

    def _require_few_fields(self, value: Json) -> None:
        """Refuse thousands of fields before each is complained of."""
        webhook = value.get("webhook") if isinstance(value, dict) else None
        for name, table in (("(body)", value), ("webhook", webhook)):
            if isinstance(table, dict) and len(table) > FIELDS_LIMIT:
                message = f"{name} must hold at most {FIELDS_LIMIT} fields, got {len(table)}"
                raise self._invalid([FieldError(field=name, message=message)])

    def _model(self, form: Registration) -> tuple[str | None, Params]:
        """Return the model, which may also stand among the params, and the other params."""
        named = [value for name, value in form.params if name == "model"]
        if not named:
            return form.model, form.params
        if form.model not in (None, named[0]):
            raise self._invalid([FieldError(field="params.model", message="params.model is not the same as model")])
        return named[0], tuple(pair for pair in form.params if pair[0] != "model")

    def _target(self, webhook: WebhookTarget | None) -> Target | None:
        if webhook is None:
            return ToEndpoint(name="default") if self._endpoints.has("default") else None
        if webhook.url is not None:
            return self._url(webhook.url)
        name = webhook.endpoint or ""
        if not self._endpoints.has(name):
            error = self._unknown_endpoint(name)
            raise Rejected(Problem(code="unknown_endpoint", detail=error.message, errors=(error,)))
        return ToEndpoint(name=name)

    def _url(self, url: str) -> ToUrl:
        require_allowed(url, self._check_target)
        return ToUrl(url=url)

    def _also_wrong(self, value: Json) -> list[FieldError]:
        """Name an unknown endpoint beside the fields the schema complains of."""
        webhook = value.get("webhook") if isinstance(value, dict) else None
        name = webhook.get("endpoint") if isinstance(webhook, dict) and "url" not in webhook else None
        if not isinstance(name, str) or not name or len(name) > 200 or self._endpoints.has(name):
            return []
        return [self._unknown_endpoint(name)]

    def _unknown_endpoint(self, name: str) -> FieldError:
        known = ", ".join(self._endpoints.names()) or "none"
        return FieldError(
            field="webhook.endpoint", message=f"no endpoint {json.dumps(name)} is configured; configured are: {known}"
        )

    def _invalid(self, errors: list[FieldError]) -> Rejected:
        return Rejected(Problem(code="invalid_registration", detail=summary(errors), errors=tuple(errors)))
