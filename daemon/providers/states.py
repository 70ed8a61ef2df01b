"""The state an answer tells: by a rule, by a word, by the words of a fan-out, or by the lack of one.

The rule guarded here is that an unknown word is told as such, whatever stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.core.observation import Json
from daemon.providers.definition_reading import Blame, Rule, Telling
from daemon.providers.expression import Paths, first_present, first_set, is_set
from daemon.providers.words import State, text_of

_PENDING = frozenset({State.QUEUED, State.RUNNING})
_SILENT = (State.NO_NEWS, State.NOT_FOUND)
_WORST_FIRST = (State.FAILED, State.EXPIRED, State.CANCELED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A state; or ``word``, a status word that the definition does not know; or nothing.

    ``blame`` says why where a rule told the state; ``is_gap``: it is what the definition says of the lack of a state.
    """

    state: State | None = None
    word: str | None = None
    blame: Blame | None = None
    is_gap: bool = False


def told_by(spec: Telling, body: Json) -> Told:
    """Return the state that *body*, the answer to a status request, tells; may raise ExpressionFailed."""
    by_rule = told_by_rule(spec.rules, body)
    if by_rule is not None:
        return by_rule
    if spec.each is None:
        return told_by_word(spec, spec.state, body)
    items = spec.each.of(body)
    if items is None or items == []:
        return _gap(spec, body)
    return _gathered(spec, items) if isinstance(items, list) else Told()


def told_by_rule(rules: Sequence[Rule], body: Json) -> Told | None:
    """Return what the first rule that is true of *body* tells."""
    for rule in rules:
        if is_set(rule.when.of(body)):
            return Told(state=rule.state, blame=rule)
    return None


def told_by_word(spec: Telling, paths: Paths, body: Json) -> Told:
    """Return what the word that stands at the first of *paths* tells."""
    found = first_present(paths, body)
    if found is None or found == "":
        return _gap(spec, body)
    if isinstance(found, dict | list):
        return Told()
    word = text_of(found)
    key = spec.meanings.get(word.casefold() if spec.ignore_case else word)
    if key is None:
        return Told(word=word)
    if key == "terminal":
        has_failed = is_set(first_set((*spec.fields.error_code, *spec.fields.error_message), body))
        return Told(state=State.FAILED if has_failed else State.SUCCEEDED)
    return Told(state=State(key))


def _gap(spec: Telling, body: Json) -> Told:
    if spec.missing is None or not isinstance(body, dict):
        return Told()
    return Told(state=State(spec.missing), is_gap=True)


def _gathered(spec: Telling, items: list[Json]) -> Told:
    """Return one state for all of a fan-out: what is unclear about one is unclear about the whole."""
    told = [told_by_word(spec, spec.state, item) for item in items]
    unclear = next((one for one in told if one.state is None), None)
    if unclear is not None:
        return unclear
    states = {one.state for one in told}
    if silent := next((state for state in _SILENT if state in states), None):
        return Told(state=silent)
    if states & _PENDING:
        return Told(state=State.QUEUED if states == {State.QUEUED} else State.RUNNING)
    worst = next((state for state in _WORST_FIRST if state in states), None)
    if worst is None or (spec.enough == "any" and State.SUCCEEDED in states):
        return Told(state=State.SUCCEEDED)
    return Told(state=worst)
