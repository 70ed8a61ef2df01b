"""The commands about events and deliveries: events, deliveries, redeliver."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import feed, options, say
from daemon.cli.client import Object, in_path, items
from daemon.cli.connect import connect
from daemon.core.delivery import DeliveryState
from daemon.core.observation import Json

HOLD = 30.0
EVENT_COLUMNS: tuple[say.Column, ...] = (
    ("id", say.field("id")),
    ("created", say.time_of("created_at")),
    ("type", say.field("type")),
    ("provider", lambda event: _data(event).get("provider")),
    ("remote id", lambda event: _data(event).get("remote_id")),
    ("task", lambda event: _data(event).get("task_id")),
)
DELIVERY_COLUMNS: tuple[say.Column, ...] = (
    ("id", say.field("id")),
    ("event", say.field("event_id")),
    ("type", say.field("event_type")),
    ("endpoint", say.field("endpoint")),
    ("state", say.field("state")),
    ("attempts", say.field("attempt_count")),
    ("due", say.time_of("due_at")),
    ("reason", say.field("reason")),
)
ATTEMPT_COLUMNS: tuple[say.Column, ...] = (
    ("attempt", say.field("number")),
    ("started", say.time_of("started_at")),
    ("seconds", say.field("seconds")),
    ("http", say.field("http_status")),
    ("refusal", say.field("refusal")),
    ("address", say.field("address")),
    ("stages", lambda attempt: _stages(attempt.get("stages"))),
    ("detail", say.field("detail")),
    ("next", say.time_of("next_at")),
    ("why", say.field("next_why")),
)


def events(
    *,
    after: Annotated[str | None, typer.Option(metavar="CURSOR|ID", help="Go on after this place in the feed.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for further events until Ctrl-C.")] = False,
    limit: options.Limit = 100,
    every: options.All = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Read the feed of events, oldest first: the same ids and bytes as the webhooks."""
    api = connect(server, config)
    if not follow:
        found = feed.events(api, after, limit=None if every else limit, wait=None)
        say.rows(found, EVENT_COLUMNS, as_json=as_json, empty="no events")
        return
    try:
        for event in feed.events(api, after, limit=None, wait=HOLD):
            if as_json:
                say.json_line(event)
            else:
                print("  ".join(say.cell(read(event)) for _, read in EVENT_COLUMNS), flush=True)
    except KeyboardInterrupt:
        raise typer.Exit from None


def deliveries(
    delivery_id: Annotated[str | None, typer.Argument(metavar="ID", help="Show this one with its attempts.")] = None,
    *,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those in this state.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only those to this endpoint.")] = None,
    limit: options.Limit = 50,
    every: options.All = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """List deliveries, newest first; with an id, show one with every attempt."""
    api = connect(server, config)
    if delivery_id is not None:
        _show(api.get(f"/v1/deliveries/{in_path(delivery_id)}"), as_json=as_json)
        return
    wanted = {"state": None if state is None else state.value, "endpoint": endpoint}
    found = api.pages("/v1/deliveries", limit=None if every else limit, **wanted)
    say.rows(found, DELIVERY_COLUMNS, as_json=as_json, empty="no deliveries")


def redeliver(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="An event's id (msg_…), or a delivery's (dlv_…).")],
    *,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Send an event again to wherever it was owed, or one delivery of it."""
    if event_id.startswith("dlv_"):
        delivery = connect(server, config).post(f"/v1/deliveries/{in_path(event_id)}/redeliver")
        say.rows([delivery], DELIVERY_COLUMNS, as_json=as_json, empty="")
        return
    answer = connect(server, config).post(f"/v1/events/{in_path(event_id)}/redeliver")
    say.rows(items(answer), DELIVERY_COLUMNS, as_json=as_json, empty="that event is owed to no endpoint")


def _show(delivery: Object, *, as_json: bool) -> None:
    if as_json:
        say.json_line(delivery)
        return
    say.facts((name, read(delivery)) for name, read in DELIVERY_COLUMNS)
    made = delivery.get("attempts")
    attempts = [attempt for attempt in made if isinstance(attempt, dict)] if isinstance(made, list) else []
    print()
    say.rows(attempts, ATTEMPT_COLUMNS, as_json=False, empty="no attempt yet")


def _stages(stages: Json) -> str:
    """Return the stages an attempt went through, in milliseconds, in their order."""
    timed = stages.items() if isinstance(stages, dict) else ()
    return ", ".join(f"{name} {taken * 1000:.1f} ms" for name, taken in timed if isinstance(taken, int | float))


def _data(event: Object) -> dict[str, Json]:
    body = event.get("body")
    data = body.get("data") if isinstance(body, dict) else None
    return data if isinstance(data, dict) else {}
