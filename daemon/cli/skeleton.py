"""``pollhook`` without its commands: what stands before and behind them in every line of help."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon import __version__

EXIT_STATUS = "0 done, 1 failed, 2 bad usage or configuration, 3 could not start, 130 interrupted"


def skeleton() -> typer.Typer:
    """Return the command line as it is before any command is added."""
    app = typer.Typer(
        name="pollhook",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Webhooks for APIs that only poll.",
        epilog=f"Exit status: {EXIT_STATUS}.",
    )
    app.callback()(pollhook)
    return app


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


def _print_version(*, is_asked: bool) -> None:
    if is_asked:
        print(f"pollhook {__version__}")
        raise typer.Exit
