"""The options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Server = Annotated[
    str | None,
    typer.Option("--server", envvar="POLLHOOK_SERVER", metavar="ADDRESS", help="Where the daemon listens."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="The config file; else $POLLHOOK_CONFIG, else the system's."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's own JSON; a list as one object to a line.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many entries.")]
All = Annotated[bool, typer.Option("--all", help="Every entry there is.")]
ToWait = Annotated[bool, typer.Option("--wait", "-w", help="Wait until the task ends; exit 0 if it succeeded.")]
