"""Examples: an answer in, the expected reading out; every definition carries at least one per state it can show."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from daemon.core.task import Miss
from daemon.providers.words import State


def _body_text(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict | list) else value


class Expected(BaseModel):
    """What the reading must hold besides the state; what is left out is not compared."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True)

    progress: float | None = None
    queue_position: int | None = None
    outputs: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    needs_auth: bool | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_kind: str | None = None
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    hint: float | None = None
    retry_after: float | None = None
    id: str | None = None
    status_url: str | None = None
    model: str | None = None


class Example(BaseModel):
    """One answer: ``body`` is its exact text, or a table. ``state`` or ``miss`` says how it is to be read.

    ``of`` says which request it answers; a ``submission`` has no state, only what is read from it. Of a ``batch``
    the task ``id`` is read, which is missed as ``unlisted`` where the answer does not hold it.
    An output held inside the body is expected as ``inline``.
    """

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True)

    of: Literal["status", "result", "batch", "submission"] = "status"
    id: str = ""
    http: int = Field(200, ge=100, le=599)
    headers: dict[str, str] = {}
    body: Annotated[str, BeforeValidator(_body_text)] = ""
    state: State | None = None
    miss: Miss | None = None
    expect: Expected = Expected()
    source: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _says_whom_it_reads(self) -> Example:
        if (self.of == "batch") != bool(self.id):
            raise ValueError('id names the task to be read from an answer for several: it belongs to of = "batch"')
        return self
