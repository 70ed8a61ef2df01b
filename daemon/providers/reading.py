"""Reading: a definition and an HTTP answer in, an observation out. Pure, and no input whatsoever makes it raise.

The order is guarantee 4's: first what the HTTP status says of the request, then whether there is JSON at all, then the
rules, then the word table. A state is told only where something was positively recognised; all else is no news.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from yarl import URL

from daemon.core.observation import Ended, Json, Missed, Observation, Pending, Response, TaskError
from daemon.core.retry_after import retry_after
from daemon.core.task import Miss, Outcome, Status
from daemon.providers.definition import Definition, Rule
from daemon.providers.excision import Cuts, excised
from daemon.providers.expression import Expression, ExpressionFailed, Paths, first_present
from daemon.providers.fields import complaint_of, error_of, first_instant, position_of, progress_of
from daemon.providers.liberal_json import Unreadable, read_json
from daemon.providers.masking import Mask
from daemon.providers.outputs import Source, outputs_of
from daemon.providers.weather import BLAMES_TASK, is_page, miss_by_status
from daemon.providers.words import State, text_of

WORD_LIMIT = 60
_MASKED_LIMIT = 16 * 1024
_COMPLAINT_LIMIT = 200
_SAID_LIMIT = 4 * 1024
_COMPLAINT_BODY = 64 * 1024
_MILLISECOND_HINT = "openai-poll-after-ms"

_NEVER_NOT_YET = frozenset({401, 403, 429})
_NOTHING_SECRET = Mask()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer as reading needs it; ``headers`` ignore case or are lower case, ``now_at`` is wall-clock.

    ``cuts`` is what was taken out of the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    asked: URL
    now_at: float
    cuts: Cuts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer says; ``word`` is the status word where it is one the definition does not know."""

    seen: Observation
    word: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads the answers of one provider account; *mask* goes over whatever an observation carries."""

    definition: Definition
    mask: Mask = _NOTHING_SECRET

    def status(self, reply: Reply) -> Reading:
        """Read the answer to a status request."""
        return self._guarded(reply, is_result=False)

    def result(self, reply: Reply) -> Reading:
        """Read the answer to a result request: Ended with outputs, Pending for *not yet*, Missed otherwise."""
        return self._guarded(reply, is_result=True)

    def _guarded(self, reply: Reply, *, is_result: bool) -> Reading:
        body, cuts = excised(reply.body)
        reply = replace(reply, body=body, cuts=cuts) if cuts else reply
        try:
            reading = self._result(reply) if is_result else self._status(reply)
        except (Unreadable, ExpressionFailed) as failure:
            detail = f"HTTP {reply.status} with {failure}" if isinstance(failure, Unreadable) else str(failure)
            reading = Reading(seen=self._missed(reply, Miss.UNREADABLE, detail))
        return replace(reading, seen=self.mask.observation(reading.seen))

    def _status(self, reply: Reply) -> Reading:
        spec = self.definition.status
        if reply.status in spec.http and not (reply.status >= 400 and is_page(reply.headers, reply.body)):
            return self._told(spec.http[reply.status], self._body_if_any(reply), reply)
        missed = self._weather(reply)
        if missed is not None:
            return Reading(seen=missed)
        if spec.source == "http":
            return Reading(seen=self._missed(reply, Miss.UNREADABLE, f"HTTP {reply.status} is not in [status.http]"))
        body = read_json(reply.body)
        return self._by_words(body, reply, spec.rules, spec.state)

    def _result(self, reply: Reply) -> Reading:
        spec = self.definition.result
        assert spec is not None
        if reply.status in spec.not_yet or self._says_not_yet(spec.not_yet_when, reply):
            return Reading(seen=Pending(status=Status.RUNNING, hint=self._hint(reply)))
        missed = self._weather(reply)
        if missed is not None:
            return Reading(seen=missed)
        body = read_json(reply.body)
        state = spec.state or self.definition.status.state
        if _ruled(spec.rules, body) is not None or _word(state, body):
            return self._by_words(body, reply, spec.rules, state)
        ended = self._ended(Status.SUCCEEDED, body, reply)
        if ended.outputs:
            return Reading(seen=ended)
        return Reading(seen=self._missed(reply, Miss.UNREADABLE, self._said("a result without outputs", body)))

    def _says_not_yet(self, when: Expression | None, reply: Reply) -> bool:
        if when is None or reply.status >= 500 or reply.status in _NEVER_NOT_YET:
            return False
        return bool(when.of(self._body_if_any(reply)))

    def _by_words(self, body: Json, reply: Reply, rules: tuple[Rule, ...], paths: Paths) -> Reading:
        state = _ruled(rules, body)
        if state is not None:
            return self._told(state, body, reply)
        word = _word(paths, body)
        if not word:
            return Reading(seen=self._wordless(body, reply))
        state = self.definition.status.states.table.get(word)
        if state is not None:
            return self._told(state, body, reply)
        word = _printable(self.mask.text(word[:_MASKED_LIMIT])[:WORD_LIMIT])
        missed = self._missed(reply, Miss.UNKNOWN_WORD, f"the status word {word!r} is not in the definition")
        return Reading(seen=missed, word=word)

    def _told(self, state: State, body: Json, reply: Reply) -> Reading:
        match state:
            case State.QUEUED:
                seen: Observation = self._pending(Status.QUEUED, body, reply)
            case State.RUNNING:
                seen = self._pending(Status.RUNNING, body, reply)
            case State.SUCCEEDED:
                seen = self._ended(Status.SUCCEEDED, body, reply)
            case State.FAILED:
                seen = self._ended(Status.FAILED, body, reply)
            case State.CANCELED:
                seen = self._ended(Status.CANCELED, body, reply)
            case State.EXPIRED:
                seen = self._ended(Status.EXPIRED, body, reply)
            case State.NOT_FOUND:
                seen = self._missed(reply, Miss.NOT_FOUND, self._said("the provider knows no such task", body))
            case State.NO_NEWS:
                seen = self._missed(reply, Miss.UNKNOWN_WORD, "a status word that tells nothing")
            case _:
                assert_never(state)
        return Reading(seen=seen)

    def _pending(self, status: Status, body: Json, reply: Reply) -> Pending:
        fields = self.definition.status.fields
        return Pending(
            status=Status.QUEUED if status is Status.QUEUED else Status.RUNNING,
            progress=progress_of(first_present(fields.progress, body), fields.progress_scale),
            queue_position=position_of(first_present(fields.queue_position, body)),
            created_at=first_instant(fields.created_at, body),
            started_at=first_instant(fields.started_at, body),
            hint=self._hint(reply),
        )

    def _ended(self, outcome: Outcome, body: Json, reply: Reply) -> Ended:
        definition, fields = self.definition, self.definition.status.fields
        error: TaskError | None = None
        if outcome is not Status.SUCCEEDED:
            error = error_of(definition, body, outcome)
            if outcome is Status.FAILED and error.code in definition.errors.outcomes:
                return self._ended(_OUTCOMES[definition.errors.outcomes[error.code]], body, reply)
        specs = definition.result.outputs if definition.result else ()
        return Ended(
            outcome=outcome,
            outputs=outputs_of((*fields.outputs, *specs), Source(body, reply.asked, reply.cuts), definition),
            error=error,
            created_at=first_instant(fields.created_at, body),
            started_at=first_instant(fields.started_at, body),
            finished_at=first_instant(fields.finished_at, body),
            response=Response(body=body),
        )

    def _wordless(self, body: Json, reply: Reply) -> Missed:
        if self._complaint(body)[0] in self.definition.errors.not_found:
            return self._missed(reply, Miss.NOT_FOUND, self._said("the provider knows no such task", body))
        return self._missed(reply, Miss.UNREADABLE, self._said(f"HTTP {reply.status} without a status word", body))

    def _weather(self, reply: Reply) -> Missed | None:
        miss = miss_by_status(reply.status)
        if miss is None:
            return None
        if not 400 <= reply.status < 500:
            redirect = ", a redirect, which is never followed" if 300 <= reply.status < 400 else ""
            return self._missed(reply, miss, f"HTTP {reply.status}{redirect}")
        body = self._body_if_any(reply)
        errors = self.definition.errors
        is_unknown = reply.status in errors.not_found_http or self._complaint(body)[0] in errors.not_found
        if miss is Miss.REFUSED and is_unknown:
            miss = Miss.NOT_FOUND
        if miss in BLAMES_TASK and is_page(reply.headers, reply.body):
            return self._missed(reply, Miss.UNREADABLE, f"HTTP {reply.status} with a page instead of JSON")
        return self._missed(reply, miss, self._said(f"HTTP {reply.status}", body))

    def _said(self, what: str, body: Json) -> str:
        told = [text for text in self._complaint(body) if text]
        lean = self.mask.lean(": ".join(told), _SAID_LIMIT)
        return _printable(f"{what} ({lean[:_COMPLAINT_LIMIT]})") if told else what

    def _complaint(self, body: Json) -> tuple[str | None, str | None]:
        try:
            return complaint_of(self.definition, body)
        except ExpressionFailed:
            return None, None

    def _body_if_any(self, reply: Reply) -> Json:
        try:
            return read_json(reply.body) if len(reply.body) <= _COMPLAINT_BODY or reply.status < 300 else None
        except Unreadable:
            return None

    def _missed(self, reply: Reply, miss: Miss, detail: str) -> Missed:
        wish = retry_after(reply.headers, reply.now_at)
        return Missed(miss=miss, detail=detail, http_status=reply.status, retry_after=wish)

    def _hint(self, reply: Reply) -> float | None:
        milliseconds = reply.headers.get(_MILLISECOND_HINT)
        if milliseconds is not None and milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) <= 12:
            return int(milliseconds) / 1000
        return retry_after(reply.headers, reply.now_at)


_OUTCOMES: dict[str, Outcome] = {"canceled": Status.CANCELED, "expired": Status.EXPIRED}


def _ruled(rules: tuple[Rule, ...], body: Json) -> State | None:
    for rule in rules:
        if rule.when.of(body):
            return rule.state
    return None


def _word(paths: Paths, body: Json) -> str | None:
    found = first_present(paths, body)
    if isinstance(found, str):
        return found
    return text_of(found) if isinstance(found, int | float) else None


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
