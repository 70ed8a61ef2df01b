"""The calls about endpoints: how they are, a test event, enabling and disabling."""

from __future__ import annotations

from aiohttp import web

from daemon.api.answers import delivery_json, endpoint_json, page_json
from daemon.api.bodies import forbid_body
from daemon.api.models import DeliveryShown
from daemon.api.queries import NoQuery, query
from daemon.api.replies import reply
from daemon.api.routes import Answer, Route
from daemon.api.standing_models import EndpointList, EndpointShown
from daemon.core.errors import NotFound, ReadOnly
from daemon.engine.desks import Deliveries


class EndpointRoutes:
    """The calls under ``/v1/endpoints``."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    def table(self) -> list[Route]:
        """Return these calls."""
        one = "/v1/endpoints/{name}"
        shown = Answer(meaning="the endpoint", model=EndpointShown)
        return [
            Route(method="GET", path="/v1/endpoints", handler=self.page, name="listEndpoints", tag="endpoints",
                  summary="List endpoints", answers={200: Answer(meaning="every endpoint", model=EndpointList)}),
            Route(method="GET", path=one, handler=self.show, name="showEndpoint", tag="endpoints",
                  summary="Show an endpoint", answers={200: shown}, problems=("not_found",)),
            Route(method="PUT", path=one, handler=self.write, name="putEndpoint", tag="endpoints",
                  summary="Refused: endpoints are written in the config file", answers={},
                  problems=("not_found", "read_only")),
            Route(method="DELETE", path=one, handler=self.write, name="deleteEndpoint", tag="endpoints",
                  summary="Refused: endpoints are written in the config file", answers={},
                  problems=("not_found", "read_only")),
            Route(method="POST", path=one + "/test", handler=self.test, name="testEndpoint", tag="endpoints",
                  summary="Send a signed test event", problems=("not_found",),
                  answers={202: Answer(meaning="the delivery now due", model=DeliveryShown)}),
            Route(method="POST", path=one + "/enable", handler=self.enable, name="enableEndpoint", tag="endpoints",
                  summary="Enable an endpoint and send what was parked", answers={200: shown}, problems=("not_found",)),
            Route(method="POST", path=one + "/disable", handler=self.disable, name="disableEndpoint", tag="endpoints",
                  summary="Disable an endpoint; its events wait", answers={200: shown}, problems=("not_found",)),
        ]  # fmt: skip

    async def page(self, request: web.Request) -> web.Response:
        """List every endpoint, by name."""
        query(request, NoQuery)
        return reply(page_json([endpoint_json(view) for view in await self._deliveries.endpoints()], None))

    async def show(self, request: web.Request) -> web.Response:
        """Show one endpoint."""
        query(request, NoQuery)
        name = request.match_info["name"]
        views = [view for view in await self._deliveries.endpoints() if view.name == name]
        if not views:
            raise self._unknown(name)
        return reply(endpoint_json(views[0]))

    async def write(self, request: web.Request) -> web.Response:
        """Refuse to change what the config file says."""
        name = request.match_info["name"]
        if not self._deliveries.has(name):
            raise self._unknown(name)
        raise ReadOnly(f"endpoints stand in the config file: change [endpoints.{name}] there and reload the daemon")

    async def test(self, request: web.Request) -> web.Response:
        """Owe one endpoint a test event."""
        name = await _name(request)
        return reply(delivery_json(await self._deliveries.test(name)), 202)

    async def enable(self, request: web.Request) -> web.Response:
        """Enable one endpoint."""
        name = await _name(request)
        return reply(endpoint_json(await self._deliveries.enable(name)))

    async def disable(self, request: web.Request) -> web.Response:
        """Disable one endpoint."""
        name = await _name(request)
        return reply(endpoint_json(await self._deliveries.disable(name)))

    def _unknown(self, name: str) -> NotFound:
        known = ", ".join(self._deliveries.names()) or "none"
        return NotFound(
            f"no endpoint {name[:100]!r}; configured are: {known}, each as [endpoints.NAME] in the config file"
        )


async def _name(request: web.Request) -> str:
    query(request, NoQuery)
    await forbid_body(request)
    return request.match_info["name"]
