"""The commands about the configuration: ``config check`` and ``config show``."""

from __future__ import annotations

import os

import typer

from daemon.cli import options, say
from daemon.cli.complaint import misuse

config = typer.Typer(no_args_is_help=True, help="The configuration: is it right, and what does it amount to.")


@config.command()
def check(*, as_json: options.AsJson = False, config: options.ConfigFile = None) -> None:
    """Check the configuration and every provider in it; exit 2 if the daemon would not start with it."""
    from daemon.cli.settings import read_settings  # noqa: PLC0415 (pydantic is imported only where it is needed)
    from daemon.config import located  # noqa: PLC0415
    from daemon.providers.catalog import Catalog  # noqa: PLC0415
    from daemon.providers.mistakes import DefinitionError  # noqa: PLC0415

    settings = read_settings(config)
    faults: list[tuple[str, tuple[str, ...]]] = []
    try:
        catalog = Catalog(settings.providers_dir)
        for name, table in settings.providers.items():
            try:
                catalog.account(name, table)
            except DefinitionError as error:
                faults += error.faults
    except DefinitionError as error:
        faults += error.faults
    if faults:
        raise misuse("the configuration cannot be used", *located(faults, config, os.environ))
    if as_json:
        say.json_line({"ok": True, "providers": [*settings.providers], "endpoints": [*settings.endpoints]})
        return
    lanes, endpoints = ", ".join(settings.providers) or "none", ", ".join(settings.endpoints) or "none"
    say.facts((("configuration", "good"), ("providers", lanes), ("endpoints", endpoints)))


@config.command()
def show(*, config: options.ConfigFile = None) -> None:
    """Print the effective configuration as JSON, secrets masked."""
    from daemon.cli.settings import read_settings  # noqa: PLC0415 (pydantic is imported only where it is needed)
    from daemon.config import describe  # noqa: PLC0415

    say.json_block(describe(read_settings(config)))
