"""The calls about events: the pull feed, one event, its exact bytes, and sending it again."""

from __future__ import annotations

from aiohttp import web

from daemon.api.answers import delivery_json, event_bytes, page_json
from daemon.api.bodies import forbid_body
from daemon.api.cursors import feed_cursor, is_id, seq_of
from daemon.api.models import DeliveryList, EventFeed, EventWithDeliveries
from daemon.api.patience import Patience
from daemon.api.queries import EventPage, NoQuery, query
from daemon.api.replies import raw_reply, reply
from daemon.api.routes import Answer, Route
from daemon.core.errors import NotFound
from daemon.core.event import encode
from daemon.core.ids import EventId
from daemon.core.record import FeedItem
from daemon.engine.desks import Deliveries
from daemon.engine.ports import Outbox

STEP = 50
PAGE_BYTES = 4 * 1024 * 1024


class EventRoutes:
    """The calls under ``/v1/events``."""

    def __init__(self, outbox: Outbox, deliveries: Deliveries, patience: Patience) -> None:
        self._outbox = outbox
        self._deliveries = deliveries
        self._patience = patience

    def table(self) -> list[Route]:
        """Return these calls."""
        event = Answer(meaning="the event and its deliveries", model=EventWithDeliveries)
        return [
            Route(method="GET", path="/v1/events", handler=self.feed, name="readEvents", tag="events",
                  summary="Read the feed; `next` is where to go on, also when there is nothing new", query=EventPage,
                  answers={200: Answer(meaning="events, oldest first", model=EventFeed)},
                  problems=("bad_cursor", "not_found")),
            Route(method="GET", path="/v1/events/{id}", handler=self.show, name="showEvent", tag="events",
                  summary="Show an event with its deliveries", answers={200: event}, problems=("not_found",)),
            Route(method="GET", path="/v1/events/{id}/body", handler=self.body, name="readEventBody", tag="events",
                  summary="Read the exact bytes that are signed", problems=("not_found",),
                  answers={200: Answer(meaning="the bytes every attempt carries")}),
            Route(method="POST", path="/v1/events/{id}/redeliver", handler=self.redeliver, name="redeliverEvent",
                  tag="events", summary="Send an event again to wherever it was owed",
                  problems=("not_found", "unknown_endpoint"),
                  answers={202: Answer(meaning="the deliveries now due", model=DeliveryList)}),
        ]  # fmt: skip

    async def feed(self, request: web.Request) -> web.Response:
        """Read the feed from a place on."""
        asked = query(request, EventPage)
        after = await self._place(asked.after)
        items = await self._read(after, asked.limit)
        if not items and asked.wait > 0:
            await self._patience.hold(request, self._deliveries.wait_for_event(after, asked.wait))
            items = await self._read(after, asked.limit)
        following = feed_cursor(items[-1].seq if items else after)
        data = b",".join(event_bytes(item) for item in items)
        return raw_reply(b'{"data":[' + data + b'],"next":' + encode(following) + b"}")

    async def show(self, request: web.Request) -> web.Response:
        """Show one event and what became of it."""
        query(request, NoQuery)
        item = await self._event(request)
        return raw_reply(event_bytes(item, await self._outbox.deliveries_of(item.id)))

    async def body(self, request: web.Request) -> web.Response:
        """Answer the signed bytes of one event."""
        query(request, NoQuery)
        return raw_reply((await self._event(request)).body)

    async def redeliver(self, request: web.Request) -> web.Response:
        """Owe one event again."""
        query(request, NoQuery)
        await forbid_body(request)
        owed = await self._deliveries.redeliver(EventId(request.match_info["id"]))
        return reply(page_json([delivery_json(record) for record in owed], None), 202)

    async def _event(self, request: web.Request) -> FeedItem:
        event_id = EventId(request.match_info["id"])
        item = await self._outbox.event(event_id)
        if item is None:
            raise _no_event(event_id)
        return item

    async def _place(self, after: str | None) -> int:
        if after is None:
            return 0
        if not (after.startswith("msg_") and is_id(after)):
            return seq_of(after)
        seq = await self._outbox.seq_of(EventId(after))
        if seq is None:
            raise _no_event(after)
        return seq

    async def _read(self, after: int, limit: int) -> list[FeedItem]:
        """Read in steps, so that a page is bounded in bytes as well as in number."""
        items: list[FeedItem] = []
        size = 0
        while len(items) < limit and size < PAGE_BYTES:
            wanted = min(STEP, limit - len(items))
            step = await self._outbox.feed(items[-1].seq if items else after, wanted)
            items += step
            size += sum(len(item.body) for item in step)
            if len(step) < wanted:
                break
        return items


def _no_event(event_id: str) -> NotFound:
    return NotFound(f"no event {event_id[:60]!r}; it may have been pruned: read on from a cursor, or from the start")
