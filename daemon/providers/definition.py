"""The definition language: what a TOML description of a polling API may say, and what it means when it is silent.

A definition is data, wholly: it names requests, says where an answer keeps things and what its words mean. Everything
is checked and compiled when it is loaded, so that reading an answer can neither fail nor surprise.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator
from yarl import URL

from daemon.providers.example import Example
from daemon.providers.expression import Path, Paths
from daemon.providers.limits import Limits, Table, Typical
from daemon.providers.origin import Allowed, entry, is_local, origin_of, parsed, shown
from daemon.providers.template import Request, Target
from daemon.providers.words import ErrorKind, OutputKind, State, listed, text_of

Code: TypeAlias = Annotated[str, BeforeValidator(text_of)]
Evidence: TypeAlias = Literal["documented", "sdk", "code", "third-party", "unverified"]
HeaderName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
HeaderValue: TypeAlias = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,1024}$")]
Codes: TypeAlias = Annotated[tuple[Code, ...], BeforeValidator(listed)]
RESERVED = frozenset({"api_key", "preset"})


class Auth(Table):
    """How the key travels: a header by a format, Basic (the key is ``user:password``), or not at all."""

    scheme: Literal["header", "basic", "none"] = "header"
    header: HeaderName = "Authorization"
    format: str = Field("Bearer {key}", pattern=r"^[\x20-\x7e]*\{key\}[\x20-\x7e]*$", max_length=256)


class Submission(Table):
    """Where the provider's answer to the submit call keeps the id, the status URL and the model."""

    id: Paths = ()
    status_url: Paths = ()
    model: Paths = ()


class Words(Table):
    """The provider's status words, by what they mean; exact, and compared as text."""

    queued: Codes = ()
    running: Codes = ()
    succeeded: Codes = ()
    failed: Codes = ()
    canceled: Codes = ()
    expired: Codes = ()
    not_found: Codes = ()
    no_news: Codes = ()

    @cached_property
    def table(self) -> dict[str, State]:
        """Each word and the state it means."""
        return dict(self.pairs())

    def pairs(self) -> Iterator[tuple[str, State]]:
        """Every word with its state."""
        for state in State:
            words: tuple[str, ...] = getattr(self, state)
            yield from ((word, state) for word in words)

    @model_validator(mode="after")
    def _each_word_means_one_thing(self) -> Words:
        seen: dict[str, State] = {}
        for word, state in self.pairs():
            if seen.setdefault(word, state) is not state:
                raise ValueError(f"the word {word!r} stands under {seen[word]} and under {state}")
        return self


class Rule(Table):
    """An expression over the whole body, and the state it tells where it is true."""

    when: Path
    state: State


class OutputSpec(Table):
    """Where outputs stand: URLs, ``data:`` URIs or (``encoding = "base64"``) bare base64, or objects that hold them.

    ``path`` is a list of alternatives of which the first with an output wins. In objects the URL stands at ``url``,
    the kind at ``kind_from`` or in the content type at ``type_from``. ``needs_auth`` is told only of outputs on an
    origin to which the key may go, so that nobody is led to send it elsewhere.
    """

    path: Paths
    url: Paths = Field(default=("url",), validate_default=True)
    kind: OutputKind | None = None
    kind_from: Path | None = None
    type_from: Path | None = None
    encoding: Literal["url", "base64"] = "url"
    content_type: str | None = None
    needs_auth: bool = False


def _specs(value: object) -> object:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple({"path": item} if isinstance(item, str) else item for item in items)


Outputs: TypeAlias = Annotated[tuple[OutputSpec, ...], BeforeValidator(_specs)]
"""A list of specs whose outputs are told one after the other; a bare expression is a spec with that path."""


class Fields(Table):
    """Where an answer keeps what it tells besides the state."""

    progress: Paths = ()
    progress_scale: Literal["auto", "percent", "fraction"] = "auto"
    queue_position: Paths = ()
    error_message: Paths = ()
    error_code: Paths = ()
    created_at: Paths = ()
    started_at: Paths = ()
    finished_at: Paths = ()
    outputs: Outputs = ()


class StatusSpec(Table):
    """The status request and how its answer is read: rules first, then the word table, or the HTTP code."""

    request: Request
    source: Literal["body", "http"] = Field("body", alias="from")
    state: Paths = ()
    states: Words = Words()
    rules: tuple[Rule, ...] = ()
    http: dict[Annotated[int, Field(ge=200, le=599)], State] = Field(default_factory=dict)
    fields: Fields = Fields()

    @model_validator(mode="after")
    def _tells_a_state(self) -> StatusSpec:
        if self.source == "http" and not self.http:
            raise ValueError('from = "http" needs [status.http], such as 202 = "running"')
        if self.source == "body" and not (self.rules or (self.state and self.states.table)):
            raise ValueError("needs state with [status.states], or [[status.rules]]")
        if blamed := sorted(set(self.http) & {401, 403, 429}):
            raise ValueError(f"HTTP {blamed[0]} is never a task's state")
        return self


class ErrorSpec(Table):
    """What error codes and messages mean.

    ``kinds`` and ``outcomes`` map codes; ``phrases`` map parts of a message, letter case aside, and go before codes.
    ``not_found`` are codes of a request error by which the provider says that it knows no such task,
    ``not_found_http`` further HTTP codes besides 404 and 410 that say so.
    """

    code: Paths = ()
    message: Paths = ()
    kinds: dict[str, ErrorKind] = Field(default_factory=dict)
    outcomes: dict[str, Literal["canceled", "expired"]] = Field(default_factory=dict)
    phrases: dict[str, ErrorKind] = Field(default_factory=dict)
    not_found: Codes = ()
    not_found_http: tuple[Annotated[int, Field(ge=400, le=499)], ...] = ()


class ResultSpec(Table):
    """The second request, where outputs stand elsewhere.

    ``when = "asked"`` (it bills, or is seldom needed): never sent unless the registration or ``/result`` asks.
    ``unless_outputs``: not sent where the status answer brought outputs already. A state word in its body, read by
    ``state`` (else by that of the status request), counts like one in the status answer; without one, outputs must
    be there for it to be a result.
    ``not_yet`` are HTTP codes that say *not yet*; ``not_yet_when``, where true of the body of a 2xx or 4xx (but 401,
    403 and 429), says so too. ``bills``: the provider charges for the request, so it is never repeated on its own;
    where it is not written, ``when = "asked"`` bills.
    """

    request: Request
    when: Literal["succeeded", "asked"] = "succeeded"
    bills: bool = Field(default_factory=lambda data: data.get("when") == "asked")
    unless_outputs: bool = False
    not_yet: tuple[Annotated[int, Field(ge=200, le=499)], ...] = (202, 425)
    not_yet_when: Path | None = None
    state: Paths = ()
    rules: tuple[Rule, ...] = ()
    outputs: Outputs = ()

    @model_validator(mode="after")
    def _costs_only_who_asks(self) -> ResultSpec:
        if self.bills and self.when != "asked":
            raise ValueError('bills = true needs when = "asked", or every success would cost money unasked')
        return self


class Fallback(Table):
    """A download that is named in the event, not fetched, where a task succeeded and no output was told."""

    url: Target
    kind: OutputKind = "file"
    needs_auth: bool = True


class Definition(Table):
    """One polling API."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    title: str = ""
    docs: str = ""
    evidence: Evidence = "unverified"
    base_url: str
    hosts: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    variables: dict[str, str] = Field(default_factory=dict)
    auth: Auth = Auth()
    submission: Submission = Submission()
    status: StatusSpec
    errors: ErrorSpec = ErrorSpec()
    result: ResultSpec | None = None
    fallback: Fallback | None = None
    limits: Limits = Limits()
    typical: Typical = Typical()
    examples: tuple[Example, ...] = ()

    @cached_property
    def base_text(self) -> str:
        """``base_url`` without a trailing slash, for paths to follow."""
        return self.base_url.rstrip("/")

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
        url = parsed(self.base_url)
        origin = None if url is None else origin_of(url)
        if url is None or origin is None or url.raw_query_string or url.raw_fragment:
            found = shown(self.base_url)
            raise ValueError(f"base_url must be an absolute http(s) URL without user-info or query, {found}")
        if origin.scheme == "http" and not is_local(origin.host):
            raise ValueError(f"plain http is allowed on a loopback or private address only, base_url lies on {origin}")
        for text in self.hosts:
            entry(text)
        return self
