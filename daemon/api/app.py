"""The application: every call of the contract, behind one gate, from one table."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from daemon.api.access import Access
from daemon.api.delivery_routes import DeliveryRoutes
from daemon.api.endpoint_routes import EndpointRoutes
from daemon.api.event_routes import EventRoutes
from daemon.api.gate import Gate
from daemon.api.openapi import Description
from daemon.api.patience import Patience
from daemon.api.provider_routes import ProviderRoutes
from daemon.api.registration import Registrar
from daemon.api.routes import Handler, Route
from daemon.api.service_routes import ServiceRoutes
from daemon.api.task_routes import TaskRoutes
from daemon.core.errors import Fault
from daemon.engine.desks import Deliveries, Tasks
from daemon.engine.endpoint_ports import Endpoints
from daemon.engine.ports import Outbox

PATIENCE: web.AppKey[Patience] = web.AppKey("patience", Patience)
GATE: web.AppKey[Gate] = web.AppKey("gate", Gate)
TABLE: web.AppKey[list[Route]] = web.AppKey("table", list)
SHORT: web.AppKey[dict[tuple[str, str], Route]] = web.AppKey("short", dict)


def make_app(
    *,
    tasks: Tasks,
    deliveries: Deliveries,
    endpoints: Endpoints,
    outbox: Outbox,
    access: Access,
    is_ready: Callable[[], bool],
    metrics: Callable[[], bytes],
    check_target: Callable[[str], str | None],
    open_metrics: bool,
    version: str,
    now_at: Callable[[], float],
    max_waits: int = 192,
    on_fault: Callable[[Fault], None] = lambda _fault: None,
) -> web.Application:
    """Return the API over these ports.

    *check_target* says why the egress rules refuse a webhook URL, for the log alone; *now_at* is the wall clock;
    *max_waits* bounds the calls that wait at one time; *on_fault* hears of a fault that ought to end the process, after
    its caller was answered 500.
    """
    patience = Patience(max_waits)
    description = Description(version)
    service = ServiceRoutes(is_ready=is_ready, metrics=metrics, open_metrics=open_metrics, openapi=description.document)
    table = [
        *TaskRoutes(tasks, Registrar(deliveries, check_target, now_at), patience).table(),
        *EventRoutes(outbox, deliveries, patience).table(),
        *DeliveryRoutes(outbox, deliveries).table(),
        *EndpointRoutes(deliveries, endpoints, check_target, now_at).table(),
        *ProviderRoutes(tasks).table(),
        *service.table(),
    ]
    description.describe(table)
    app = _routed(table, Gate(access, table, on_fault))
    app[PATIENCE] = patience
    return app


def table_of(app: web.Application) -> list[Route]:
    """Return every call that *app* answers."""
    return app[TABLE]


def short_of(app: web.Application) -> Handler:
    """Return what answers every request: calls without variables at once, the others by way of the router."""
    calls, gate, routed = app[SHORT], app[GATE], app._handle  # noqa: SLF001 (what aiohttp's own server calls)

    async def answer(request: web.Request) -> web.StreamResponse:
        route = calls.get((request.method, request.raw_path))
        if route is None:
            return await routed(request)
        return await gate.answer(request, route.handler, is_open=route.is_open)

    return answer


def _routed(table: list[Route], gate: Gate) -> web.Application:
    open_calls = frozenset(route.name for route in table if route.is_open)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await gate.answer(request, handler, is_open=request.match_info.route.name in open_calls)

    app = web.Application(middlewares=[guarded])
    for route in table:
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            app.router.add_route(method, route.path, route.handler, name=route.name, expect_handler=_defer)
    app[GATE], app[TABLE] = gate, table
    app[SHORT] = {(route.method, route.path): route for route in table if "{" not in route.path}
    return app


async def _defer(_request: web.Request) -> None:
    """Leave ``Expect: 100-continue`` to the reading of the body, so that access is judged first."""
