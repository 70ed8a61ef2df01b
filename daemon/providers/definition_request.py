"""The request side of the definition language: how the key travels, and what is sent.

Whatever a table says that its scheme or method cannot use is a mistake, told when the definition is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from daemon.providers.expression import Path, Paths
from daemon.providers.filling import Scalar, names_in
from daemon.providers.limits import Span, Table
from daemon.providers.template import Request
from daemon.providers.times import Moment
from daemon.providers.words import OutputKind, listed

HeaderName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderValue: TypeAlias = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,1024}$")]
TimeName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(listed)]
_CLAIM = re.compile(r"\{now(?:[+-]\d{1,9})?\}|[^{}]*(?:\{access\}[^{}]*)?")
_FRAMING = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})
_OWN = {
    "query": frozenset({"parameter"}),
    "jwt-hs256": frozenset({"claims"}),
    "token-file": frozenset({"path"}),
    "token-command": frozenset({"command", "ttl"}),
}


def _kling_claims() -> dict[str, Scalar]:
    return {"iss": "{access}", "exp": "{now+1800}", "nbf": "{now-5}"}


class Auth(Table):
    """How the key travels.

    ``header``: in a header by ``format``; so do ``jwt-hs256`` (a token minted from the key ``ACCESS:SECRET``, whose
    ``claims`` may hold ``{access}`` or be ``{now}``, ``{now+1800}`` or ``{now-5}``), ``token-file`` (what stands in
    the file at ``path``) and ``token-command`` (what ``command`` prints, kept for ``ttl``). ``query``: as the
    ``parameter``. ``basic``: the key is ``user:password``. ``none``: not at all.
    """

    scheme: Literal["header", "query", "basic", "jwt-hs256", "token-file", "token-command", "none"] = "header"
    header: HeaderName = "Authorization"
    format: str = Field("Bearer {key}", pattern=r"^[\x20-\x7e]*\{key\}[\x20-\x7e]*$", max_length=256)
    parameter: str = Field("key", pattern=r"^[A-Za-z0-9._~-]{1,64}$")
    claims: dict[str, Scalar] = Field(default_factory=_kling_claims)
    path: str = Field("", pattern=r"^(/[^\x00]*)?$", max_length=4096)
    command: tuple[Annotated[str, Field(min_length=1, max_length=4096)], ...] = Field((), max_length=64)
    ttl: Span = Field(300.0, ge=1, le=86400)

    @model_validator(mode="after")
    def _says_what_its_scheme_needs(self) -> Auth:
        for scheme, keys in _OWN.items():
            if scheme != self.scheme and (strangers := sorted(keys & self.model_fields_set)):
                raise ValueError(f'{strangers[0]} belongs to scheme = "{scheme}", not to "{self.scheme}"')
        if self.scheme == "token-file" and not self.path:
            raise ValueError('scheme = "token-file" needs path, the absolute path of a file that holds the token')
        if self.scheme == "token-command" and not self.command:
            raise ValueError('scheme = "token-command" needs command, a list such as ["/usr/bin/mint", "--print"]')
        if not str(self.claims.get("exp", "")).startswith("{now+"):
            raise ValueError('claims needs exp, such as exp = "{now+1800}"')
        for name, claim in self.claims.items():
            if isinstance(claim, str) and not _CLAIM.fullmatch(claim):
                raise ValueError(f"claims.{name} may hold {{access}}, or be {{now}}, {{now+1800}} or {{now-5}}")
        return self

    @property
    def needs_key(self) -> bool:
        """Whether it is made of the lane's ``api_key``."""
        return self.scheme not in ("none", "token-file", "token-command")


class Submission(Table):
    """Where the provider's answer to the submit call keeps the id, the status URL and the model.

    ``use = "status_url"``: the status URL cannot be made from the id, so that a registration must bring it (itself or
    in its submission), and it is asked verbatim. ``either``: a status URL is taken, an id is enough.
    """

    id: Paths = ()
    status_url: Paths = ()
    model: Paths = ()
    use: Literal["either", "status_url"] = "either"


class Call(Table):
    """One request: method and path, and what goes with it; every text may hold variables.

    A list in ``query`` is a parameter that is repeated. ``body`` is sent as JSON. ``times`` are further variables:
    moments of the clock, by name.
    """

    request: Request
    query: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict)
    body: dict[str, JsonValue] | None = None
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    times: dict[TimeName, Moment] = Field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The variables it needs from outside, each once."""
        found = dict.fromkeys([*self.request.names, *names_in([self.query, self.body, self.headers])])
        return tuple(name for name in found if name not in self.times)

    @property
    def side_names(self) -> tuple[str, ...]:
        """The variables of body and headers, needed even where a task brings its own URL."""
        return tuple(name for name in dict.fromkeys(names_in([self.body, self.headers])) if name not in self.times)

    @model_validator(mode="after")
    def _can_be_sent(self) -> Call:
        if self.body is not None and self.request.method != "POST":
            raise ValueError(f"a body is sent with POST only, the request is {self.request.text!r}")
        if timed := sorted(self.times.keys() & {*self.request.names}):
            raise ValueError(f"{{{timed[0]}}} is one of times, which stand in query, body or headers, not in request")
        if both := sorted(self.request.query_names & self.query.keys()):
            raise ValueError(f"the parameter {both[0]!r} stands in request and in query")
        refuse_framing(self.headers)
        return self


class SecondCall(Call):
    """What a result request can be besides one GET by the task's own variables.

    ``kind = "link"``: the URL answers bytes; it is told as an output of ``output_kind`` that needs the key, and never
    asked. ``each``: one request for every value found in the status answer, which is ``{item}``. ``variables``: texts
    found in the status answer, by name.
    """

    kind: Literal["request", "link"] = "request"
    output_kind: OutputKind = "file"
    each: Path | None = None
    variables: dict[str, Paths] = Field(default_factory=dict)

    @property
    def needs_status(self) -> bool:
        """Whether it can be built only from the status answer."""
        return self.each is not None or bool(self.variables)

    @property
    def own_names(self) -> Iterator[str]:
        """The variables that the task must bring; those of the status answer are left out."""
        return (name for name in self.names if name not in self.variables and not (name == "item" and self.each))

    @model_validator(mode="after")
    def _is_one_of_two(self) -> SecondCall:
        if self.kind == "link" and (self.request.method != "GET" or self.headers):
            raise ValueError('kind = "link" names a URL for others to GET, without headers of its own')
        if self.each is not None and "item" not in self.names:
            raise ValueError("each needs {item} in the request")
        return self


class BatchSpec(Call):
    """One request that tells how several tasks stand.

    ``{ids}`` are their ids joined by ``separator``; as an element of a list in ``query`` or ``body`` it is each of
    them; without it the answer is a page of recent tasks. ``items`` finds the list, or an object keyed by id where
    there is no ``id``. An item is read as a status answer is: as it stands, or ``wrap`` puts it under a key (beside
    the scalars of the whole answer), ``{id}`` under its own id. ``same`` are variables that all must share.
    ``absent``: a task that the answer does not hold is asked ``alone``, or read as an ``empty`` object.
    ``confirm_ends``: an end is asked for again alone, where items tell no outputs.
    """

    max: int = Field(20, ge=2, le=500)
    separator: str = Field(",", pattern=r"^[\x21-\x7e]$")
    items: Path
    id: Paths = ()
    wrap: str | None = Field(None, pattern=r"^(\{id\}|[^{}]{1,64})$")
    same: Names = ()
    absent: Literal["alone", "empty"] = "alone"
    confirm_ends: bool = False

    @property
    def shared(self) -> tuple[str, ...]:
        """The variables whose values all tasks of one request must share."""
        return tuple(dict.fromkeys(name for name in (*self.same, *self.names) if name not in ("ids", "uuid")))


def refuse_framing(headers: dict[str, str]) -> None:
    """Raise ValueError for a header that is the connection's own."""
    for name in headers:
        if name.lower() in _FRAMING:
            raise ValueError(f"the header {name} belongs to the connection and cannot be set")
