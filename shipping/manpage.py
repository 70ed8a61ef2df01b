"""Write ``shipping/pollhook.1`` from the command line's own words: ``python -m shipping.manpage``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon import __version__
from daemon.cli.helping import command_of
from daemon.cli.whole import app

FILE = Path(__file__).with_name("pollhook.1")
SUMMARY = "webhooks for APIs that only poll"
ABOUT = """\
Pollhook is a daemon that watches slow generation tasks at providers that offer nothing but a status URL, and POSTs one
signed webhook the moment each ends. Tasks are registered over a local HTTP API or with \\fBpollhook watch\\fR.
.PP
Every command but \\fBserve\\fR and \\fBdemo\\fR asks the running daemon or reads the configuration; it finds the
socket, the address and the token by itself. Lists are tables for people and, with \\fB\\-\\-json\\fR, one JSON
object to a line. Nothing is coloured that does not go to a terminal, or where NO_COLOR is set."""
STATUS = (
    ("0", "Done."),
    ("1", "Failed; or a task that was waited for did not succeed, or the doctor found an error."),
    ("2", "Bad usage or configuration."),
    ("3", "Could not start."),
    (
        "130",
        "Interrupted by Ctrl\\-C; what is only ended so (top, tasks \\-\\-follow, events \\-\\-follow) ends with 0.",
    ),
)
ENVIRONMENT = (
    ("POLLHOOK_CONFIG", "The config file, where \\-\\-config names none."),
    ("POLLHOOK_SERVER", "Where the daemon listens, where \\-\\-server does not say it."),
    ("POLLHOOK_TOKEN", "The API token; else it is read from the file api\\-token beside the database."),
    ("POLLHOOK_SECRET", "The whsec_ secret of listen and verify."),
    ("POLLHOOK_...", "Every setting by its path, as in POLLHOOK_PROVIDERS__AMUX__API_KEY."),
    ("NO_COLOR", "Colour nothing."),
)
FILES = (
    ("/etc/pollhook/config.toml", "The configuration."),
    ("/var/lib/pollhook/pollhook.db", "The database; beside it api\\-token, master\\-key and outputs/."),
    ("/run/pollhook/api.sock", "The API's unix socket, where systemd's socket unit is installed."),
)


def page() -> str:
    """Return the manual page as roff."""
    command: Any = command_of(app)
    context = command.context_class(command, info_name="pollhook")
    lines = [
        f'.TH POLLHOOK 1 "" "pollhook {__version__}" "User Commands"',
        ".SH NAME",
        f"pollhook \\- {SUMMARY}",
        ".SH SYNOPSIS",
        ".B pollhook\n[\\-\\-version] [\\-h] \\fICOMMAND\\fR [\\fIARGS\\fR]...",
        ".SH DESCRIPTION",
        ABOUT,
        ".SH COMMANDS",
        *_commands(command, context),
        *_listed("EXIT STATUS", STATUS),
        *_listed("ENVIRONMENT", ENVIRONMENT),
        *_listed("FILES", FILES),
        ".SH SEE ALSO",
        ".BR systemctl (1),\n.BR journalctl (1),\n.BR systemd.exec (5)",
    ]
    return "\n".join(lines) + "\n"


def _commands(group: Any, context: Any) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command.hidden:
            continue
        own = command.context_class(command, info_name=name, parent=context)
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield from _command(command, own)
            yield from _commands(command, own)
        else:
            yield from _command(command, own)


def _command(command: Any, context: Any) -> Iterator[str]:
    yield f'.SS "{_escaped(context.command_path)}"'
    pieces = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    yield f".B {_escaped(context.command_path)}\n[\\fIOPTIONS\\fR] {_escaped(pieces)}".rstrip()
    for paragraph in (command.help or "").split("\n\n"):
        yield f".PP\n{_escaped(' '.join(paragraph.split()))}"
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name != "help":
            yield f".TP\n.B {_escaped(record[0])}\n{_escaped(' '.join(record[1].split())) or chr(92) + '&'}"


def _listed(title: str, entries: tuple[tuple[str, str], ...]) -> Iterator[str]:
    yield f".SH {title}"
    for name, text in entries:
        yield f".TP\n.B {name}\n{text}"


def _escaped(text: str) -> str:
    """Return *text* with what roff would take for its own made harmless."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
    print(f"wrote {FILE}")
