"""``pollhook doctor``: every check, one after the other, and an exit status that scripts can use."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from daemon.cli import options, say
from daemon.cli.complaint import Exit
from daemon.cli.doctor.finding import Finding, Severity, error

doctor = typer.Typer(invoke_without_command=True)
STYLES = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.ERROR: "bold red"}
WIDTH = max(map(len, Severity))
INDENT = " " * (WIDTH + 2)


@doctor.callback()
def examine(
    context: typer.Context,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody outside: no names, providers, endpoints.")
    ] = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Look at everything the daemon depends on, and say what to do; exit 1 if anything is an error.

    Checked are the configuration, who may read it, the state folder, sockets, the database, the disk, the clock, names,
    each provider with one harmless authenticated request, each endpoint with a connection, the running daemon, and the
    systemd unit. Nothing is changed and nothing that bills is sent.
    """
    if context.invoked_subcommand is not None:
        return
    counts: Counter[Severity] = Counter()
    for finding in _findings(server, config, offline=offline):
        counts[finding.severity] += 1
        shown(finding, as_json=as_json)
    if not as_json:
        say.note(", ".join(f"{counts[each]} {each}" for each in Severity))
    raise typer.Exit(Exit.FAILED if counts[Severity.ERROR] else Exit.DONE)


def _findings(server: str | None, config: Path | None, *, offline: bool) -> Iterator[Finding]:
    from daemon.cli import settings as found  # noqa: PLC0415 (the checks are heavy, and run here alone)
    from daemon.cli.doctor import clock, database, service, setup, unit  # noqa: PLC0415
    from daemon.cli.system import service_environ  # noqa: PLC0415
    from daemon.config import ConfigError, load  # noqa: PLC0415

    began = time.time(), time.monotonic()
    try:
        settings = load(config, {}, service_environ(config))
    except ConfigError as failure:
        advice = "mend it, then `pollhook config check`"
        yield from (error(setup.CONFIG, str(each), advice) for each in failure.problems)
        return
    yield from setup.configuration(settings, config)
    accounts, faults = setup.accounts(settings, config)
    yield from faults
    path = found.database_file(settings)
    yield from setup.state(path)
    yield from service.sockets(settings)
    yield from database.database(path)
    yield from database.disk(path)
    yield from clock.clock(path.parent, now_at=began[0])
    if not offline:
        from daemon.cli.doctor.outside import outside  # noqa: PLC0415 (aiohttp is imported only to ask others)

        logging.disable(logging.CRITICAL)
        yield from asyncio.run(outside(accounts, {name: each.url for name, each in settings.endpoints.items()}))
    yield from service.daemon(server, config)
    yield from unit.unit(settings)
    yield from clock.stepped(clock.drift(began))


def shown(finding: Finding, *, as_json: bool) -> None:
    """Print one finding."""
    if as_json:
        say.json_line(finding.told)
    else:
        _print(finding)


@doctor.command("endpoint")
def endpoint(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the config file, or made over the API.")],
    *,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Resolve, connect, TLS, sign and send a signed test to an endpoint, each step explained."""
    from daemon.cli.doctor.endpoint import examined  # noqa: PLC0415 (aiohttp is imported only to ask others)

    logging.disable(logging.CRITICAL)
    status = Exit.DONE
    for finding in examined(name, config):
        shown(finding, as_json=as_json)
        status = Exit.FAILED if finding.severity is Severity.ERROR else status
    raise typer.Exit(status)


def _print(finding: Finding) -> None:
    """Print one finding; what to do stands below what was seen."""
    text = say.clean(f"{finding.area}: {finding.text}")
    if sys.stdout.isatty():
        line = Text.assemble((f"{finding.severity:<{WIDTH}}", STYLES[finding.severity]), f"  {text}")
        Console().print(line, soft_wrap=True)
    else:
        print(f"{finding.severity:<{WIDTH}}  {text}")
    if finding.advice:
        print(f"{INDENT}{say.clean(finding.advice)}")
    sys.stdout.flush()
