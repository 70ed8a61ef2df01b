"""The definition language: what a TOML description of a polling API may say, and what it means when it is silent.

A definition is data, wholly: it names requests, says where an answer keeps things and what its words mean. Everything
is checked and compiled when it is loaded, so that reading an answer can neither fail nor surprise.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator
from yarl import URL

from daemon.providers.base_url import base_names, refuse_unsafe, resolved
from daemon.providers.definition_outputs import Outputs
from daemon.providers.definition_reading import Envelope, ErrorSpec, Guards, Rule, Telling
from daemon.providers.definition_request import (
    Auth,
    BatchSpec,
    Call,
    HeaderName,
    HeaderValue,
    Names,
    SecondCall,
    Submission,
    refuse_framing,
)
from daemon.providers.example import Example
from daemon.providers.expression import Path, Paths
from daemon.providers.limits import Limits, Table, Typical
from daemon.providers.naming import Misplaced, refuse_reserved, refuse_strangers
from daemon.providers.origin import Allowed, entry, origin_of
from daemon.providers.template import Target
from daemon.providers.words import OutputKind, listed

Evidence: TypeAlias = Literal["documented", "sdk", "code", "third-party", "unverified"]
RESERVED = frozenset({"api_key", "preset"})


class StatusSpec(Telling, Call):
    """The status request and how its answer is read."""


class ResultSpec(SecondCall):
    """The second request, where outputs stand elsewhere.

    ``when = "asked"`` (it bills, or is seldom needed): never sent unless the registration or ``/result`` asks.
    ``unless_outputs``: not sent where the status answer brought outputs already. A state word in its body, read by
    ``state`` (else by that of the status request), counts like one in the status answer; without one, outputs must
    be there for it to be a result.
    ``not_yet`` are HTTP codes that say *not yet*; ``not_yet_when``, where true of the body of a 2xx or 4xx (but 401,
    403 and 429), says so too. ``failed_http`` are HTTP codes by which a task that ended tells here that it has failed;
    only with a JSON body. ``bills``: the provider charges for the request, so it is never repeated on its own;
    where it is not written, ``when = "asked"`` bills. It cannot go with ``each``, which asks all items again where one
    was refused.
    """

    when: Literal["succeeded", "asked"] = "succeeded"
    bills: bool = Field(default_factory=lambda data: data.get("when") == "asked")
    unless_outputs: bool = False
    not_yet: tuple[Annotated[int, Field(ge=200, le=499)], ...] = (202, 425)
    not_yet_when: Path | None = None
    failed_http: tuple[Annotated[int, Field(ge=400, le=599)], ...] = ()
    state: Paths = ()
    rules: tuple[Rule, ...] = ()
    require: Guards = ()
    outputs: Outputs = ()

    @model_validator(mode="after")
    def _costs_only_who_asks(self) -> ResultSpec:
        if self.bills and self.when != "asked":
            raise ValueError('bills = true needs when = "asked", or every success would cost money unasked')
        if self.bills and self.each:
            raise ValueError(
                "each asks once per item and asks all again where one was refused, so it cannot go with a request that "
                'bills (bills = true, or when = "asked" without bills = false)'
            )
        if blamed := sorted(set(self.failed_http) & {401, 403, 429}):
            raise ValueError(f"HTTP {blamed[0]} is never a task's failure")
        return self


class Fallback(Table):
    """A download that is named in the event, not fetched, where a task succeeded and no output was told."""

    url: Target
    kind: OutputKind = "file"
    needs_auth: bool = True


class Definition(Table):
    """One polling API.

    ``evidence`` says what it was written from, ``unverified`` which of its facts no source confirms.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    title: str = ""
    docs: str = ""
    evidence: Evidence = "unverified"
    unverified: tuple[str, ...] = ()
    base_url: str
    hosts: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    variables: dict[str, str] = Field(default_factory=dict)
    params: Names = ()
    auth: Auth = Auth()
    submission: Submission = Submission()
    status: StatusSpec
    envelope: Envelope | None = None
    errors: ErrorSpec = ErrorSpec()
    result: ResultSpec | None = None
    batch: BatchSpec | None = None
    fallback: Fallback | None = None
    limits: Limits = Limits()
    typical: Typical = Typical()
    save_outputs: bool | Literal["before_event"] = False
    examples: tuple[Example, ...] = ()

    @cached_property
    def base_text(self) -> str:
        """``base_url`` with its variables, without a trailing slash, for paths to follow."""
        return resolved(self.base_url, self.variables)

    @cached_property
    def base(self) -> URL:
        """``base_url`` with a trailing slash, for relative URLs to be resolved against."""
        return URL(self.base_text + "/", encoded=True)

    @cached_property
    def allowed(self) -> Allowed:
        """The origins to which the key may be sent."""
        home = origin_of(self.base)
        assert home is not None
        return Allowed((home, *(entry(text) for text in self.hosts)))

    @model_validator(mode="after")
    def _sends_the_key_safely(self) -> Definition:
        refuse_unsafe(self.base_url, self.base_text)
        for text in self.hosts:
            entry(text)
        return self

    @property
    def unset(self) -> tuple[str, ...]:
        """The variables of ``base_url`` that a lane has to set."""
        return tuple(name for name in base_names(self.base_url) if not self.variables.get(name))

    @model_validator(mode="after")
    def _names_what_it_knows(self) -> Definition:
        for table, names in (("variables", self.variables), ("params", self.params)):
            refuse_reserved(table, names)
        refuse_framing(self.headers)
        calls = {"status": self.status, "result": self.result, "batch": self.batch}
        link = None if self.fallback is None else self.fallback.url
        known = (*self.variables, *self.params, *base_names(self.base_url))
        refuse_strangers(known, headers=self.headers, calls=calls, link=link)
        self._refuse_two_credentials()
        if self.submission.use == "status_url" and not self.submission.status_url:
            raise Misplaced(("submission", "use"), 'use = "status_url" needs status_url, where the answer keeps it')
        return self

    def _refuse_two_credentials(self) -> None:
        tables = {"headers": self.headers, "status": self.status.headers}
        tables |= {name: call.headers for name, call in (("result", self.result), ("batch", self.batch)) if call}
        for table, headers in tables.items():
            if self.auth.header.lower() in map(str.lower, headers) and self.auth.scheme not in ("none", "query"):
                raise Misplaced((table, self.auth.header), "is the header in which [auth] sends the key")
