"""``pollhook install`` and ``uninstall``: print, or do, what a person would otherwise copy by hand."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.complaint import Complaint, Exit, misuse
from daemon.cli.installation import OLDEST_SYSTEMD, Plan, own_program
from daemon.cli.steps import Step

GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
NEXT = """
next:
  a provider's key   ( umask 077; cat > /etc/pollhook/credentials/providers__NAME__api_key )   # paste it, then Ctrl-D
  its lane           $EDITOR /etc/pollhook/config.toml        # uncomment [providers.NAME] and [endpoints.default]
  take both          systemctl restart pollhook               # for the file alone: systemctl reload pollhook
  look               systemctl status pollhook; journalctl -u pollhook -o cat -f; pollhook doctor
  undo               pollhook uninstall"""

ToApply = Annotated[bool, typer.Option("--apply", help="Do it (as root) instead of printing the lines of shell.")]
Root = Annotated[
    Path, typer.Option("--root", metavar="DIR", help="Install below this folder and start nothing: for packages.")
]


def install(
    *,
    apply: ToApply = False,
    group: Annotated[
        str | None, typer.Option(metavar="GROUP", help="Who may use the unix socket; made where missing.")
    ] = None,
    no_start: Annotated[bool, typer.Option("--no-start", help="Enable the units, but do not start them.")] = False,
    root: Root = Path("/"),
) -> None:
    """Set Pollhook up under systemd: print the shell lines for it, or do it with --apply. Running it again is safe."""
    if group is not None and GROUP.fullmatch(group) is None:
        raise misuse(f'--group must be a name of small letters, digits, "-" and "_", got "{group}"')
    plan = Plan(program=own_program(), root=root, group=group, systemd=_systemd(apply), is_started=not no_start)
    _go(plan.steps(), apply=apply, root=root, again="pollhook install --apply")
    if apply and root == Path("/"):
        print(NEXT)


def uninstall(
    *,
    apply: ToApply = False,
    purge: Annotated[
        bool, typer.Option("--purge", help="Configuration, keys, tasks and events too; nothing brings them back.")
    ] = False,
    root: Root = Path("/"),
) -> None:
    """Take Pollhook's units away again; configuration and state stay unless --purge."""
    plan = Plan(program=own_program(), root=root)
    _go(plan.removal(is_purged=purge), apply=apply, root=root, again="pollhook uninstall --apply")
    if apply and not purge:
        print("kept: /etc/pollhook and /var/lib/pollhook; `pollhook uninstall --purge --apply` removes them")


def _go(steps: Sequence[Step], *, apply: bool, root: Path, again: str) -> None:
    if not apply:
        print(f"# as root; `{again}` does the same and says what it did\nset -e")
        for step in steps:
            print(step.shell())
        return
    if os.geteuid() != 0 and root == Path("/"):
        raise Complaint(f"--apply needs root: sudo {own_program().parent}/{again}", status=Exit.USAGE)
    for step in steps:
        try:
            print(step.take(), flush=True)
        except OSError as error:
            raise Complaint(f"cannot go on with {error.filename}: {error.strerror}") from None


def _systemd(apply: bool) -> int:
    """Return the version of systemd; where there is none, the oldest known will do for printing."""
    try:
        said = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S607 (as a person would call it)
    except OSError:
        if apply:
            raise Complaint("there is no systemctl here", status=Exit.NOT_STARTED) from None
        return OLDEST_SYSTEMD
    found = re.search(r"systemd (\d+)", said)
    return int(found[1]) if found else OLDEST_SYSTEMD
