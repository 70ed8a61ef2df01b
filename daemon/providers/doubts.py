"""Doubts: what a definition that loads may still have wrong, for its writer to look at.

Nothing here keeps a definition from being used: a provider may well have no word for *canceled*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jmespath

from daemon.core.observation import Json
from daemon.providers.check import unshown
from daemon.providers.definition import Definition
from daemon.providers.definition_reading import Rule
from daemon.providers.expression import Expression, ExpressionFailed
from daemon.providers.liberal_json import Unreadable, read_json
from daemon.providers.words import State

_NEEDED = ((State.QUEUED, State.RUNNING), (State.SUCCEEDED,), (State.FAILED,))
_SELDOM = (State.CANCELED, State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing to look at, and the path of the key it is about; a note where it is most likely right as it is."""

    text: str
    path: tuple[str, ...] = ()
    is_note: bool = False


def doubts(definition: Definition) -> list[Doubt]:
    """Return what looks wrong in *definition*, in the order in which its writer would look."""
    found = [*_unmapped(definition), *_unreachable(definition), *_unread(definition), *_repeated(definition)]
    found += [Doubt(text, ("examples",)) for text in unshown(definition)]
    return [*found, *_untried(definition)]


def _unmapped(definition: Definition) -> Iterator[Doubt]:
    spec = definition.status
    told = {str(state) for _, state in spec.states.pairs()} | {str(rule.state) for rule in spec.rules}
    told |= set(map(str, spec.http.values())) | {str(guard.otherwise) for guard in spec.require}
    told |= {"succeeded", "failed"} if spec.states.terminal else set()
    told |= set(definition.errors.outcomes.values()) | ({"failed"} if definition.errors.failed else set())
    told |= {str(gap) for gap in (spec.missing, spec.empty) if gap}
    place = ("status", "http") if spec.source == "http" else ("status", "states")
    for states in _NEEDED:
        if told.isdisjoint(states):
            yield Doubt(f"no word and no rule ever tells {' or '.join(states)}", place)
    if seldom := [state for state in _SELDOM if state not in told]:
        yield Doubt(
            f"nothing tells {' or '.join(seldom)}: right where the provider has no such end", place, is_note=True
        )


def _unreachable(definition: Definition) -> Iterator[Doubt]:
    yield from _dead_rules(definition.status.rules, ("status", "rules"))
    if definition.result is not None:
        yield from _dead_rules(definition.result.rules, ("result", "rules"))


def _dead_rules(rules: Sequence[Rule], path: tuple[str, ...]) -> Iterator[Doubt]:
    seen: dict[str, int] = {}
    for place, rule in enumerate(rules):
        shape = _shape(rule.when)
        if shape in seen:
            text = f"rule {place + 1} can never decide: rule {seen[shape] + 1} has the same condition"
            yield Doubt(text, (*path, str(place), "when"))
        seen.setdefault(shape, place)
        if _is_always(rule.when):
            yield Doubt(f"rule {place + 1} is always true, so nothing after it is read", (*path, str(place), "when"))
            return


def _shape(expression: Expression) -> str:
    """The parsed form, so that blanks and quotes make no difference."""
    return repr(jmespath.compile(expression.text).parsed)


def _is_always(expression: Expression) -> bool:
    tree = jmespath.compile(expression.text).parsed
    return tree["type"] == "current" or (tree["type"] == "literal" and bool(tree["value"]))


def _unread(definition: Definition) -> Iterator[Doubt]:
    spec = definition.status
    if spec.source == "http":
        for name in ("state", "states", "rules"):
            if name in spec.model_fields_set:
                yield Doubt(f'status.{name} is never read, because from = "http"', ("status", name))
    elif 200 in spec.http:
        yield Doubt("[status.http] has 200, so no rule and no word is read from such an answer", ("status", "http"))
    phrases = [phrase.lower() for phrase in definition.errors.phrases]
    for place, phrase in enumerate(phrases):
        if wider := next((each for each in phrases[:place] if each in phrase), None):
            yield Doubt(f'the phrase "{phrase}" can never decide: "{wider}" stands before it', ("errors", "phrases"))


def _repeated(definition: Definition) -> Iterator[Doubt]:
    for state in State:
        words: tuple[str, ...] = getattr(definition.status.states, state)
        for word in sorted({word for word in words if words.count(word) > 1}):
            yield Doubt(f'the word "{word}" stands twice under {state}', ("status", "states", str(state)))
    paths = [path.text for path in definition.status.state]
    for text in sorted({text for text in paths if paths.count(text) > 1}):
        yield Doubt(f"status.state names `{text}` twice", ("status", "state"))


def _untried(definition: Definition) -> Iterator[Doubt]:
    """Rules of the status answer that decide none of the examples."""
    rules = definition.status.rules
    bodies = [_body(each.body) for each in definition.examples if each.of == "status"]
    tried = {_first(rules, body) for body in bodies}
    for place in range(len(rules)):
        if place not in tried:
            yield Doubt(f"no example is decided by rule {place + 1}", ("status", "rules", str(place)))


def _first(rules: Sequence[Rule], body: Json) -> int | None:
    for place, rule in enumerate(rules):
        try:
            if rule.when.of(body):
                return place
        except ExpressionFailed:
            return None
    return None


def _body(text: str) -> Json:
    try:
        return read_json(text.encode("utf-8"))
    except Unreadable:
        return None
