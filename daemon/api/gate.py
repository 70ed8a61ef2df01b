"""The one middleware: access first, then the call, and whatever goes wrong becomes a problem document."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from aiohttp import web

from daemon.api.access import Access
from daemon.api.problems import Problem, Rejected, problem_of
from daemon.api.replies import SECURITY, problem_reply
from daemon.api.routes import Handler, Route
from daemon.core.errors import Fault, Mistake

log = structlog.get_logger()

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_INTERNAL = Problem(code="internal", detail="the daemon's log says more")


class Gate:
    """Stands before every call. *on_fault* is told of a fault that ought to end the process."""

    def __init__(self, access: Access, table: Sequence[Route], on_fault: Callable[[Fault], None]) -> None:
        self._access = access
        self._table = table
        self._on_fault = on_fault

    async def answer(self, request: web.Request, handler: Handler, *, is_open: bool) -> web.StreamResponse:
        """Answer *request* by *handler* if it may come in; never raises but for cancellation.

        An open call needs no token.
        """
        try:
            response = await self._answer(request, handler, is_open=is_open)
        except Mistake as mistake:
            response = problem_reply(problem_of(mistake))
        except Rejected as error:
            response = _refused(error.problem)
        except web.HTTPException as error:
            response = problem_reply(_routed(request, error, self._table))
        except Fault as fault:
            log.exception("api.fault", method=request.method, path=request.path)
            self._on_fault(fault)
            response = problem_reply(_INTERNAL)
        except Exception:
            log.exception("api.crashed", method=request.method, path=request.path)
            response = problem_reply(_INTERNAL)
        if request.method not in _READS:
            self._log_deed(request, response)
        return response

    async def _answer(self, request: web.Request, handler: Handler, *, is_open: bool) -> web.StreamResponse:
        problem = await self._access.refusal(request, is_open=is_open)
        if problem is not None:
            raise Rejected(problem)
        response = await handler(request)
        if "Server" not in response.headers:
            response.headers.update(SECURITY)
        return response

    def _log_deed(self, request: web.Request, response: web.StreamResponse) -> None:
        """Name the user behind a change that came over a unix socket, where there is no token to name him."""
        peer = self._access.peer(request)
        if peer.is_unix:
            log.info("api.called", method=request.method, path=request.path, status=response.status, uid=peer.uid)


def _refused(problem: Problem) -> web.Response:
    response = problem_reply(problem)
    if problem.status in (408, 413):
        response.force_close()
    return response


def _routed(request: web.Request, error: web.HTTPException, table: Sequence[Route]) -> Problem:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.method[:20]} is not allowed here; allowed: {allowed}"
        return Problem(code="method_not_allowed", detail=detail, headers=(("Allow", allowed),))
    if error.status == 413:
        return Problem(code="too_large", detail="the body is too large")
    if error.status >= 500:
        return _INTERNAL
    near = _calls_like(request.path, table)
    known = f"; there are {', '.join(near)}" if near else ""
    return Problem(code="not_found", detail=f"no such path{known}; /openapi.json lists all")


def _calls_like(path: str, table: Sequence[Route]) -> list[str]:
    """Return the calls on the same kind of thing as *path*: those whose first two segments are the same."""
    kind = path.split("/")[:3]
    return [f"{route.method} {route.path}" for route in table if route.path.split("/")[:3] == kind and len(kind) > 2]
