"""Answers on the wire: compact JSON, problem documents, and the headers that every answer carries."""

from __future__ import annotations

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
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
_HEAD = "".join(f"{name}: {value}\r\n" for name, value in {"Content-Type": "application/json", **SECURITY}.items())
_JSON = CIMultiDict({"Content-Type": "application/json", **SECURITY})
_PROBLEM = {"Content-Type": "application/problem+json", **SECURITY}


class Ready(web.Response):
    """A whole JSON answer: head and body go out in one write, without what aiohttp does for answers of other kinds.

    Where the connection ends with it, or anything was added to its headers, it goes the ordinary way.
    """

    def __init__(self, body: bytes, status: int = 200) -> None:
        super().__init__(body=body, status=status, headers=_JSON)
        self._whole = body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it."""
        is_plain = request.version == HttpVersion11 and request.keep_alive and self.keep_alive is None
        if not is_plain or self.prepared or request.method == "HEAD" or len(self.headers) != len(_JSON):
            return await super().prepare(request)
        head = (
            f"HTTP/1.1 {self.status} {self.reason}\r\n{_HEAD}Content-Length: {len(self._whole)}\r\n"
            f"Date: {rfc822_formatted_time()}\r\n\r\n"
        )
        self._keep_alive = self._eof_sent = True
        await request.writer.write(head.encode("ascii") + self._whole)
        return request.writer


def reply(value: Json, status: int = 200) -> web.Response:
    """Answer *value* as JSON."""
    return Ready(written(value), status)


def raw_reply(body: bytes, content_type: str = "application/json") -> web.Response:
    """Answer *body* exactly as it stands."""
    if content_type == "application/json":
        return Ready(body)
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
