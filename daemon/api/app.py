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
from daemon.engine.ports import Outbox

PATIENCE: web.AppKey[Patience] = web.AppKey("patience", Patience)


def make_app(
    *,
    tasks: Tasks,
    deliveries: Deliveries,
    outbox: Outbox,
    access: Access,
    is_ready: Callable[[], bool],
    metrics: Callable[[], bytes],
    check_target: Callable[[str], str | None],
    open_metrics: bool,
    version: str,
    now_at: Callable[[], float],
    on_fault: Callable[[Fault], None] = lambda _fault: None,
) -> web.Application:
    """Return the API over these ports.

    *check_target* says why the egress rules refuse a webhook URL, for the log alone; *now_at* is the wall clock;
    *on_fault* hears of a fault that ought to end the process, after its caller was answered 500.
    """
    patience = Patience()
    description = Description(version)
    service = ServiceRoutes(is_ready=is_ready, metrics=metrics, open_metrics=open_metrics, openapi=description.document)
    table = [
        *TaskRoutes(tasks, Registrar(deliveries, check_target, now_at), patience).table(),
        *EventRoutes(outbox, deliveries, patience).table(),
        *DeliveryRoutes(outbox).table(),
        *EndpointRoutes(deliveries).table(),
        *ProviderRoutes(tasks).table(),
        *service.table(),
    ]
    description.describe(table)
    app = _routed(table, Gate(access, table, on_fault))
    app[PATIENCE] = patience
    return app


def _routed(table: list[Route], gate: Gate) -> web.Application:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await gate.answer(request, handler)

    app = web.Application(middlewares=[guarded])
    for route in table:
        for method in ("GET", "HEAD") if route.method == "GET" else (route.method,):
            app.router.add_route(method, route.path, route.handler, name=route.name, expect_handler=_defer)
    return app


async def _defer(_request: web.Request) -> None:
    """Leave ``Expect: 100-continue`` to the reading of the body, so that access is judged first."""
