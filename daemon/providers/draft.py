"""A first draft of a definition, with a comment at every guess, from a status URL and the answers it gave."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import ValidationError

from daemon.core.observation import Ended, Json, Observation
from daemon.providers import guess
from daemon.providers.check import read_example
from daemon.providers.definition import Definition
from daemon.providers.toml_text import basic, literal
from daemon.providers.words import State

NO_STATE = "none of the samples has what looks like a state (a `status` or `state` with a word, or a flag `done`)"
_SHOWN_STATES = (State.QUEUED, State.RUNNING, State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED)
_ERROR_MESSAGES = (
    *("error.message", "failure_reason", "fail_reason", "failed_reason", "error_message", "error_msg", "err_msg"),
    *("task_status_msg", "status_msg", "error", "detail", "failure", "reason"),
)
_ERROR_CODES = ("error.code", "error_code", "error.type", "error_type", "failure_code", "err_code")
_TIMES = {
    "created_at": ("created_at", "create_time", "created", "createdAt"),
    "started_at": ("started_at", "start_time", "startedAt"),
    "finished_at": ("completed_at", "finished_at", "ended_at", "finish_time", "completedAt"),
}


_REST = """
[errors]                     # answers about the request: 4xx
message = ["error.message", "error", "message"]
code = ["error.code", "code"]

[limits]                     # the provider's page says more
rate = 5.0                   # polls per second, all tasks together
min_gap = "3s"
max_gap = "30s"
deadline = "1h"
retention = "24h"            # how long it remembers a finished task

[typical]
duration = "60s"             # the median from submit to end"""


class Unguessable(Exception):
    """Something is missing that only the writer can tell; the text says what."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The JSON body of an answer; ``means`` is the state, where its writer said it."""

    body: Json
    means: State | None
    name: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A definition as text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known and guessed of the API."""

    name: str
    base_url: str
    request: str
    header: str
    format: str
    state: str
    words: Mapping[State, Sequence[str]]
    samples: Sequence[tuple[State, Json]]
    id_path: str | None


def draft(
    name: str,
    url: str,
    header: str,
    samples: Sequence[Sample],
    *,
    state: str | None = None,
    words: Mapping[State, Sequence[str]] | None = None,
) -> Draft:
    """Return a draft for the API whose status requests go to *url*; may raise Unguessable.

    *state* and *words* are what the writer says; what is not said is read from *samples*.
    """
    bodies = [sample.body for sample in samples]
    path = state or guess.state_path(bodies)
    if path is None:
        raise Unguessable(NO_STATE)
    told = [(_means(sample, path), guess.presentable(sample.body)) for sample in samples]
    base_url, request, id_path = _request(url, bodies)
    key_header, _, key_format = header.partition(":")
    facts = _Facts(
        name=name,
        base_url=base_url,
        request=request,
        header=key_header.strip(),
        format=key_format.strip() or "{key}",
        state=path,
        words=words or _words(path, samples, [means for means, _ in told]),
        samples=told,
        id_path=id_path,
    )
    return Draft(name, _text(facts))


def _means(sample: Sample, path: str) -> State:
    word = guess.word_at(path, sample.body)
    if word is None:
        raise Unguessable(f"{sample.name}: nothing stands at `{path}`, where the other samples have their state")
    flags = {"true": State.FAILED if _has_error(sample.body) else State.SUCCEEDED, "false": State.RUNNING}
    means = sample.means or flags.get(word) or guess.meaning(word)
    if means is None:
        raise Unguessable(f'{sample.name}: what does "{word}" mean? say it: --sample succeeded={sample.name}')
    return means


def _words(path: str, samples: Sequence[Sample], told: Sequence[State]) -> dict[State, list[str]]:
    words: dict[State, list[str]] = {}
    for sample, means in zip(samples, told, strict=True):
        word = guess.word_at(path, sample.body)
        is_ruled = word == "true" and means is State.FAILED
        if word is not None and not is_ruled and word not in words.setdefault(means, []):
            words[means].append(word)
    if any(guess.word_at(path, sample.body) in ("true", "false") for sample in samples):
        words.setdefault(State.SUCCEEDED, ["true"])
    return words


def _has_error(body: Json) -> bool:
    return isinstance(body, dict) and bool(body.get("error"))


def _request(url: str, bodies: Sequence[Json]) -> tuple[str, str, str | None]:
    """Return base URL, request and the path of the id."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise Unguessable(f'a status URL reads "https://api.example.com/v1/tasks/{{id}}", got "{url[:120]}"')
    found = next((each for body in bodies if (each := guess.id_in(body, url)) is not None), None)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    if "{id}" not in target and found is not None:
        target = target.replace(found[1], "{id}")
    if "{id}" not in target and "{+id}" not in target:
        raise Unguessable("no sample holds the id of this URL: write {id} in its place")
    return f"{parts.scheme}://{parts.netloc}", f"GET {target}", found and found[0]


def _text(facts: _Facts) -> str:
    text = "\n".join([*_head(facts), *_status(facts), _REST]) + "\n"
    if not facts.samples:
        return text
    bare = text + "\n".join(_examples(facts, [None] * len(facts.samples))) + "\n"
    try:
        definition = Definition.model_validate(tomllib.loads(bare))
    except (ValidationError, tomllib.TOMLDecodeError):
        return bare
    seen = [read_example(definition, each) for each in definition.examples]
    return text + "\n".join(_examples(facts, seen)) + "\n"


def _head(facts: _Facts) -> Iterator[str]:
    yield f"# {facts.name}: a draft. What is marked with ? was guessed; hold it against the provider's page."
    yield "#:schema ./definition.schema.json"
    yield f"name = {basic(facts.name)}"
    yield 'docs = ""                    # the page you write this from'
    yield 'evidence = "unverified"      # "documented" once you have read it there'
    yield f"base_url = {basic(facts.base_url)}"
    yield ""
    yield "[auth]                       # how the key travels"
    yield f"header = {basic(facts.header)}"
    yield f"format = {basic(facts.format)}"
    yield ""
    yield "[submission]                 # where the answer to the submit call keeps things"
    yield f"{'id' if facts.id_path else '# id'} = {basic(facts.id_path or 'id')}  # ?"
    yield '# status_url = "status_url"  # if the answer names the URL to ask'


def _status(facts: _Facts) -> Iterator[str]:
    yield ""
    yield "[status]"
    yield f"request = {basic(facts.request)}"
    yield f"state = {basic(facts.state)}  # ? JMESPath; a list of alternatives may stand here"
    yield ""
    yield "[status.states]              # the provider's words; one that is not here is no news, never an end"
    for state in _SHOWN_STATES:
        if words := facts.words.get(state):
            yield f"{state} = [{', '.join(map(basic, words))}]"
        else:
            yield f"# {state} = []{' ' * (14 - len(state))}# no sample shows it: see the page"
    for state in (State.NOT_FOUND, State.NO_NEWS):
        if words := facts.words.get(state):
            yield f"{state} = [{', '.join(map(basic, words))}]"
    yield ""
    if "true" in facts.words.get(State.SUCCEEDED, ()):
        yield "[[status.rules]]             # ? rules go before words: a flag alone does not tell that it worked"
        yield f"when = {basic(f'{facts.state} && error')}"
        yield 'state = "failed"'
        yield ""
    yield "[status.fields]"
    yield from _fields(facts)


def _fields(facts: _Facts) -> Iterator[str]:
    bodies = [body for _, body in facts.samples]
    failed = [body for state, body in facts.samples if state is State.FAILED]
    done = [body for state, body in facts.samples if state is State.SUCCEEDED]
    yield _field("progress", guess.first_named(bodies, ("progress", "percentage", "percent")), "progress")
    yield _field("error_message", guess.first_named(failed, _ERROR_MESSAGES), "error.message")
    yield _field("error_code", guess.first_named(failed, _ERROR_CODES), "error.code")
    for name, keys in _TIMES.items():
        if (path := guess.first_named(bodies, keys)) is not None:
            yield f"{name} = {basic(path)}  # ?"
    paths = guess.output_paths(done)
    if paths:
        yield f"outputs = [{', '.join(map(basic, paths))}]  # ? URLs found in the samples"
    else:
        yield '# outputs = "output.url"     # no finished sample shows one'


def _field(name: str, path: str | None, usual: str) -> str:
    return f"{name} = {basic(path)}  # ?" if path is not None else f"# {name} = {basic(usual)}"


def _examples(facts: _Facts, seen: Sequence[Observation | None]) -> Iterator[str]:
    for (state, body), read in zip(facts.samples, seen, strict=True):
        yield ""
        yield "[[examples]]"
        yield f'state = "{state}"'
        yield f"body = {literal(json.dumps(body))}"
        if isinstance(read, Ended) and read.outputs:
            told = ("inline" if output.inline else output.url for output in read.outputs)
            yield f"expect = {{ outputs = [{', '.join(map(basic, told))}] }}"
        elif isinstance(read, Ended) and read.error is not None:
            yield f"expect = {{ error_message = {basic(read.error.message)} }}"
        yield 'source = ""                  # where the body was found'
