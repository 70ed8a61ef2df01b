"""What one answer says, in our words: still pending, ended, or no news.

Whatever the network did is a value here; nothing below the engine raises for weather.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from daemon.core.task import Live, Miss, Outcome

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inline:
    """Bytes that came inside an answer (a ``data:`` URI or base64); kept beside the database, never in an event."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One thing a task made: where it is, its kind, and whether fetching it needs a credential.

    ``url`` is absolute, or begins with ``/v1/tasks/`` where Pollhook itself holds the bytes.
    ``kind`` is ``video``, ``image``, ``audio``, ``text`` or ``file``.
    """

    url: str
    kind: str
    needs_auth: bool = False
    expires_at: float | None = None
    inline: Inline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """Why a task did not succeed: the provider's code and message as text, and our kind.

    ``kind`` is ``content_blocked``, ``invalid_request``, ``inference``, ``timeout``, ``canceled``, ``expired``,
    ``lost`` or ``provider``.
    """

    code: str | None
    message: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The provider's own body as JSON, already free of keys and inline bytes; or why it is left out."""

    body: Json = None
    omitted: str | None = None


@dataclass(slots=True, kw_only=True)  # not frozen: there is one to each poll, and freezing makes it three times dearer
class Pending:
    """The task lives: its status, and whatever else the answer told.

    ``hint`` is the provider's own wish in seconds for the next poll; ``created_at`` and ``started_at`` are the
    provider's wall-clock times. ``mark`` tells the answer's bytes from others; 0 where they have to be read each time.
    """

    status: Live
    progress: float | None = None
    queue_position: int | None = None
    created_at: float | None = None
    started_at: float | None = None
    hint: float | None = None
    mark: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A final answer, positively recognised; ``result_due`` says the outputs need a result request that bills."""

    outcome: Outcome
    outputs: tuple[Output, ...] = ()
    error: TaskError | None = None
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    response: Response = Response()
    result_due: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """No news, and why; ``detail`` is safe to show and log (never a key, never a body).

    ``known`` is the end the status request already told where only its result request brought nothing.
    ``retry_after`` is the provider's wish in seconds, unclamped. ``unsent`` says that no byte of the request
    left this machine, so repeating it is free.
    """

    miss: Miss
    detail: str
    http_status: int | None = None
    retry_after: float | None = None
    known: Ended | None = None
    unsent: bool = False


Observation: TypeAlias = Pending | Ended | Missed
