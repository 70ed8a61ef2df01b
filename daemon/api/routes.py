"""The one table of calls: from it the router is filled and the OpenAPI document is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from aiohttp import web
from pydantic import BaseModel

from daemon.api.queries import NoQuery

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer: what it means, and its JSON model or else its content type."""

    meaning: str
    model: type[BaseModel] | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One call: how it is routed, what it takes, what it answers, which problems it knows.

    ``is_open`` says that no token is needed.
    """

    method: str
    path: str
    handler: Handler
    name: str
    summary: str
    tag: str
    answers: dict[int, Answer]
    problems: tuple[str, ...] = ()
    query: type[BaseModel] = NoQuery
    body: type[BaseModel] | None = None
    body_is_optional: bool = False
    takes_claim: bool = False
    is_open: bool = False
