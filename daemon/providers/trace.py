"""A reading explained: every place that was looked at, what stood there, and which of them decided.

The Reader alone says what an answer means. This looks at the same places once more and says what it saw, for
``pollhook provider try``; it decides nothing, raises nothing, and everything it shows has gone through the mask.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from daemon.core.observation import Json, Observation
from daemon.core.redaction import without_bytes
from daemon.providers.definition import ResultSpec, StatusSpec
from daemon.providers.definition_reading import Guard, Rule
from daemon.providers.excision import excised
from daemon.providers.expression import Expression, ExpressionFailed, first_present
from daemon.providers.liberal_json import Unreadable, read_json
from daemon.providers.mistakes import nearest
from daemon.providers.reading import Reader, Reply
from daemon.providers.weather import miss_by_status
from daemon.providers.words import text_of

SHOWN = 160
_INSIDE_ITEMS = frozenset({"url", "kind_from", "type_from", "expires_at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One look: at what, what was found there, and whether that told the state."""

    what: str
    found: str
    decides: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A reading and the looks that led to it."""

    steps: tuple[Step, ...]
    seen: Observation


def traced(reader: Reader, reply: Reply, *, is_result: bool = False) -> Trace:
    """Return what *reader* reads from *reply*, and why."""
    seen = (reader.result(reply) if is_result else reader.status(reply)).seen
    spec = reader.definition.result if is_result else reader.definition.status
    assert spec is not None
    steps = list(_Looks(reader, reply, spec).all())
    return Trace(steps=tuple(_with_one_decision(steps)), seen=seen)


class _Whole:
    """Stands for the whole body."""


_WHOLE = _Whole()


class _Looks:
    """The places of one answer, looked at in the reader's order."""

    def __init__(self, reader: Reader, reply: Reply, spec: StatusSpec | ResultSpec) -> None:
        self._reader, self._reply, self._spec = reader, reply, spec
        self._definition = reader.definition
        self._name = "result" if isinstance(spec, ResultSpec) else "status"
        self._body: Json = None

    def all(self) -> Iterator[Step]:
        """Every look, as far as the answer goes."""
        step = self._json()
        yield self._http()
        yield step
        if step.decides:
            return
        if self._reply.status >= 400:
            yield from self._codes()
        yield from self._envelope()
        yield from self._guards()
        yield from self._rules()
        yield from self._words()
        yield from self._expressions(self._definition.status.fields, "status.fields")
        if self._definition.result is not None:
            outputs = self._definition.result.outputs
            for place, each in enumerate(outputs):
                yield from self._expressions(each, f"result.outputs[{place}]")
        if self._reply.status >= 400 or self._definition.envelope is not None:
            yield from self._expressions(self._definition.errors, "errors")

    def _http(self) -> Step:
        status, spec = self._reply.status, self._spec
        what = f"HTTP {status}"
        if isinstance(spec, StatusSpec) and status in spec.http:
            return Step(what=what, found=f"[status.http] says {spec.http[status]}", decides=True)
        if isinstance(spec, ResultSpec) and status in spec.not_yet:
            return Step(what=what, found="stands in result.not_yet: the result is not there yet", decides=True)
        miss = miss_by_status(status)
        if miss is None:
            return Step(what=what, found="a success, so the body tells")
        is_coded = any(self._codes())
        told = f"says of the request: {miss}; no news of the task"
        return Step(what=what, found=told, decides=not is_coded)

    def _codes(self) -> Iterator[Step]:
        """The error code of an answer about the request, where the definition knows it."""
        errors = self._definition.errors
        for path in errors.code:
            code = _scalar(self._value(path))
            if code and code in errors.meanings:
                told = f"{self._text(code)}, stands under errors.{errors.meanings[code]}"
                yield Step(what=f"errors.code `{path.text}`", found=told, decides=True)
                return

    def _json(self) -> Step:
        size = f"body, {len(self._reply.body)} bytes"
        try:
            self._body = read_json(excised(self._reply.body)[0])
        except Unreadable as failure:
            return Step(what=size, found=str(failure), decides=True)
        if isinstance(self._body, dict):
            return Step(what=size, found=f"a JSON object with {', '.join(map(self._text, self._body)) or 'no keys'}")
        return Step(what=size, found=f"JSON: {self._text(self._body)}")

    def _envelope(self) -> Iterator[Step]:
        envelope = self._definition.envelope
        if envelope is None:
            return
        for place, path in enumerate(envelope.path):
            value = self._value(path)
            text = _scalar(value)
            if text is not None:
                verdict = "ok" if text in envelope.ok else "not in envelope.ok: about the request, not the task"
                step = self._step(f"envelope.path[{place}]", path, value)
                yield replace(step, found=f"{step.found}, {verdict}", decides=text not in envelope.ok)
                return
        yield Step(what="envelope", found="no code, so the answer is read without one")

    def _rules(self) -> Iterator[Step]:
        rules: Sequence[Rule] = self._spec.rules
        for place, rule in enumerate(rules):
            value = self._value(rule.when)
            is_true = bool(value) and not isinstance(value, _Failed)
            step = self._step(f"{self._name}.rules[{place}]", rule.when, value)
            told = f"true: {rule.state}" if is_true else "not true" if not isinstance(value, _Failed) else step.found
            yield replace(step, found=told, decides=is_true)

    def _guards(self) -> Iterator[Step]:
        guards: Sequence[Guard] = self._spec.require
        for place, guard in enumerate(guards):
            if guard.that is not None:
                step = self._step(f"{self._name}.require[{place}]", guard.that, self._value(guard.that))
                yield replace(step, found=f"{step.found}; where it is not set, a success counts as {guard.otherwise}")

    def _words(self) -> Iterator[Step]:
        status = self._definition.status
        paths = self._spec.state or status.state
        bodies = self._items(status.each) if status.each is not None else [self._body]
        for number, body in enumerate(bodies):
            item = f" of item {number}" if status.each is not None else ""
            for path in paths:
                value = self._value(path, body)
                yield replace(self._step("state", path, value), what=f"state `{path.text}`{item}")
                if value is not None:
                    break
            word = _scalar(_found(paths, body))
            if word:
                yield self._word(word, is_one=not item)

    def _word(self, word: str, *, is_one: bool) -> Step:
        status = self._definition.status
        what = f"word {self._text(word)}"
        meanings = status.meanings
        meaning = meanings.get(word.casefold() if status.ignore_case else word)
        if meaning is None:
            return Step(what=what, found=f"is not in [status.states]: no news{nearest(word, list(meanings))}")
        return Step(what=what, found=f"stands under {meaning}", decides=is_one)

    def _items(self, path: Expression) -> list[Json]:
        value = self._value(path)
        return value[:3] if isinstance(value, list) else []

    def _expressions(self, table: BaseModel, place: str) -> Iterator[Step]:
        for name, expression in _in(table, place):
            value = self._value(expression)
            if value not in (None, "", [], {}):
                yield self._step(name, expression, value)

    def _step(self, name: str, expression: Expression, value: Json | _Failed) -> Step:
        found = value.why if isinstance(value, _Failed) else "nothing" if value is None else self._text(value)
        return Step(what=f"{name} `{expression.text}`", found=found)

    def _value(self, expression: Expression, body: Json | _Whole = _WHOLE) -> Json | _Failed:
        try:
            return expression.of(self._body if isinstance(body, _Whole) else body)
        except ExpressionFailed as failure:
            return _Failed(str(failure))

    def _text(self, value: Json) -> str:
        lean = without_bytes(value, self._reader.mask.text)
        text = lean if isinstance(lean, str) else json.dumps(lean, ensure_ascii=False)
        shown = self._reader.mask.text(text)
        return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}… ({len(shown)} characters)"


@dataclass(frozen=True, slots=True)
class _Failed:
    """An expression that could not be evaluated here."""

    why: str


def _in(table: BaseModel, place: str) -> Iterator[tuple[str, Expression]]:
    """Every expression in *table* that is evaluated on the whole body, with its place."""
    for name in type(table).model_fields:
        value: object = getattr(table, name)
        if name not in _INSIDE_ITEMS:
            yield from _expressions_of(value, f"{place}.{name}")


def _expressions_of(value: object, place: str) -> Iterator[tuple[str, Expression]]:
    if isinstance(value, Expression):
        yield place, value
    elif isinstance(value, BaseModel):
        yield from _in(value, place)
    elif isinstance(value, tuple):
        for number, each in enumerate(value):
            yield from _expressions_of(each, place if len(value) == 1 else f"{place}[{number}]")


def _found(paths: Sequence[Expression], body: Json) -> Json:
    try:
        return first_present(paths, body)
    except ExpressionFailed:
        return None


def _scalar(value: Json | _Failed) -> str | None:
    return text_of(value) if isinstance(value, str | int | float) else None


def _with_one_decision(steps: Sequence[Step]) -> Iterator[Step]:
    """Only the first that could decide did."""
    is_open = True
    for step in steps:
        yield step if is_open or not step.decides else replace(step, decides=False)
        is_open = is_open and not step.decides
