"""A registration put together from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from daemon.cli.complaint import misuse
from daemon.core.observation import Json

SUBMISSION_BOUND = 64 * 1024


class SaveWish(StrEnum):
    """What ``--save-outputs`` can say, as the registration's field does."""

    TRUE = "true"
    FALSE = "false"
    BEFORE_EVENT = "before_event"

    @property
    def said(self) -> bool | str:
        """The field's value."""
        return self.value if self is SaveWish.BEFORE_EVENT else self is SaveWish.TRUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the options of ``pollhook watch`` said; None and empty are left to the daemon."""

    provider: str
    remote_id: str | None
    submission: str | None
    status_url: str | None
    model: str | None
    params: Sequence[str]
    metadata: Sequence[str]
    endpoint: str | None
    url: str | None
    deadline: str | None
    created_at: str | None
    first_poll_after: str | None
    fetch_result: bool | None
    save_outputs: SaveWish | None
    events: Sequence[str]


def registration(wishes: Wishes) -> dict[str, Json]:
    """Return the body of the registration; complain where options contradict each other."""
    if wishes.endpoint is not None and wishes.url is not None:
        raise misuse("--endpoint and --url exclude each other: a webhook goes to one place")
    if wishes.remote_id is None and wishes.submission is None and wishes.status_url is None:
        raise misuse("which task? give its id at the provider, or --submission with the provider's submit answer")
    body: dict[str, Json] = {
        "provider": wishes.provider,
        "remote_id": wishes.remote_id,
        "submission": None if wishes.submission is None else _submission(wishes.submission),
        "status_url": wishes.status_url,
        "model": wishes.model,
        "params": dict(_pair(text, "--param") for text in wishes.params),
        "metadata": _metadata(wishes.metadata),
        "webhook": _webhook(wishes),
        "deadline": wishes.deadline,
        "created_at": wishes.created_at,
        "first_poll_after": wishes.first_poll_after,
        "fetch_result": wishes.fetch_result,
        "save_outputs": None if wishes.save_outputs is None else wishes.save_outputs.said,
        "events": ["terminal", *wishes.events] if wishes.events else None,
    }
    return {name: value for name, value in body.items() if value not in (None, {})}


def _webhook(wishes: Wishes) -> Json:
    if wishes.url is not None:
        return {"url": wishes.url}
    return None if wishes.endpoint is None else {"endpoint": wishes.endpoint}


def _submission(source: str) -> Json:
    try:
        text = sys.stdin.read(SUBMISSION_BOUND + 1) if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise misuse(f"--submission {source} cannot be read: {error}") from None
    if len(text) > SUBMISSION_BOUND:
        raise misuse(f"--submission {source} is larger than {SUBMISSION_BOUND // 1024} KiB")
    return _json(text, f"--submission {source}")


def _metadata(texts: Sequence[str]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for text in texts:
        if text.lstrip().startswith("{"):
            value = _json(text, "--metadata")
            found |= value if isinstance(value, dict) else {}
        else:
            found |= [_pair(text, "--metadata")]
    return found


def _pair(text: str, option: str) -> tuple[str, Json]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise misuse(f'{option} must read name=value, got "{text}"')
    return name, value


def _json(text: str, what: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError as error:
        raise misuse(f"{what} is not JSON: {error}") from None
    return value
