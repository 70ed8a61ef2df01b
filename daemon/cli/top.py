"""``pollhook top``: how lanes and endpoints fare, drawn anew every few seconds."""

from __future__ import annotations

import sys
import time
from math import isfinite
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from daemon.cli import options, say
from daemon.cli.client import Api, Object
from daemon.cli.complaint import Complaint
from daemon.cli.connect import connect


def top(
    *,
    interval: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look twice, print the figures in between, and end.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as one JSON object for each look.")
    ] = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Watch lanes and endpoints live: load, rates, lateness, price and health; Ctrl-C ends it.

    Lateness is the start of a poll minus when it was due: the bound that 99 of 100 polls since the last look kept.
    Price is the seconds of delay that one poll is worth; it rises where a provider's rate is too low for its tasks.
    """
    api = connect(server, config)
    try:
        if as_json or once or not sys.stdout.isatty():
            _print(api, interval, once=once or not as_json, as_json=as_json)
        else:
            _show(api, interval)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _print(api: Api, interval: float, *, once: bool, as_json: bool) -> None:
    from daemon.cli import dashboard, scrape  # noqa: PLC0415 (the metrics' parser is imported only to look)

    before = scrape.look(api)
    while True:
        time.sleep(interval)
        now = scrape.look(api)
        shown = dashboard.figures(before, now)
        if as_json:
            say.json_line(_finite(shown))
        else:
            Console().print(dashboard.drawn(shown, str(api.where)))
        if once:
            return
        before = now


def _show(api: Api, interval: float) -> None:
    from daemon.cli import dashboard, scrape  # noqa: PLC0415 (the metrics' parser is imported only to look)

    console = Console()
    before = scrape.look(api)
    with Live(Text("looking …"), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            try:
                now = scrape.look(api)
            except Complaint as complaint:
                live.update(Text(f"{complaint.text}\n\ntrying again …", style="red"), refresh=True)
                continue
            shown = dashboard.figures(before, now)
            live.update(dashboard.drawn(shown, str(api.where), height=console.height), refresh=True)
            before = now


def _finite(shown: Object) -> Object:
    """Return the figures without infinity, which JSON does not know: a lateness past the last bucket is null."""
    kept: Object = {}
    for name, value in shown.items():
        if isinstance(value, float) and not isfinite(value):
            kept[name] = None
        elif isinstance(value, list):
            kept[name] = [_finite(each) if isinstance(each, dict) else each for each in value]
        else:
            kept[name] = value
    return kept
