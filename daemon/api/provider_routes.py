"""The calls about providers: each lane's load, limits and health."""

from __future__ import annotations

from aiohttp import web

from daemon.api.answers import lane_json, page_json
from daemon.api.queries import NoQuery, query
from daemon.api.replies import reply
from daemon.api.routes import Answer, Route
from daemon.api.standing_models import LaneList, LaneShown
from daemon.core.errors import NotFound
from daemon.engine.desks import Tasks


class ProviderRoutes:
    """The calls under ``/v1/providers``."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def table(self) -> list[Route]:
        """Return these calls."""
        return [
            Route(method="GET", path="/v1/providers", handler=self.page, name="listProviders", tag="providers",
                  summary="List lanes", answers={200: Answer(meaning="every lane", model=LaneList)}),
            Route(method="GET", path="/v1/providers/{name}", handler=self.show, name="showProvider", tag="providers",
                  summary="Show a lane: load, limits, health, last errors",
                  answers={200: Answer(meaning="the lane", model=LaneShown)}, problems=("not_found",)),
        ]  # fmt: skip

    async def page(self, request: web.Request) -> web.Response:
        """List every lane, by name."""
        query(request, NoQuery)
        return reply(page_json([lane_json(lane) for lane in self._tasks.lanes()], None))

    async def show(self, request: web.Request) -> web.Response:
        """Show one lane."""
        query(request, NoQuery)
        name, lanes = request.match_info["name"], {lane.name: lane for lane in self._tasks.lanes()}
        if name not in lanes:
            raise NotFound(f"no provider {name[:100]!r}; configured are: {', '.join(lanes) or 'none'}")
        return reply(lane_json(lanes[name]))
