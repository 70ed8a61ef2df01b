"""Guesses about an API from its answers: where the state, the outputs and the error most likely stand.

Only for drafting a definition that a person then looks through; nothing that polls ever guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from daemon.core.observation import Json
from daemon.core.redaction import names_secret, without_bytes
from daemon.providers.words import State, text_of

DEEPEST = 6
MOST_OUTPUTS = 4
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MEDIA = re.compile(r"\.(?:mp4|webm|mov|png|jpe?g|webp|gif|mp3|wav|m4a|flac|txt|jsonl?|srt|vtt)(?:\?|$)", re.IGNORECASE)
_STATE_KEYS = ("status", "state", "taskstatus", "jobstatus", "processingstatus", "jobstate", "taskstate", "phase")
_FLAG_KEYS = ("done", "completed", "finished", "iscomplete", "ready")
_ID_KEYS = ("id", "taskid", "requestid", "jobid", "predictionid", "generationid", "uuid", "name")
_NOT_OUTPUT = re.compile(
    r"(?:^|_|\b)(?:get|cancel|status|polling|response|webhook|callback|stream|self|docs|web|thumb\w*)(?:_|$)"
)
_INPUT = frozenset({"input", "inputs", "request", "config", "params", "urls", "links"})
_WORDS: dict[State, str] = {
    State.QUEUED: "queued pending submitted created waiting accepted inqueue notstart notstarted scheduled starting",
    State.RUNNING: "running processing inprogress generating progressing started dreaming rendering working active",
    State.SUCCEEDED: "succeeded success succeed completed complete done finished ready ok transcribed",
    State.FAILED: "failed failure fail error errored rejected dead",
    State.CANCELED: "canceled cancelled aborted",
    State.EXPIRED: "expired timeout timedout timeoutexceeded",
    State.NOT_FOUND: "notfound unknowntask",
    State.NO_NEWS: "unknown",
}
_MEANINGS = {word: state for state, words in _WORDS.items() for word in words.split()}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value that is no table, and the expression that leads to it; ``key`` is the last name on the way."""

    path: str
    key: str
    value: Json
    names: tuple[str, ...]


def leaves(body: Json) -> Iterator[Leaf]:
    """Every leaf of *body*; what stands in a list is reached through ``[]``."""
    yield from _leaves(body, "", (), DEEPEST)


def meaning(word: str) -> State | None:
    """Return what a status word most likely means; None where nobody can tell."""
    bare = re.sub(r"[^a-z]", "", word.lower())
    if bare in _MEANINGS:
        return _MEANINGS[bare]
    parts = [part for part in re.split(r"[^a-z]+", word.lower()) if part]
    return _MEANINGS.get(parts[-1]) if parts else None


def state_path(bodies: Sequence[Json]) -> str | None:
    """Return where the status word most likely stands in all of *bodies*; None where nothing looks like one."""
    scores: dict[str, float] = {}
    for body in bodies:
        for leaf in leaves(body):
            if (score := _as_state(leaf)) is not None:
                scores[leaf.path] = scores.get(leaf.path, 0.0) + score
    return max(scores, key=lambda path: scores[path], default=None)


def word_at(path: str, body: Json) -> str | None:
    """Return the scalar at *path* as text."""
    for leaf in leaves(body):
        if leaf.path == path and isinstance(leaf.value, str | int | float):
            return text_of(leaf.value)
    return None


def id_in(body: Json, url: str) -> tuple[str, str] | None:
    """Return the path of the id in *body* and the id: a value that stands in *url*, or what is called so."""
    named = [leaf for leaf in leaves(body) if _bare(leaf.key) in _ID_KEYS and isinstance(leaf.value, str | int)]
    named.sort(key=lambda leaf: _ID_KEYS.index(_bare(leaf.key)))
    for leaf in named:
        if isinstance(leaf.value, str) and len(leaf.value) > 1 and leaf.value in url:
            return leaf.path, leaf.value
    first = min(named, key=lambda leaf: (len(leaf.names), _ID_KEYS.index(_bare(leaf.key))), default=None)
    return None if first is None else (first.path, text_of(first.value))


def output_paths(bodies: Sequence[Json]) -> list[str]:
    """Return where URLs stand that look like outputs."""
    found: dict[str, None] = {}
    for body in bodies:
        for leaf in leaves(body):
            if _is_output(leaf):
                found.setdefault(leaf.path.removesuffix("[]") if leaf.path.endswith("[]") else leaf.path)
    return list(found)[:MOST_OUTPUTS]


def first_named(bodies: Sequence[Json], names: Sequence[str]) -> str | None:
    """Return the path of the first value that is set and whose key is one of *names*, in their order."""
    for name in names:
        for body in bodies:
            for leaf in leaves(body):
                if _bare(".".join(leaf.names[-name.count(".") - 1 :])) == _bare(name) and leaf.value:
                    return leaf.path
    return None


def presentable(value: Json, key: str = "") -> Json:
    """Return *value* fit to stand in a file that others read: no credentials, no signed queries, no inline bytes."""
    if isinstance(value, dict):
        return {name: presentable(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [presentable(inner, key) for inner in value[:3]]
    if isinstance(value, str):
        if names_secret(key):
            return "..."
        bare = value.partition("?")[0] if value.startswith(("http://", "https://")) else value
        return without_bytes(bare)
    return value


def _leaves(value: Json, path: str, names: tuple[str, ...], depth: int) -> Iterator[Leaf]:
    if isinstance(value, dict) and depth:
        for key, inner in value.items():
            part = key if _PLAIN.fullmatch(key) else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
            yield from _leaves(inner, f"{path}.{part}" if path else part, (*names, key), depth - 1)
    elif isinstance(value, list) and depth:
        for inner in value[:1]:
            yield from _leaves(inner, f"{path}[]", names, depth - 1)
    elif not isinstance(value, dict | list):
        yield Leaf(path, names[-1] if names else "", value, names)


def _as_state(leaf: Leaf) -> float | None:
    key = _bare(leaf.key)
    if "[]" in leaf.path or _INPUT & set(leaf.names[:-1]):
        return None
    if isinstance(leaf.value, bool):
        return 2.0 - 0.1 * len(leaf.names) if key in _FLAG_KEYS else None
    if key not in _STATE_KEYS or not isinstance(leaf.value, str | int):
        return None
    known = 10.0 if isinstance(leaf.value, str) and meaning(leaf.value) is not None else 0.0
    return 5.0 + known - 0.5 * _STATE_KEYS.index(key) - 0.1 * len(leaf.names)


def _is_output(leaf: Leaf) -> bool:
    if not isinstance(leaf.value, str) or not leaf.value.startswith(("http://", "https://", "data:")):
        return False
    if _INPUT & {name.lower() for name in leaf.names[:-1]}:
        return False
    return bool(_MEDIA.search(leaf.value)) or not _NOT_OUTPUT.search(leaf.key.lower())


def _bare(name: str) -> str:
    return re.sub(r"[^a-z.]", "", name.lower())
