"""Reading: a definition and an HTTP answer in, an observation out. Pure, and no input whatsoever makes it raise.

The order is guarantee 4's: first what the HTTP status says of the request, then whether there is JSON at all, then its
envelope, then the rules, then the words. A state is told only where something was positively recognised; all else is
no news.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from daemon.core.observation import Json, Missed, Observation, Pending
from daemon.core.task import Miss, Outcome, Status
from daemon.providers.complaints import MISSES, Complaint, complaint_in, refusal_in
from daemon.providers.definition import Definition, ResultSpec
from daemon.providers.definition_reading import Guard
from daemon.providers.excision import excised
from daemon.providers.expression import Expression, ExpressionFailed
from daemon.providers.fields import Why
from daemon.providers.liberal_json import Unreadable, read_json
from daemon.providers.masking import Mask
from daemon.providers.observed import Observed
from daemon.providers.reply import Reply
from daemon.providers.shape import Trouble, shape_of
from daemon.providers.states import Told, told_by, told_by_rule, told_by_word
from daemon.providers.weather import BLAMES_TASK, is_page, miss_by_status
from daemon.providers.words import State

__all__ = ["Reader", "Reading", "Reply"]

WORD_LIMIT = 60
_MASKED_LIMIT = 16 * 1024
_COMPLAINT_LIMIT = 200
_SAID_LIMIT = 4 * 1024
_COMPLAINT_BODY = 64 * 1024

_OF_THE_REQUEST = frozenset({401, 403, 429})
_NOTHING_SECRET = Mask()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an answer says; ``word`` is the status word where it is one the definition does not know.

    ``trouble`` is told of an answer that is JSON and yet could not be read.
    """

    seen: Observation
    word: str | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads the answers of one provider account; *mask* goes over whatever an observation carries."""

    definition: Definition
    mask: Mask = _NOTHING_SECRET

    def status(self, reply: Reply) -> Reading:
        """Read the answer to a status request."""
        return self._guarded(reply, None)

    def result(self, reply: Reply) -> Reading:
        """Read the answer to a result request: Ended with outputs, Pending for *not yet*, Missed otherwise."""
        assert self.definition.result is not None
        return self._guarded(reply, self.definition.result)

    def _guarded(self, reply: Reply, result: ResultSpec | None) -> Reading:
        body, cuts = excised(reply.body)
        reply = replace(reply, body=body, cuts={**reply.cuts, **cuts}) if cuts else reply
        try:
            reading = self._status(reply) if result is None else self._result(result, reply)
        except Unreadable as failure:
            missed = self._on(reply).missed(Miss.UNREADABLE, f"HTTP {reply.status} with {failure}")
            reading = Reading(seen=missed)
        except ExpressionFailed as failure:
            missed = self._on(reply).missed(Miss.UNREADABLE, str(failure))
            reading = Reading(seen=missed, trouble=self._trouble(str(failure), _body_if_any(reply)))
        seen = self.mask.observation(reading.seen)
        return reading if seen is reading.seen else replace(reading, seen=seen)

    def _status(self, reply: Reply) -> Reading:
        spec = self.definition.status
        if reply.status in spec.http and not (reply.status >= 400 and is_page(reply.headers, reply.body)):
            return self._as_state(Told(state=spec.http[reply.status]), self._on(reply, _body_if_any(reply)))
        missed = self._weather(reply)
        if missed is not None:
            return Reading(seen=missed)
        if spec.source == "http":
            seen = self._on(reply).missed(Miss.UNREADABLE, f"HTTP {reply.status} is not in [status.http]")
            return Reading(seen=seen)
        if spec.empty is not None and reply.is_empty:
            return self._as_state(Told(state=State(spec.empty)), self._on(reply))
        observed = self._on(reply, read_json(reply.body))
        refused = self._refused(observed)
        return refused or self._as_told(told_by(spec, observed.body), observed)

    def _result(self, spec: ResultSpec, reply: Reply) -> Reading:
        if reply.status in spec.not_yet or _says_not_yet(spec.not_yet_when, reply):
            return Reading(seen=self._on(reply).pending(Status.RUNNING))
        if reply.status in spec.failed_http and (failed := self._carried_failure(reply)) is not None:
            return Reading(seen=failed)
        missed = self._weather(reply)
        if missed is not None:
            return Reading(seen=missed)
        observed = self._on(reply, read_json(reply.body))
        return self._refused(observed) or self._outputs(spec, observed)

    def _outputs(self, spec: ResultSpec, observed: Observed) -> Reading:
        told = self._told_by_result(spec, observed.body)
        if told.word is not None or told.state is not None:
            return self._as_told(told, observed, spec.require)
        ended = observed.held(spec.require)
        if spec.require or (not isinstance(ended, Missed | Pending) and ended.outputs):
            return Reading(seen=ended)
        return self._unreadable("a result without outputs", observed)

    def _told_by_result(self, spec: ResultSpec, body: Json) -> Told:
        status = self.definition.status
        told = told_by_rule(spec.rules, body) or told_by_word(status, spec.state or status.state, body)
        return Told() if told.is_gap else told

    def _as_told(self, told: Told, observed: Observed, guards: tuple[Guard, ...] | None = None) -> Reading:
        if told.word is not None:
            word = _printable(self.mask.text(told.word[:_MASKED_LIMIT])[:WORD_LIMIT])
            missed = observed.missed(Miss.UNKNOWN_WORD, f"the status word {word!r} is not in the definition")
            return Reading(seen=missed, word=word)
        if told.state is None or told.is_gap:
            complaint = complaint_in(self.definition, observed.body)
            if complaint.meaning is not None:
                return Reading(seen=self._complained(complaint, observed))
        if told.state is None:
            return self._unreadable(f"HTTP {observed.reply.status} without a status word", observed)
        return self._as_state(told, observed, guards)

    def _as_state(self, told: Told, observed: Observed, guards: tuple[Guard, ...] | None = None) -> Reading:
        assert told.state is not None
        guards = self.definition.status.require if guards is None else guards
        seen = observed.state(told.state, guards, Why(blame=told.blame))
        if isinstance(seen, Missed) and seen.miss is Miss.NOT_FOUND:
            complaint = complaint_in(self.definition, observed.body)
            seen = replace(seen, detail=self._said(seen.detail, complaint))
        return Reading(seen=seen)

    def _refused(self, observed: Observed) -> Reading | None:
        complaint = refusal_in(self.definition, observed.body)
        return None if complaint is None else Reading(seen=self._complained(complaint, observed))

    def _complained(self, complaint: Complaint, observed: Observed) -> Observation:
        if complaint.meaning == "failed":
            return observed.failed(_FAILED, Why(code=complaint.code, message=complaint.message))
        miss = MISSES[complaint.meaning or "no_news"]
        what = "the provider knows no such task" if miss is Miss.NOT_FOUND else f"HTTP {observed.reply.status}"
        return observed.missed(miss, self._said(what, complaint))

    def _carried_failure(self, reply: Reply) -> Observation | None:
        body = _body_if_any(reply)
        if not isinstance(body, dict) or reply.status in _OF_THE_REQUEST or is_page(reply.headers, reply.body):
            return None
        return self._complained(replace(complaint_in(self.definition, body), meaning="failed"), self._on(reply, body))

    def _weather(self, reply: Reply) -> Observation | None:
        miss = miss_by_status(reply.status)
        if miss is None:
            return None
        if reply.status < 400:
            redirect = ", a redirect, which is never followed" if reply.status >= 300 else ""
            return self._on(reply).missed(miss, f"HTTP {reply.status}{redirect}")
        complaint = complaint_in(self.definition, _body_if_any(reply))
        if complaint.meaning == "failed" and reply.status not in _OF_THE_REQUEST:
            failed = self._carried_failure(reply)
            if failed is not None:
                return failed
        if reply.status >= 500:
            return self._on(reply).missed(miss, f"HTTP {reply.status}")
        if miss in (Miss.REFUSED, Miss.NOT_FOUND):
            is_unknown = reply.status in self.definition.errors.not_found_http
            miss = MISSES.get(complaint.meaning or "", Miss.NOT_FOUND if is_unknown else miss)
        if miss in BLAMES_TASK and is_page(reply.headers, reply.body):
            return self._on(reply).missed(Miss.UNREADABLE, f"HTTP {reply.status} with a page instead of JSON")
        return self._on(reply).missed(miss, self._said(f"HTTP {reply.status}", complaint))

    def _unreadable(self, what: str, observed: Observed) -> Reading:
        complaint = complaint_in(self.definition, observed.body)
        missed = observed.missed(Miss.UNREADABLE, self._said(what, complaint))
        return Reading(seen=missed, trouble=self._trouble(what, observed.body))

    def _trouble(self, cause: str, body: Json) -> Trouble:
        return Trouble(cause, shape_of(body, self.mask.text))

    def _said(self, what: str, complaint: Complaint) -> str:
        if not complaint.text:
            return what
        return _printable(f"{what} ({self.mask.lean(complaint.text, _SAID_LIMIT)[:_COMPLAINT_LIMIT]})")

    def _on(self, reply: Reply, body: Json = None) -> Observed:
        return Observed(self.definition, reply, body)


_FAILED: Outcome = Status.FAILED


def _says_not_yet(when: Expression | None, reply: Reply) -> bool:
    if when is None or reply.status >= 500 or reply.status in _OF_THE_REQUEST:
        return False
    return bool(when.of(_body_if_any(reply)))


def _body_if_any(reply: Reply) -> Json:
    try:
        return read_json(reply.body) if len(reply.body) <= _COMPLAINT_BODY or reply.status < 300 else None
    except Unreadable:
        return None


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
