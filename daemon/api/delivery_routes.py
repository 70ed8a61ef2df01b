"""The calls about deliveries: a list, and one with its attempts."""

from __future__ import annotations

from aiohttp import web

from daemon.api.answers import attempt_json, delivery_json, page_json
from daemon.api.bodies import forbid_body
from daemon.api.cursors import id_cursor, id_of
from daemon.api.models import DeliveryList, DeliveryShown, DeliveryWithAttempts
from daemon.api.queries import DeliveryPage, NoQuery, query
from daemon.api.replies import reply
from daemon.api.routes import Answer, Route
from daemon.core.errors import NotFound
from daemon.core.ids import DeliveryId
from daemon.core.record import DeliveryQuery
from daemon.engine.desks import Deliveries
from daemon.engine.ports import Outbox


class DeliveryRoutes:
    """The calls under ``/v1/deliveries``."""

    def __init__(self, outbox: Outbox, deliveries: Deliveries) -> None:
        self._outbox = outbox
        self._deliveries = deliveries

    def table(self) -> list[Route]:
        """Return these calls."""
        one = Answer(meaning="the delivery and its attempts", model=DeliveryWithAttempts)
        return [
            Route(method="GET", path="/v1/deliveries", handler=self.page, name="listDeliveries", tag="deliveries",
                  summary="List deliveries, newest first", query=DeliveryPage,
                  answers={200: Answer(meaning="a page", model=DeliveryList)}, problems=("bad_cursor",)),
            Route(method="GET", path="/v1/deliveries/{id}", handler=self.show, name="showDelivery", tag="deliveries",
                  summary="Show a delivery with its attempts", answers={200: one}, problems=("not_found",)),
            Route(method="POST", path="/v1/deliveries/{id}/redeliver", handler=self.redeliver, name="redeliverDelivery",
                  tag="deliveries", summary="Send one delivery again", problems=("not_found",),
                  answers={202: Answer(meaning="the delivery, now due", model=DeliveryShown)}),
        ]  # fmt: skip

    async def page(self, request: web.Request) -> web.Response:
        """List deliveries, newest first."""
        asked = query(request, DeliveryPage)
        before = None if asked.cursor is None else DeliveryId(id_of(asked.cursor, "dlv_"))
        wanted = DeliveryQuery(state=asked.state, endpoint=asked.endpoint, before=before, limit=asked.limit)
        records = await self._outbox.page(wanted)
        following = id_cursor(records[-1].id) if len(records) == asked.limit else None
        return reply(page_json([delivery_json(record) for record in records], following))

    async def redeliver(self, request: web.Request) -> web.Response:
        """Owe one delivery again."""
        query(request, NoQuery)
        await forbid_body(request)
        return reply(delivery_json(await self._deliveries.redeliver_one(DeliveryId(request.match_info["id"]))), 202)

    async def show(self, request: web.Request) -> web.Response:
        """Show one delivery and its attempts."""
        query(request, NoQuery)
        delivery_id = DeliveryId(request.match_info["id"])
        found = await self._outbox.delivery(delivery_id)
        if found is None:
            raise NotFound(f"no delivery {delivery_id[:60]!r}")
        record, attempts = found
        return reply(delivery_json(record) | {"attempts": [attempt_json(attempt) for attempt in attempts]})
