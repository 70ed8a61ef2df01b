"""The reading side of the definition language: where an answer keeps things, and what its words, codes and gaps mean.

The rule guarded here is guarantee 4: what a definition is silent about is no news. An end is told only by a word, a
code or an expression that stands in it, and neither a gap nor an empty body can be made to mean one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from daemon.providers.definition_outputs import Outputs
from daemon.providers.expression import Path, Paths
from daemon.providers.limits import Table
from daemon.providers.words import ErrorKind, State, listed, text_of

Code: TypeAlias = Annotated[str, BeforeValidator(text_of)]
Codes: TypeAlias = Annotated[tuple[Code, ...], BeforeValidator(listed)]
Gap: TypeAlias = Literal["queued", "running", "not_found", "no_news"]
Otherwise: TypeAlias = Literal["failed", "canceled", "expired", "running", "no_news", "wait"]
Scale: TypeAlias = Literal["auto", "percent", "fraction"] | Annotated[float, Field(gt=0)]


class Words(Table):
    """The provider's status words, by what they mean; compared as text, exactly unless ``ignore_case`` is set.

    ``terminal`` are words that tell neither success nor failure: failed where an error is set, else succeeded.
    """

    queued: Codes = ()
    running: Codes = ()
    succeeded: Codes = ()
    failed: Codes = ()
    canceled: Codes = ()
    expired: Codes = ()
    not_found: Codes = ()
    no_news: Codes = ()
    terminal: Codes = ()

    @cached_property
    def table(self) -> dict[str, State]:
        """Each word and the state it means, terminal words left out."""
        return dict(self.pairs())

    def pairs(self) -> Iterator[tuple[str, State]]:
        """Every word with its state."""
        for state in State:
            words: tuple[str, ...] = getattr(self, state)
            yield from ((word, state) for word in words)

    @model_validator(mode="after")
    def _each_word_means_one_thing(self) -> Words:
        self.claims(ignore_case=False)
        return self

    def claims(self, *, ignore_case: bool) -> dict[str, str]:
        """Return each word, as it is compared, with the key it stands under; ValueError where it has two."""
        claims: dict[str, str] = {}
        for word, key in [*self.pairs(), *((word, "terminal") for word in self.terminal)]:
            compared = word.casefold() if ignore_case else word
            if claims.setdefault(compared, key) != key:
                raise ValueError(f"the word {word!r} stands under {claims[compared]} and under {key}")
        return claims


class Blame(Table):
    """Why a task did not succeed, where the place that decides it knows better than the error fields."""

    kind: ErrorKind | None = None
    code: Paths = ()
    message: Paths = ()


class Rule(Blame):
    """An expression over the whole body, and the state it tells where it is true."""

    when: Path
    state: State


class Guard(Blame):
    """What must hold for a success: ``that`` is true or set, or ``outputs = true``: at least one output was read.

    Where it does not hold, ``otherwise`` is told. ``wait`` is for what completes before its outputs are there: no
    news for the patience that results get, then the success as it stands.
    """

    that: Path | None = None
    outputs: bool = False
    otherwise: Otherwise = "failed"

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Guard:
        if (self.that is None) is not self.outputs:
            raise ValueError('needs either that = "an expression" or outputs = true')
        return self


def _guards(value: object) -> object:
    items = value if isinstance(value, list | tuple) else (value,)
    return tuple(({"outputs": True} if item == "outputs" else {"that": item}) if isinstance(item, str) else item
                 for item in items)  # fmt: skip


Guards: TypeAlias = Annotated[tuple[Guard, ...], BeforeValidator(_guards)]
"""A list of guards; a bare expression is a guard that fails the task, the bare word ``outputs`` asks for outputs."""


class Hint(Table):
    """Where the provider says when to ask again: a ``header`` or a ``path`` in the body, in seconds or milliseconds."""

    header: str | None = Field(None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    path: Path | None = None
    unit: Literal["s", "ms"] = "s"

    @model_validator(mode="after")
    def _stands_in_one_place(self) -> Hint:
        if (self.header is None) is (self.path is None):
            raise ValueError("needs either header or path")
        return self


class Fields(Table):
    """Where an answer keeps what it tells besides the state.

    ``progress_scale`` may be a number that means *all of it*; ``progress_total`` is where an answer keeps that number.
    """

    progress: Paths = ()
    progress_scale: Scale = "auto"
    progress_total: Paths = ()
    queue_position: Paths = ()
    error_message: Paths = ()
    error_code: Paths = ()
    created_at: Paths = ()
    started_at: Paths = ()
    finished_at: Paths = ()
    outputs: Outputs = ()


class Envelope(Table):
    """A code round the answer, as in ``{"code": 0, "data": …}``: not one of ``ok``, and it is about the request.

    The code lists of ``[errors]`` say what another code means, ``otherwise`` what any other. An answer without the
    code is read as if there were no envelope.
    """

    path: Paths
    ok: Annotated[Codes, Field(min_length=1)]
    otherwise: Literal["no_news", "not_found", "failed"] = "no_news"


class ErrorSpec(Table):
    """What error codes and messages mean.

    ``kinds`` and ``outcomes`` map codes of failed tasks; ``phrases`` map parts of a message, letter case aside, and
    go before codes. ``not_found``, ``throttled``, ``unauthorized``, ``no_news`` and ``failed`` are codes of a request
    error, whatever its HTTP status but 401, 403 and 429: the provider knows no such task, wants fewer requests, refuses
    the key, says nothing of the task, or says that the task has failed. ``not_found_http`` are further HTTP codes
    besides 404 and 410 that say that it knows no such task.
    """

    code: Paths = ()
    message: Paths = ()
    kinds: dict[str, ErrorKind] = Field(default_factory=dict)
    outcomes: dict[str, Literal["canceled", "expired", "no_news"]] = Field(default_factory=dict)
    phrases: dict[str, ErrorKind] = Field(default_factory=dict)
    not_found: Codes = ()
    throttled: Codes = ()
    unauthorized: Codes = ()
    no_news: Codes = ()
    failed: Codes = ()
    not_found_http: tuple[Annotated[int, Field(ge=400, le=499)], ...] = ()

    @cached_property
    def meanings(self) -> dict[str, str]:
        """Each code of a request error and the key it stands under."""
        meanings: dict[str, str] = {}
        for key in ("not_found", "throttled", "unauthorized", "no_news", "failed"):
            for code in getattr(self, key):
                if meanings.setdefault(code, key) != key:
                    raise ValueError(f"the code {code!r} stands under {meanings[code]} and under {key}")
        return meanings

    @model_validator(mode="after")
    def _each_code_means_one_thing(self) -> ErrorSpec:
        _ = self.meanings
        return self


class Telling(Table):
    """How an answer tells the state: guards over rules over words over ``missing``, or by its HTTP code.

    ``missing`` is told where a JSON object has no state, ``empty`` where a 2xx has no body. ``each`` is the array of a
    fan-out: state and error paths then start at its items, and the task has succeeded when ``enough`` of them have.
    """

    source: Literal["body", "http"] = Field("body", alias="from")
    state: Paths = ()
    ignore_case: bool = False
    states: Words = Words()
    rules: tuple[Rule, ...] = ()
    http: dict[Annotated[int, Field(ge=200, le=599)], State] = Field(default_factory=dict)
    missing: Gap | None = None
    empty: Gap | None = None
    each: Path | None = None
    enough: Literal["all", "any"] = "all"
    require: Guards = ()
    hints: tuple[Hint, ...] = ()
    fields: Fields = Fields()

    @cached_property
    def meanings(self) -> dict[str, str]:
        """Each status word, as it is compared, with the key it stands under."""
        return self.states.claims(ignore_case=self.ignore_case)

    @model_validator(mode="after")
    def _tells_a_state(self) -> Telling:
        has_words = bool(self.state and self.meanings)
        if self.source == "http" and not self.http:
            raise ValueError('from = "http" needs [status.http], such as 202 = "running"')
        if self.source == "body" and not (self.rules or has_words):
            raise ValueError("needs state with [status.states], or [[status.rules]]")
        if self.each is not None and not has_words:
            raise ValueError("each needs state with [status.states]")
        if blamed := sorted(set(self.http) & {401, 403, 429}):
            raise ValueError(f"HTTP {blamed[0]} is never a task's state")
        return self
