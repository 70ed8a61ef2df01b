"""Every command of ``pollhook``, put together under its heading."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from daemon.cli import endpoints, events, fleet, install, keeping, run, secret, tasks, top, writing
from daemon.cli.configuration import config
from daemon.cli.doctor.command import doctor
from daemon.cli.helping import command_of
from daemon.cli.skeleton import skeleton

app = skeleton()

RUN = "Run"
TASKS = "Tasks"
WEBHOOKS = "Events and webhooks"
DATA = "Data"
SETUP = "Setup"


class Shell(StrEnum):
    """The shells that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell to complete in.")]) -> None:
    """Print the completion script of a shell.

    bash: `pollhook completion bash > /etc/bash_completion.d/pollhook`. zsh: into a file `_pollhook` in a folder of
    $fpath. fish: `pollhook completion fish > ~/.config/fish/completions/pollhook.fish`.
    """
    os.environ["_POLLHOOK_COMPLETE"] = f"source_{shell}"
    command_of(app)(prog_name="pollhook")


app.command(rich_help_panel=RUN)(run.serve)
app.command(rich_help_panel=RUN)(run.demo)
app.command(rich_help_panel=RUN)(top.top)
app.command(rich_help_panel=TASKS)(tasks.watch)
app.command(rich_help_panel=TASKS)(tasks.tasks)
app.command(rich_help_panel=TASKS)(tasks.task)
app.command(rich_help_panel=TASKS)(tasks.stop)
app.command(rich_help_panel=WEBHOOKS)(events.events)
app.command(rich_help_panel=WEBHOOKS)(events.deliveries)
app.command(rich_help_panel=WEBHOOKS)(events.redeliver)
app.command(rich_help_panel=WEBHOOKS)(endpoints.replay)
app.command(rich_help_panel=WEBHOOKS)(run.listen)
app.command(rich_help_panel=WEBHOOKS)(secret.verify)
app.command(rich_help_panel=DATA)(keeping.backup)
app.command(rich_help_panel=DATA)(keeping.restore)
app.command(rich_help_panel=DATA)(keeping.export)
app.command(rich_help_panel=SETUP)(install.install)
app.command(rich_help_panel=SETUP)(install.uninstall)
app.command(rich_help_panel=SETUP)(secret.secret)
app.command(rich_help_panel=SETUP)(secret.token)
app.add_typer(doctor, name="doctor", rich_help_panel=SETUP)
app.add_typer(config, name="config", rich_help_panel=SETUP)
fleet.provider.command("check")(writing.check)
fleet.provider.command("try")(writing.try_)
fleet.provider.command("new")(writing.new)
fleet.provider.command("schema")(writing.schema)
app.add_typer(fleet.provider, name="provider", rich_help_panel=SETUP)
fleet.endpoint.command("add")(endpoints.put_endpoint)
fleet.endpoint.command("set", hidden=True)(endpoints.put_endpoint)
fleet.endpoint.command("rotate")(endpoints.rotate_endpoint)
fleet.endpoint.command("replay")(endpoints.replay)
fleet.endpoint.command("delete")(endpoints.delete_endpoint)
app.add_typer(fleet.endpoint, name="endpoint", rich_help_panel=SETUP)
app.command(rich_help_panel=SETUP)(completion)
