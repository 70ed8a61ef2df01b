"""The calls about the daemon itself: alive, ready, measured, described."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from daemon.api.models import Health
from daemon.api.problems import rejected
from daemon.api.queries import NoQuery, query
from daemon.api.replies import raw_reply, reply
from daemon.api.routes import Answer, Route

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ServiceRoutes:
    """``/healthz``, ``/readyz``, ``/metrics`` and ``/openapi.json``."""

    def __init__(
        self,
        *,
        is_ready: Callable[[], bool],
        metrics: Callable[[], bytes],
        open_metrics: bool,
        openapi: Callable[[], bytes],
    ) -> None:
        self._is_ready = is_ready
        self._metrics = metrics
        self._open_metrics = open_metrics
        self._openapi = openapi

    def table(self) -> list[Route]:
        """Return these calls."""
        well = Answer(meaning="well", model=Health)
        return [
            Route(method="GET", path="/healthz", handler=self.healthz, name="healthz", tag="service", is_open=True,
                  summary="Alive", answers={200: well}),
            Route(method="GET", path="/readyz", handler=self.readyz, name="readyz", tag="service", is_open=True,
                  summary="Ready to take work", answers={200: well}, problems=("not_ready",)),
            Route(method="GET", path="/metrics", handler=self.metrics, name="metrics", tag="service",
                  summary="Measurements in Prometheus' text format", is_open=self._open_metrics,
                  answers={200: Answer(meaning="the metrics", content_type="text/plain")}),
            Route(method="GET", path="/openapi.json", handler=self.openapi, name="openapi", tag="service",
                  summary="This contract", answers={200: Answer(meaning="an OpenAPI 3.1 document")}),
        ]  # fmt: skip

    async def healthz(self, request: web.Request) -> web.Response:
        """Say that the event loop turns."""
        query(request, NoQuery)
        return reply({"status": "ok"})

    async def readyz(self, request: web.Request) -> web.Response:
        """Say whether the daemon takes work."""
        query(request, NoQuery)
        if not self._is_ready():
            raise rejected("not_ready", "the daemon is starting or stopping")
        return reply({"status": "ok"})

    async def metrics(self, _request: web.Request) -> web.Response:
        """Answer the measurements."""
        return raw_reply(self._metrics(), METRICS_TYPE)

    async def openapi(self, request: web.Request) -> web.Response:
        """Answer the description of the API."""
        query(request, NoQuery)
        return raw_reply(self._openapi())
