"""The commands about the data: backup, restore, export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import feed, moments, options, say
from daemon.cli.client import Api, Object
from daemon.cli.complaint import Complaint, misuse
from daemon.cli.connect import connect


class Kind(StrEnum):
    """What can be exported."""

    TASKS = "tasks"
    EVENTS = "events"
    DELIVERIES = "deliveries"


READERS: dict[Kind, Callable[[Api], Iterator[Object]]] = {
    Kind.TASKS: lambda api: api.pages("/v1/tasks", limit=None),
    Kind.EVENTS: lambda api: feed.events(api, None, limit=None, wait=None),
    Kind.DELIVERIES: lambda api: api.pages("/v1/deliveries", limit=None),
}
SKEW = timedelta(minutes=1)
"""Lists are ordered by id, which is as old as the entry but for the time its request took."""

NAMES = {Kind.TASKS: "task", Kind.EVENTS: "event", Kind.DELIVERIES: "delivery"}
TIMES = {Kind.TASKS: "registered_at", Kind.EVENTS: "created_at", Kind.DELIVERIES: "created_at"}


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file; one that exists is never replaced.")],
    *,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Copy the database into a new file, whole, while the daemon runs or not.

    The copy holds signing secrets and is readable by its owner alone. Not in it: saved outputs (the folder `outputs`
    beside the database) and the files `master-key` and `api-token`, which a restore on another machine needs, too.
    """
    from daemon.cli import settings as found  # noqa: PLC0415 (pydantic is imported only where it is needed)
    from daemon.core.errors import Fault  # noqa: PLC0415
    from daemon.store.backup import back_up  # noqa: PLC0415

    source = found.database_file(found.read_settings(config))
    if not file.parent.is_dir():
        raise misuse(f"there is no folder {file.parent} to put the backup in")
    found.require_readable(source)
    try:
        back_up(source, file)
    except FileExistsError as error:
        raise misuse(str(error)) from None
    except (Fault, OSError) as error:
        raise Complaint(f"no backup was made: {error}") from None
    _tell({"backup": str(file.absolute()), "database": str(source), "bytes": file.stat().st_size}, as_json=as_json)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `pollhook backup` made.")],
    *,
    as_json: options.AsJson = False,
    config: options.ConfigFile = None,
) -> None:
    """Put a backup in the place of the database; the daemon must be stopped.

    The backup is checked first, and the database that it replaces is kept beside it. Tasks registered after the backup
    are not in it: register them again. Events delivered after it are sent again, with the same webhook-id.
    """
    from daemon.cli import settings as found  # noqa: PLC0415 (pydantic is imported only where it is needed)
    from daemon.core.errors import Fault  # noqa: PLC0415
    from daemon.store.restore import restore as put_back  # noqa: PLC0415

    target = found.database_file(found.read_settings(config))
    try:
        kept = put_back(file, target)
    except (Fault, OSError) as error:
        raise Complaint(f"nothing was restored: {error}", "stop the daemon first, and run this as its user") from None
    _tell(
        {"restored": str(file.absolute()), "database": str(target), "replaced": None if kept is None else str(kept)},
        as_json=as_json,
    )


def export(
    kinds: Annotated[
        list[Kind] | None,
        typer.Argument(metavar="KIND", help="tasks, events or deliveries; all three, if none is named."),
    ] = None,
    *,
    since: Annotated[
        str | None, typer.Option(metavar="TIME|SPAN", help='Nothing older, as in "2026-11-21T20:00:00Z" or "24h".')
    ] = None,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Print all tasks, events and deliveries as NDJSON: the API's objects, one to a line, each with its "object".

    Lines come page by page, so memory stays small however many there are. Tasks and deliveries are listed newest
    first, events in the order of the feed.
    """
    api = connect(server, config)
    start = datetime.min.replace(tzinfo=UTC) if since is None else moments.instant(since, "--since", datetime.now(UTC))
    for kind in dict.fromkeys(kinds or Kind):
        for item in READERS[kind](api):
            age = start - datetime.fromisoformat(str(item[TIMES[kind]]))
            if age <= timedelta():
                say.json_line({"object": NAMES[kind], **item})
            elif age > SKEW and kind is not Kind.EVENTS:
                break


def _tell(facts: Object, *, as_json: bool) -> None:
    if as_json:
        say.json_line(facts)
    else:
        say.facts(facts.items())
