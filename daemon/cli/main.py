"""``pollhook``: the commands put together, and what every one of them does with a complaint."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from daemon import __version__
from daemon.cli import events, fleet, run, say, secret, tasks, writing
from daemon.cli.complaint import Complaint
from daemon.cli.configuration import config

app = typer.Typer(
    name="pollhook",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Webhooks for APIs that only poll.",
    epilog="Exit status: 0 done, 1 failed, 2 bad usage or configuration, 3 could not start.",
)

RUN = "Run"
TASKS = "Tasks"
WEBHOOKS = "Events and webhooks"
SETUP = "Setup"


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except Complaint as complaint:
        say.complain(complaint)
        sys.exit(complaint.status)


def _print_version(*, is_asked: bool) -> None:
    if is_asked:
        print(f"pollhook {__version__}")
        raise typer.Exit


@app.callback()
def pollhook(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda asked: _print_version(is_asked=asked),
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Webhooks for APIs that only poll."""
    del version


app.command(rich_help_panel=RUN)(run.serve)
app.command(rich_help_panel=RUN)(run.demo)
app.command(rich_help_panel=TASKS)(tasks.watch)
app.command(rich_help_panel=TASKS)(tasks.tasks)
app.command(rich_help_panel=TASKS)(tasks.task)
app.command(rich_help_panel=TASKS)(tasks.stop)
app.command(rich_help_panel=WEBHOOKS)(events.events)
app.command(rich_help_panel=WEBHOOKS)(events.deliveries)
app.command(rich_help_panel=WEBHOOKS)(events.redeliver)
app.command(rich_help_panel=WEBHOOKS)(run.listen)
app.command(rich_help_panel=WEBHOOKS)(secret.verify)
app.command(rich_help_panel=SETUP)(secret.secret)
app.command(rich_help_panel=SETUP)(secret.token)
app.add_typer(config, name="config", rich_help_panel=SETUP)
fleet.provider.command("check")(writing.check)
fleet.provider.command("try")(writing.try_)
fleet.provider.command("new")(writing.new)
fleet.provider.command("schema")(writing.schema)
app.add_typer(fleet.provider, name="provider", rich_help_panel=SETUP)
app.add_typer(fleet.endpoint, name="endpoint", rich_help_panel=SETUP)
