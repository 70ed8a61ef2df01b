"""Answers on the wire: compact JSON, problem documents, and the headers that every answer carries."""

from __future__ import annotations

from aiohttp import web
from multidict import CIMultiDict
from pydantic_core import PydanticSerializationError, to_json

from daemon.api.problems import Problem
from daemon.core.event import encode
from daemon.core.observation import Json

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "Server": "pollhook",
}
_JSON = CIMultiDict({"Content-Type": "application/json", **SECURITY})
_PROBLEM = {"Content-Type": "application/problem+json", **SECURITY}


def reply(value: Json, status: int = 200) -> web.Response:
    """Answer *value* as JSON."""
    return web.Response(body=written(value), status=status, headers=_JSON.copy())


def raw_reply(body: bytes, content_type: str = "application/json") -> web.Response:
    """Answer *body* exactly as it stands."""
    return web.Response(body=body, headers={**SECURITY, "Content-Type": content_type})


def problem_reply(problem: Problem) -> web.Response:
    """Answer a problem document."""
    headers = _PROBLEM | dict(problem.headers)
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(body=encode(problem.document()), status=problem.status, headers=headers)


def written(value: Json) -> bytes:
    """Serialise compactly; what UTF-8 cannot carry goes the slow way, as in an event."""
    try:
        return to_json(value, inf_nan_mode="null")
    except (PydanticSerializationError, UnicodeEncodeError):
        return encode(value)
