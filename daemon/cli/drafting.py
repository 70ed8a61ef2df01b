"""``provider new``: what is known is taken, what is not is asked for, and the draft is held against itself."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from daemon.cli.complaint import Complaint, misuse
from daemon.providers.check import misread
from daemon.providers.definition import Definition
from daemon.providers.draft import Draft, Sample, Unguessable, draft
from daemon.providers.liberal_json import Unreadable, read_json
from daemon.providers.mistakes import explained
from daemon.providers.words import State

LARGEST_SAMPLE = 1024 * 1024
BEARER = "Authorization: Bearer {key}"
Ask = Callable[[str, str], str]


def drafted(name: str | None, url: str | None, samples: Sequence[str], header: str | None) -> Draft:
    """Return a draft that loads and whose examples are read as they say; complain where none can be made."""
    read = [_sample(text) for text in samples]
    url = url or _asked("status URL, with {id} in the place of the id", "https://api.example.com/v1/tasks/{id}")
    name = name or _asked("name of the definition", _name_in(url))
    if header is None:
        header = BEARER if read else _asked("header with the key", BEARER)
    try:
        if not read:
            made = draft(
                name, url, header, [], state=_asked("where the state stands in the answer", "status"), words=_words()
            )
        else:
            made = draft(name, url, header, read)
    except Unguessable as failure:
        raise misuse(str(failure)) from None
    _hold(made)
    return made


def _words() -> dict[State, tuple[str, ...]]:
    suggested = {
        State.QUEUED: "queued, pending",
        State.RUNNING: "running, processing",
        State.SUCCEEDED: "succeeded, completed",
        State.FAILED: "failed",
        State.CANCELED: "",
        State.EXPIRED: "",
    }
    given = {state: _asked(f"words for {state}, with commas", text) for state, text in suggested.items()}
    return {state: tuple(filter(None, map(str.strip, text.split(",")))) for state, text in given.items()}


def _asked(what: str, default: str) -> str:
    print(f"{what} [{default}]: ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        raise misuse(
            f"not answered: {what}", "give --url, and --sample with an answer of the provider, to be asked less"
        )
    return line.strip() or default


def _sample(text: str) -> Sample:
    means, equals, file = text.partition("=")
    state = State(means) if equals and means in set(State) else None
    path = Path(file if state else text)
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_SAMPLE + 1)
        if len(content) > LARGEST_SAMPLE:
            raise misuse(f"{path}: a sample is at most 1 MiB")
        return Sample(read_json(content), state, path.name)
    except OSError as error:
        raise misuse(f"{path}: cannot be read ({error.strerror})") from None
    except Unreadable as failure:
        raise misuse(f"{path}: {failure}, but a sample is the JSON body of an answer") from None


def _name_in(url: str) -> str:
    host = url.partition("://")[2].partition("/")[0].partition(":")[0].split(".")
    return host[-2] if len(host) > 1 else host[0]


def _hold(made: Draft) -> None:
    try:
        definition = Definition.model_validate(tomllib.loads(made.text))
    except tomllib.TOMLDecodeError as failure:
        raise Complaint(f"no definition can be made of this: {failure}") from None
    except ValidationError as error:
        raise misuse("no definition can be made of this", *str(explained("it", error)).splitlines()) from None
    if wrong := misread(definition):
        raise Complaint("no definition can be made of this", *(text for _, text in wrong))
