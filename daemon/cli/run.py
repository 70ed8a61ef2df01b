"""The commands that run something: serve, demo, listen."""

from __future__ import annotations

import asyncio
import secrets
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import options
from daemon.cli.complaint import Complaint, Exit, misuse
from daemon.core.origin import parse_origin
from daemon.core.signing import BadSecret, encode_secret, hmac_key

SECRET_BYTES = 32


class Level(StrEnum):
    """How much the log tells."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Form(StrEnum):
    """How the log is written."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


def serve(
    *,
    config: options.ConfigFile = None,
    listen: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help='"127.0.0.1:8710" or "unix:/path"; may be repeated.')
    ] = None,
    database: Annotated[Path | None, typer.Option(metavar="FILE", help="The SQLite file.")] = None,
    log_level: Annotated[Level | None, typer.Option(help="How much the log tells.")] = None,
    log_format: Annotated[Form | None, typer.Option(help="How the log is written.")] = None,
) -> None:
    """Run the daemon in the foreground."""
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # not to be found: structlog takes it where it can
    from daemon.service import serve as run_service  # noqa: PLC0415 (the whole daemon is imported only to run it)

    said: dict[str, object] = {
        "server.listen": listen or None,
        "store.path": None if database is None else str(database),
        "log.level": None if log_level is None else log_level.value,
        "log.format": None if log_format is None else log_format.value,
    }
    overrides = {name: value for name, value in said.items() if value is not None}
    raise typer.Exit(run_service(config, overrides))


def demo(
    *,
    tasks: Annotated[int, typer.Option(min=5, max=2000, help="How many tasks to register.")] = 200,
    seed: Annotated[int, typer.Option(help="Another seed, another story.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database, the config file and the log.")] = False,
) -> None:
    """Run the whole thing on this machine: five simulated providers, a receiver, the daemon killed half way."""
    if find_spec("standardwebhooks") is None:
        hint = "pip install 'pollhook[demo]'"
        raise Complaint("the demo verifies with the standardwebhooks package", hint, status=Exit.NOT_STARTED)
    from daemon.demo.show import run  # noqa: PLC0415 (the demo is imported only to run it)

    try:
        status = asyncio.run(run(tasks=tasks, seed=seed, keep=keep))
    except asyncio.CancelledError:
        raise Complaint("the demo was ended before its end") from None
    raise typer.Exit(status)


def listen(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 9000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    secret: Annotated[
        str | None, typer.Option(envvar="POLLHOOK_SECRET", help="The whsec_ secret; a new one where absent.")
    ] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="NAME|URL", help="Use the secret of this endpoint.")] = None,
    forward_to: Annotated[
        str | None, typer.Option(metavar="URL", help="Pass good webhooks on, and answer as that URL does.")
    ] = None,
    fail_rate: Annotated[float, typer.Option(min=0.0, max=1.0, help="Answer so many with 503.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print each body as it came, remarks on stderr.")] = False,
    config: options.ConfigFile = None,
) -> None:
    """Receive webhooks: verify each signature, print it, pass it on where asked.

    Try how retries look: `pollhook listen --fail-rate 0.3`.
    """
    from daemon.cli import hear  # noqa: PLC0415 (http.server is imported only to listen)

    if endpoint is not None:
        from daemon.cli.secret import secret_of  # noqa: PLC0415 (as above)

        secret = secret_of(endpoint, config)
    chosen = secret or encode_secret(secrets.token_bytes(SECRET_BYTES))
    try:
        key = hmac_key(chosen)
    except BadSecret as error:
        raise misuse(str(error)) from None
    if endpoint is None:
        hear.introduce(chosen, host, port)
    onward = None if forward_to is None else hear.Onward(_forward_target(forward_to))
    hear.hear(hear.Ear(key=key, fail_rate=fail_rate, as_json=as_json, forward=onward), host, port)


def _forward_target(url: str) -> str:
    try:
        parse_origin(url)
    except ValueError as error:
        raise misuse(f"--forward-to cannot be used: {error}") from None
    return url
