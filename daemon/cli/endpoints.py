"""The commands that change endpoints: ``endpoint add|set|delete|rotate|replay`` and ``replay``.

A new secret is printed once, on stdout with the rest of the answer; nobody can ask for it again over the API.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import options, say
from daemon.cli.client import Api, Object, in_path
from daemon.cli.complaint import misuse
from daemon.cli.connect import connect
from daemon.cli.moments import instant
from daemon.core.observation import Json


class Settled(StrEnum):
    """The states a delivery can be sent again from."""

    DELIVERED = "delivered"
    PARKED = "parked"
    DEAD = "dead"


class Kind(StrEnum):
    """The keys an endpoint can have."""

    SECRET = "secret"
    SIGNING_KEY = "signing_key"


Name = Annotated[str, typer.Argument(metavar="NAME")]
Url = Annotated[str, typer.Argument(metavar="URL", help="Where the events are POSTed.")]
Secret = Annotated[str | None, typer.Option(help="A whsec_ secret of your own; else one is made, or stays.")]
SigningKey = Annotated[
    str | None, typer.Option(metavar="KEY|generate", help="An Ed25519 key (whsk_) that signs beside the secret.")
]
Header = Annotated[list[str] | None, typer.Option("--header", "-H", help='Sent along: "Name: value". Repeatable.')]
Event = Annotated[list[str] | None, typer.Option("--event", help='A type it wants, or "task.*". Repeatable.')]
Provider = Annotated[list[str] | None, typer.Option("--provider", help="A provider it wants to hear of. Repeatable.")]
Where = Annotated[str | None, typer.Option(help="A JMESPath predicate over the event.")]
Span = Annotated[str | None, typer.Option(metavar="SPAN")]
Rate = Annotated[float | None, typer.Option(help="Attempts per second.")]
Concurrency = Annotated[int | None, typer.Option(help="Attempts in flight.")]
Schedule = Annotated[str | None, typer.Option(help='Waits after the first attempt: "5s,1m,10m".')]
Ca = Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="PEM certificates to trust beside the system's.")]
StoreResponse = Annotated[
    bool, typer.Option("--store-response", help="Keep the first 1 KiB of each answer in the attempt log, keys masked.")
]
State = Annotated[list[Settled] | None, typer.Option("--state", help="Only those. Repeatable.")]
Since = Annotated[str, typer.Option(metavar="TIME|SPAN", help="Made since then: a time, or a span back from now.")]
Until = Annotated[str | None, typer.Option(metavar="TIME|SPAN", help="Made before then; else until now.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count what would be sent again.")]


def put_endpoint(
    name: Name,
    url: Url,
    *,
    secret: Secret = None,
    signing_key: SigningKey = None,
    header: Header = None,
    event: Event = None,
    provider: Provider = None,
    where: Where = None,
    timeout: Span = None,
    schedule: Schedule = None,
    concurrency: Concurrency = None,
    rate: Rate = None,
    disable_after: Span = None,
    ca: Ca = None,
    store_response: StoreResponse = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Create an endpoint, or replace one made so before; its keys stay unless others are given."""
    given: dict[str, Json] = {
        "url": url,
        "secret": secret,
        "signing_key": signing_key,
        "headers": _headers(header or []) or None,
        "events": list(event or []) or None,
        "providers": list(provider or []) or None,
        "where": where,
        "timeout": timeout,
        "schedule": None if schedule is None else [part.strip() for part in schedule.split(",")],
        "concurrency": concurrency,
        "rate": rate,
        "disable_after": disable_after,
        "ca": None if ca is None else _pem(ca),
        "store_response": store_response or None,
    }
    body: dict[str, Json] = {key: value for key, value in given.items() if value is not None}
    answer = connect(server, config).call("PUT", f"/v1/endpoints/{in_path(name)}", body=body)
    show_endpoint(answer, as_json=as_json)
    _say_once(answer)


def delete_endpoint(
    name: Name, *, as_json: options.AsJson = False, server: options.Server = None, config: options.ConfigFile = None
) -> None:
    """Delete an endpoint made over the API; what it is still owed is parked, none is lost."""
    last = connect(server, config).call("DELETE", f"/v1/endpoints/{in_path(name)}")
    if as_json:
        say.json_line(last)
    else:
        say.note(f"deleted {name}; what it is owed: pollhook deliveries --endpoint {name} --state parked")


def rotate_endpoint(
    name: Name,
    *,
    grace: Annotated[str, typer.Option(help="How long the old key signs beside the new one: 0 to 7d.")] = "24h",
    kind: Annotated[Kind, typer.Option(help="Which key.")] = Kind.SECRET,
    key: Annotated[str | None, typer.Option(help="The new key, if it is not to be made.")] = None,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Give an endpoint a new signing key; both sign until the grace is over."""
    body: dict[str, Json] = {"grace": grace, "kind": kind.value}
    if key is not None:
        body["key"] = key
    answer = connect(server, config).post(f"/v1/endpoints/{in_path(name)}/rotate", body)
    show_endpoint(answer, as_json=as_json)
    _say_once(answer)


def replay(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The endpoint; without it, every one.")] = None,
    *,
    since: Since,
    until: Until = None,
    state: State = None,
    dry_run: DryRun = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Send again what was owed in a window of time, delivered or not; receivers know what they have by its id."""
    api = connect(server, config)
    now = datetime.now(UTC)
    body: dict[str, Json] = {"since": instant(since, "--since", now).isoformat(), "dry_run": dry_run}
    if until is not None:
        body["until"] = instant(until, "--until", now).isoformat()
    if state:
        body["states"] = [one.value for one in state]
    names = [name] if name is not None else _enabled(api)
    found = [_replayed(api, one, body) for one in names]
    columns: tuple[say.Column, ...] = (
        ("endpoint", say.field("endpoint")),
        ("would be sent" if dry_run else "sent again", say.field("count")),
        ("of them", _by_state),
        ("oldest", say.time_of("oldest_at")),
        ("newest", say.time_of("newest_at")),
    )
    say.rows(found, columns, as_json=as_json, empty="there is no endpoint to send to")


def show_endpoint(found: Object, *, as_json: bool) -> None:
    """Print one endpoint."""
    if as_json:
        say.json_line(found)
        return
    say.facts(
        (name.replace("_", " "), say.moment(value) if name.endswith("_at") and value else value)
        for name, value in found.items()
    )


def _replayed(api: Api, name: str, body: dict[str, Json]) -> Object:
    return {"endpoint": name, **api.post(f"/v1/endpoints/{in_path(name)}/replay", body)}


def _enabled(api: Api) -> list[str]:
    listed = api.get("/v1/endpoints")["data"]
    rows = listed if isinstance(listed, list) else []
    return [str(one["name"]) for one in rows if isinstance(one, dict) and one.get("state") != "disabled"]


def _by_state(one: Object) -> str:
    states = one.get("by_state")
    return ", ".join(f"{count} {state}" for state, count in states.items()) if isinstance(states, dict) else ""


def _say_once(answer: Object) -> None:
    if answer.get("secret") or answer.get("signing_key"):
        say.note("the key above is told this once: give it to the receiver now")


def _headers(given: list[str]) -> dict[str, Json]:
    headers: dict[str, Json] = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise misuse(f'--header must read "Name: value", got "{name}"')
        headers[name.strip()] = value.strip()
    return headers


def _pem(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise misuse(f"--ca {file} cannot be read as PEM text: {error}") from None
