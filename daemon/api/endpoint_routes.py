"""The calls about endpoints: writing them, their keys, a test event, enabling and disabling, sending again."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from daemon.api.answers import delivery_json, endpoint_json, page_json, replayed_json, revealed_json
from daemon.api.bodies import forbid_body, read_json, read_optional_json
from daemon.api.endpoint_forms import EndpointForm, ReplayForm, RotationForm, endpoint_name, read_form
from daemon.api.models import DeliveryShown
from daemon.api.queries import NoQuery, query
from daemon.api.replies import reply
from daemon.api.routes import Answer, Route
from daemon.api.standing_models import EndpointList, EndpointRevealed, EndpointShown, ReplayShown
from daemon.api.targets import require_allowed
from daemon.core.errors import NotFound
from daemon.core.keyring import DEFAULT_GRACE
from daemon.engine.desks import Deliveries
from daemon.engine.endpoint_ports import Endpoints, Rotation, Window

ENDPOINT_LIMIT = 128 * 1024


class EndpointRoutes:
    """The calls under ``/v1/endpoints``."""

    def __init__(
        self,
        deliveries: Deliveries,
        endpoints: Endpoints,
        check_target: Callable[[str], str | None],
        now_at: Callable[[], float],
    ) -> None:
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._check_target = check_target
        self._now_at = now_at

    def table(self) -> list[Route]:
        """Return these calls."""
        return [*self._written(), *self._done()]

    def _written(self) -> list[Route]:
        one = "/v1/endpoints/{name}"
        shown = Answer(meaning="the endpoint", model=EndpointShown)
        created = Answer(meaning="created; the secret is told this once", model=EndpointRevealed)
        changed = Answer(meaning="replaced; keys that were not given stay", model=EndpointRevealed)
        last = Answer(meaning="deleted, as it last stood; what it was owed is parked", model=EndpointShown)
        return [
            Route(method="GET", path="/v1/endpoints", handler=self.page, name="listEndpoints", tag="endpoints",
                  summary="List endpoints", answers={200: Answer(meaning="every endpoint", model=EndpointList)}),
            Route(method="GET", path=one, handler=self.show, name="showEndpoint", tag="endpoints",
                  summary="Show an endpoint", answers={200: shown}, problems=("not_found",)),
            Route(method="PUT", path=one, handler=self.put, name="putEndpoint", tag="endpoints",
                  summary="Create an endpoint, or replace one that was made over the API", body=EndpointForm,
                  answers={200: changed, 201: created},
                  problems=("invalid_endpoint", "target_not_allowed", "read_only", "too_many_endpoints", "bad_json")),
            Route(method="DELETE", path=one, handler=self.delete, name="deleteEndpoint", tag="endpoints",
                  summary="Delete an endpoint that was made over the API", answers={200: last},
                  problems=("not_found", "read_only")),
        ]  # fmt: skip

    def _done(self) -> list[Route]:
        one = "/v1/endpoints/{name}"
        shown = Answer(meaning="the endpoint", model=EndpointShown)
        rotated = Answer(meaning="the endpoint and its new key, told this once", model=EndpointRevealed)
        return [
            Route(method="POST", path=one + "/test", handler=self.test, name="testEndpoint", tag="endpoints",
                  summary="Send a signed test event", problems=("not_found",),
                  answers={202: Answer(meaning="the delivery now due", model=DeliveryShown)}),
            Route(method="POST", path=one + "/rotate", handler=self.rotate, name="rotateEndpoint", tag="endpoints",
                  summary="Make a new key that signs beside the old one for a grace", body=RotationForm,
                  body_is_optional=True, answers={200: rotated},
                  problems=("not_found", "invalid_endpoint", "read_only", "too_many_keys", "bad_json")),
            Route(method="POST", path=one + "/enable", handler=self.enable, name="enableEndpoint", tag="endpoints",
                  summary="Enable an endpoint and send what was parked", answers={200: shown}, problems=("not_found",)),
            Route(method="POST", path=one + "/disable", handler=self.disable, name="disableEndpoint", tag="endpoints",
                  summary="Disable an endpoint; its events wait", answers={200: shown}, problems=("not_found",)),
            Route(method="POST", path=one + "/replay", handler=self.replay, name="replayEndpoint", tag="endpoints",
                  summary="Send again what an endpoint was owed in a window of time", body=ReplayForm,
                  answers={200: Answer(meaning="what a dry run found", model=ReplayShown),
                           202: Answer(meaning="what is now due", model=ReplayShown)},
                  problems=("not_found", "invalid_endpoint", "endpoint_disabled", "bad_json")),
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

    async def put(self, request: web.Request) -> web.Response:
        """Create or replace one endpoint."""
        query(request, NoQuery)
        name = endpoint_name(request.match_info["name"])
        self._endpoints.require_writable(name)
        form = read_form(await read_json(request, ENDPOINT_LIMIT), EndpointForm, self._now_at())
        require_allowed(form.url, self._check_target)
        revealed = await self._endpoints.put(name, form.draft())
        return reply(revealed_json(revealed), 201 if revealed.is_new else 200)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete one endpoint."""
        name = await _name(request)
        return reply(endpoint_json(await self._endpoints.delete(name)))

    async def test(self, request: web.Request) -> web.Response:
        """Owe one endpoint a test event."""
        name = await _name(request)
        return reply(delivery_json(await self._deliveries.test(name)), 202)

    async def rotate(self, request: web.Request) -> web.Response:
        """Give one endpoint a new key."""
        query(request, NoQuery)
        form = read_form(await read_optional_json(request) or {}, RotationForm, self._now_at())
        grace = DEFAULT_GRACE if form.grace is None else form.grace
        rotation = Rotation(version="v1" if form.kind == "secret" else "v1a", grace=grace, key=form.key)
        return reply(revealed_json(await self._endpoints.rotate(request.match_info["name"], rotation)))

    async def enable(self, request: web.Request) -> web.Response:
        """Enable one endpoint."""
        name = await _name(request)
        return reply(endpoint_json(await self._deliveries.enable(name)))

    async def disable(self, request: web.Request) -> web.Response:
        """Disable one endpoint."""
        name = await _name(request)
        return reply(endpoint_json(await self._deliveries.disable(name)))

    async def replay(self, request: web.Request) -> web.Response:
        """Owe one endpoint again what it was owed in a window."""
        query(request, NoQuery)
        form = read_form(await read_json(request), ReplayForm, self._now_at())
        until = self._now_at() if form.until is None else form.until
        window = Window(since=form.since, until=until, states=frozenset(form.states))
        replayed = await self._endpoints.replay(request.match_info["name"], window, dry_run=form.dry_run)
        return reply(replayed_json(replayed), 200 if form.dry_run else 202)

    def _unknown(self, name: str) -> NotFound:
        known = ", ".join(self._deliveries.names()) or "none"
        return NotFound(f"no endpoint {name[:100]!r}; there are: {known}; PUT /v1/endpoints/NAME makes one")


async def _name(request: web.Request) -> str:
    query(request, NoQuery)
    await forbid_body(request)
    return request.match_info["name"]
