"""Complaints: answers about the request, not the task, and what their codes mean.

A complaint is told by an envelope whose code is not one of its good ones, by an HTTP status past 299, or by the code
of an answer that has no state.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.core.observation import Json
from daemon.core.task import Miss
from daemon.providers.definition import Definition
from daemon.providers.expression import ExpressionFailed, first_present
from daemon.providers.fields import complaint_of
from daemon.providers.words import text_of

MISSES: dict[str, Miss] = {
    "not_found": Miss.NOT_FOUND,
    "throttled": Miss.THROTTLED,
    "unauthorized": Miss.UNAUTHORIZED,
    "no_news": Miss.REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A code, a message and what the definition says that they mean: a key of ``MISSES`` or ``failed``."""

    code: str | None = None
    message: str | None = None
    meaning: str | None = None

    @property
    def text(self) -> str:
        """What the provider says, for people."""
        return ": ".join(text for text in (self.code, self.message) if text)


def complaint_in(definition: Definition, body: Json) -> Complaint:
    """Return the complaint in *body*; an expression that fails on it finds nothing."""
    try:
        code, message = complaint_of(definition, body)
        by_envelope = _bad_code(definition, body)
    except ExpressionFailed:
        return Complaint()
    meanings = definition.errors.meanings
    meaning = next((meanings[one] for one in (code, by_envelope) if one in meanings), None)
    return Complaint(code=code or by_envelope, message=message, meaning=meaning)


def refusal_in(definition: Definition, body: Json) -> Complaint | None:
    """Return the complaint of an envelope whose code is not good, None where it is; may raise ExpressionFailed."""
    code = _bad_code(definition, body)
    if code is None or definition.envelope is None:
        return None
    found = complaint_in(definition, body)
    meaning = found.meaning or definition.envelope.otherwise
    return Complaint(code=found.code or code, message=found.message, meaning=meaning)


def _bad_code(definition: Definition, body: Json) -> str | None:
    if definition.envelope is None:
        return None
    found = first_present(definition.envelope.path, body)
    if found is None or isinstance(found, dict | list):
        return None
    code = text_of(found)
    return None if code in definition.envelope.ok else code
