"""The commands about what is configured and how it fares: ``provider …`` and ``endpoint …``."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import options, say
from daemon.cli.client import Object, in_path, items
from daemon.cli.connect import connect
from daemon.cli.endpoints import show_endpoint as show_one

LANE_COLUMNS: tuple[say.Column, ...] = (
    ("provider", say.field("name")),
    ("preset", say.field("preset")),
    ("state", say.field("state")),
    ("tasks", say.field("tasks")),
    ("in flight", say.field("in_flight")),
    ("polls", say.field("polls")),
    ("rate/s", say.field("rate")),
    ("evidence", say.field("evidence")),
    ("last trouble", say.field("last_miss")),
)
PRESET_COLUMNS: tuple[say.Column, ...] = (
    ("preset", say.field("name")),
    ("title", say.field("title")),
    ("evidence", say.field("evidence")),
    ("unverified", say.field("unverified")),
    ("source", say.field("docs")),
)
ENDPOINT_COLUMNS: tuple[say.Column, ...] = (
    ("endpoint", say.field("name")),
    ("url", say.field("url")),
    ("from", say.field("source")),
    ("state", say.field("state")),
    ("pending", say.field("pending")),
    ("parked", say.field("parked")),
    ("dead", say.field("dead")),
    ("keys", say.field("keys")),
)
Name = Annotated[str, typer.Argument(metavar="NAME")]

provider = typer.Typer(no_args_is_help=True, help="Providers: load, limits and health of each lane.")
endpoint = typer.Typer(no_args_is_help=True, help="Endpoints: where the webhooks go, and how they are taken.")


@provider.command("list")
def list_providers(
    *,
    presets: Annotated[
        bool, typer.Option("--presets", help="List every definition that ships instead; asks no daemon.")
    ] = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """List the configured providers, or the presets that ship and what each was written from."""
    if presets:
        say.rows(_presets(), PRESET_COLUMNS, as_json=as_json, empty="no preset ships with this installation")
        return
    found = items(connect(server, config).get("/v1/providers"))
    say.rows(found, LANE_COLUMNS, as_json=as_json, empty="no provider is configured: add a [providers.NAME] table")


def _presets() -> list[Object]:
    from daemon.providers.catalog import Catalog  # noqa: PLC0415 (heavy, and needed here alone)

    catalog = Catalog()
    shown: list[Object] = []
    for name in catalog.names:
        definition = catalog.definition(name)
        facts: Object = {
            "name": name,
            "title": definition.title,
            "evidence": definition.evidence,
            "unverified": len(definition.unverified),
            "docs": definition.docs,
        }
        shown.append(facts)
    return shown


@provider.command("show")
def show_provider(
    name: Name,
    *,
    definition: Annotated[
        bool, typer.Option("--definition", help="Print the TOML it is made of; asks no daemon.")
    ] = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Show a provider: its limits, and parked or not and why; or its definition."""
    if definition:
        from daemon.cli.definitions import text_of  # noqa: PLC0415 (pydantic is imported only where it is needed)

        print(text_of(name, config), end="")
        return
    show_one(connect(server, config).get(f"/v1/providers/{in_path(name)}"), as_json=as_json)


@endpoint.command("list")
def list_endpoints(
    *, as_json: options.AsJson = False, server: options.Server = None, config: options.ConfigFile = None
) -> None:
    """List the endpoints."""
    found = items(connect(server, config).get("/v1/endpoints"))
    say.rows(
        found,
        ENDPOINT_COLUMNS,
        as_json=as_json,
        empty="no endpoint is configured: `pollhook endpoint add NAME URL`, or an [endpoints.NAME] table",
    )


@endpoint.command("show")
def show_endpoint(
    name: Name,
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print the signing secret, too.")] = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Show an endpoint; its keys by fingerprint, its secret only with --reveal."""
    found = connect(server, config).get(f"/v1/endpoints/{in_path(name)}")
    if reveal:
        from daemon.cli.secret import secret_of  # noqa: PLC0415 (the service is imported only where it is needed)

        found["secret"] = secret_of(name, config)
    show_one(found, as_json=as_json)


@endpoint.command("test")
def send_test(
    name: Name,
    *,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Send a signed test event to an endpoint."""
    delivery = connect(server, config).post(f"/v1/endpoints/{in_path(name)}/test")
    show_one(delivery, as_json=as_json)
    if not as_json:
        say.note(f"what came of it: pollhook deliveries {delivery['id']}")


@endpoint.command("enable")
def enable_endpoint(
    name: Name,
    *,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Enable an endpoint and send what was parked."""
    show_one(connect(server, config).post(f"/v1/endpoints/{in_path(name)}/enable"), as_json=as_json)


@endpoint.command("disable")
def disable_endpoint(
    name: Name,
    *,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Disable an endpoint; its events wait, none is lost."""
    show_one(connect(server, config).post(f"/v1/endpoints/{in_path(name)}/disable"), as_json=as_json)
