"""Holding a definition against its own examples, for the tests and for ``pollhook provider check``."""

from __future__ import annotations

from collections.abc import Iterator

from yarl import URL

from daemon.core.observation import Ended, Missed, Observation, Output, Pending
from daemon.core.task import Miss
from daemon.providers.definition import Definition
from daemon.providers.example import Example, Expected
from daemon.providers.expression import ExpressionFailed, first_set
from daemon.providers.liberal_json import Unreadable, read_json
from daemon.providers.party_reading import told_of_each
from daemon.providers.reading import Reader, Reply
from daemon.providers.words import State, text_of

NOW_AT = 1_750_000_000.0


def check_examples(definition: Definition) -> list[str]:
    """Return what is wrong, one sentence each: examples read otherwise than they say, states without an example."""
    return [text for _, text in misread(definition)] + unshown(definition)


def misread(definition: Definition) -> list[tuple[int, str]]:
    """Return the examples that are read otherwise than they say: the place of each, from 0, and a sentence."""
    return [
        (place, f"example {place + 1} ({example.of}, {_title(example)}): {fault}")
        for place, example in enumerate(definition.examples)
        for fault in _faults(definition, example)
    ]


def unshown(definition: Definition) -> list[str]:
    """Return what no example shows, one sentence each: states that the definition can tell, and the submission."""
    shown = {example.state for example in definition.examples if example.of not in ("submission", "batch")}
    missing = [f"no example shows the state {state}" for state in _states(definition) if state not in shown]
    if definition.submission.id and not any(example.of == "submission" for example in definition.examples):
        missing.append("no example shows a submission")
    if definition.batch is not None and not any(example.of == "batch" for example in definition.examples):
        missing.append("no example shows an answer to [batch]")
    return missing


def read_example(definition: Definition, example: Example) -> Observation:
    """Return what *definition* reads from an example of a status or result answer."""
    path = definition.result.request.text if example.of == "result" and definition.result else "/"
    asked = URL(definition.base_text + path.partition(" ")[2], encoded=False)
    headers = {name.lower(): value for name, value in example.headers.items()}
    reply = Reply(status=example.http, headers=headers, body=example.body.encode("utf-8"), asked=asked, now_at=NOW_AT)
    reader = Reader(definition=definition)
    if example.of == "batch":
        return _listed(definition, example, reply)
    return (reader.result(reply) if example.of == "result" else reader.status(reply)).seen


def _listed(definition: Definition, example: Example, reply: Reply) -> Observation:
    """Return what an answer for several tasks says of one; unlisted where it would be asked for alone."""
    spec = definition.batch
    assert spec is not None
    told = told_of_each(Reader(definition=definition), spec, [example.id], reply)
    if told is None:
        return Missed(miss=Miss.UNREADABLE, detail="the answer for several tasks holds no list of them")
    if example.id not in told:
        return Missed(miss=Miss.UNLISTED, detail="the answer for several tasks leaves it to be asked for alone")
    return told[example.id].seen


def _faults(definition: Definition, example: Example) -> Iterator[str]:
    if example.of == "submission":
        found = _submitted(definition, example)
    elif example.of == "result" and definition.result is None:
        yield "the definition has no [result]"
        return
    elif example.of == "batch" and definition.batch is None:
        yield "the definition has no [batch]"
        return
    else:
        seen = read_example(definition, example)
        wanted = example.state if example.miss is None else example.miss
        if wanted not in _said(seen):
            yield f"read as {' or '.join(_said(seen))}{_detail(seen)}, expected {wanted}"
        found = _facts(seen)
    yield from _differences(example.expect, found)


def _differences(expected: Expected, found: dict[str, object]) -> Iterator[str]:
    for name in expected.model_fields_set:
        wanted, got = getattr(expected, name), found.get(name)
        if wanted != got:
            yield f"{name} is {got!r}, expected {wanted!r}"


def _said(seen: Observation) -> tuple[str, ...]:
    if isinstance(seen, Pending):
        return (str(seen.status),)
    if isinstance(seen, Ended):
        return (str(seen.outcome),)
    state = State.NOT_FOUND if seen.miss is Miss.NOT_FOUND else State.NO_NEWS
    return (str(seen.miss), str(state))


def _detail(seen: Observation) -> str:
    return f" ({seen.detail})" if isinstance(seen, Missed) else ""


def _facts(seen: Observation) -> dict[str, object]:
    names = [name for name in Expected.model_fields if hasattr(seen, name)]
    facts: dict[str, object] = {name: getattr(seen, name) for name in names}
    if isinstance(seen, Ended):
        facts |= _told(seen.outputs)
        if seen.error is not None:
            facts |= {f"error_{name}": getattr(seen.error, name) for name in ("code", "message", "kind")}
    return facts


def _told(outputs: tuple[Output, ...]) -> dict[str, object]:
    return {
        "outputs": tuple("inline" if output.inline else output.url for output in outputs),
        "kinds": tuple(output.kind for output in outputs),
        "needs_auth": any(output.needs_auth for output in outputs),
    }


def _submitted(definition: Definition, example: Example) -> dict[str, object]:
    spec = definition.submission
    found: dict[str, object] = {}
    for name, paths in (("id", spec.id), ("status_url", spec.status_url), ("model", spec.model)):
        try:
            value = first_set(paths, read_json(example.body.encode("utf-8")))
            found[name] = None if value is None else text_of(value)
        except (ExpressionFailed, Unreadable, ValueError):
            found[name] = None
    return found


def _states(definition: Definition) -> list[State]:
    """Every state that the definition can tell, in order."""
    spec = definition.status
    told = {state for _, state in spec.states.pairs()} | {rule.state for rule in spec.rules} | set(spec.http.values())
    told |= {State(gap) for gap in (spec.missing, spec.empty) if gap}
    told |= {State.SUCCEEDED, State.FAILED} if spec.states.terminal else set()
    return [state for state in State if state in told and state not in (State.NO_NEWS, State.NOT_FOUND)]


def _title(example: Example) -> str:
    return str(example.miss or example.state or example.note or "facts only")
