"""``pollhook``: from the words of a command line to its exit status.

Guarded here: the daemon pays for nothing that only other commands need, so ``serve`` is put together by itself.
"""

from __future__ import annotations

import gc
import sys

from daemon.cli.complaint import Complaint


def main() -> None:
    """Run the command line and exit."""
    run = _run_serve if sys.argv[1:2] == ["serve"] else _run_any
    try:
        run()
    except Complaint as complaint:
        from daemon.cli.say import complain  # noqa: PLC0415 (rich is imported only to complain)

        complain(complaint)
        sys.exit(complaint.status)


def _run_serve() -> None:
    gc.disable()  # the daemon turns it on once it is put together: until then there is much to make and nothing to find
    from daemon.cli import run  # noqa: PLC0415 (as below)
    from daemon.cli.helping import command_of  # noqa: PLC0415 (as below)
    from daemon.cli.skeleton import skeleton  # noqa: PLC0415 (as below)

    app = skeleton()
    app.command()(run.serve)
    try:
        command_of(app)(prog_name="pollhook")
    finally:
        gc.enable()


def _run_any() -> None:
    from daemon.cli.helping import command_of  # noqa: PLC0415 (every command is imported only where one of them may run)
    from daemon.cli.whole import app  # noqa: PLC0415 (as above)

    command_of(app)(prog_name="pollhook")
