"""The commands about tasks: watch, tasks, task, stop."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli import following, live, options, say
from daemon.cli.client import Api, Object, in_path
from daemon.cli.complaint import Exit, misuse
from daemon.cli.connect import connect
from daemon.cli.registration import SaveWish, Wishes, registration
from daemon.core.observation import Json
from daemon.core.task import Status, Wish


def _status(task: Object) -> str:
    progress = task.get("progress")
    is_partial = isinstance(progress, int | float) and task["status"] == Status.RUNNING
    return f"{task['status']} {progress:.0%}" if is_partial else str(task["status"])


RESULT_PATIENCE = 300.0
COLUMNS: tuple[say.Column, ...] = (
    ("id", say.field("id")),
    ("provider", say.field("provider")),
    ("remote id", say.field("remote_id")),
    ("model", say.field("model")),
    ("status", _status),
    ("polls", say.field("polls")),
    ("registered", say.time_of("registered_at")),
    ("ended", say.time_of("ended_at")),
)
FOLLOWED = (
    say.time_of("updated_at"),
    *(read for name, read in COLUMNS if name not in ("polls", "registered", "ended")),
)


def watch(
    provider: Annotated[str, typer.Argument(help="The provider's name in the configuration.")],
    remote_id: Annotated[str | None, typer.Argument(help="The task's id at the provider.")] = None,
    *,
    submission: Annotated[
        str | None, typer.Option(metavar="FILE", help="The provider's submit answer in place of the id; - is stdin.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model; some providers have it in their path.")] = None,
    param: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A further path variable.")] = None,
    status_url: Annotated[str | None, typer.Option(help="The status URL that the provider gave.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="JSON|NAME=VALUE", help="Comes back in the webhook.")
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="Send the webhook to this endpoint, else to `default`.")] = None,
    url: Annotated[str | None, typer.Option(help="Send the webhook to this URL.")] = None,
    event: Annotated[list[Wish] | None, typer.Option(help="Ask for interim events, too.")] = None,
    deadline: Annotated[str | None, typer.Option(metavar="SPAN", help='Give up after, as in "30m".')] = None,
    created_at: Annotated[str | None, typer.Option(metavar="TIME", help="When it was submitted (RFC 3339).")] = None,
    first_poll_after: Annotated[str | None, typer.Option(metavar="SPAN", help="Poll no earlier.")] = None,
    fetch_result: Annotated[
        bool | None, typer.Option(help="Send the provider's result request at the end; it may bill.")
    ] = None,
    save_outputs: Annotated[
        SaveWish | None,
        typer.Option(help="Keep copies of the outputs; before_event: and tell the end only then."),
    ] = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Makes asking again safe.")] = None,
    wait: options.ToWait = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Watch a task: register it, so that its end will be told by webhook."""
    wishes = Wishes(
        provider=provider,
        remote_id=remote_id,
        submission=submission,
        status_url=status_url,
        model=model,
        params=param or (),
        metadata=metadata or (),
        endpoint=endpoint,
        url=url,
        deadline=deadline,
        created_at=created_at,
        first_poll_after=first_poll_after,
        fetch_result=fetch_result,
        save_outputs=save_outputs,
        events=[wish.value for wish in event or ()],
    )
    body = registration(wishes)
    api = connect(server, config)
    headers = None if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    _conclude(api, api.post("/v1/tasks", body, headers), wait=wait, as_json=as_json)


def tasks(
    *,
    status: Annotated[
        Status | None, typer.Option(metavar="STATUS", help=f"Only those of this status: {', '.join(Status)}.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Only those at this provider.")] = None,
    model: Annotated[str | None, typer.Option(help="Only those of this model.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="A line for each of the newest tasks as it changes, until Ctrl-C.")
    ] = False,
    limit: options.Limit = 50,
    every: options.All = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """List tasks, newest first; or follow them as they change."""
    if follow and every:
        raise misuse("--follow watches the newest --limit tasks (500 at most), so it does not go with --all")
    api = connect(server, config)
    wanted = {"status": None if status is None else status.value, "provider": provider, "model": model}
    if follow:
        _follow(api, limit, wanted, as_json=as_json)
        return
    found = api.pages("/v1/tasks", limit=None if every else limit, **wanted)
    say.rows(found, COLUMNS, as_json=as_json, empty="no tasks")


def task(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task's id, tsk_….")],
    *,
    poll: Annotated[bool, typer.Option("--poll", help="Poll it now, within its provider's limits.")] = False,
    result: Annotated[
        bool, typer.Option("--result", help="Run the provider's result request, which may bill, and print its answer.")
    ] = False,
    repeat: Annotated[
        bool, typer.Option("--repeat", help="With --result: again, although an earlier one may have billed.")
    ] = False,
    wait: options.ToWait = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Show one task; or poll it now, or fetch its result."""
    if (poll or wait) and result:
        raise misuse("--result asks for what a task made: it goes with neither --poll nor --wait")
    if repeat and not result:
        raise misuse("--repeat goes with --result")
    api, path = connect(server, config), f"/v1/tasks/{in_path(task_id)}"
    if result:
        answer = api.call("POST", f"{path}/result", body={"repeat": repeat}, patience=RESULT_PATIENCE)
        _show_result(answer, as_json=as_json)
        return
    found = api.post(f"{path}/poll") if poll else api.get(path)
    _conclude(api, found, wait=wait, as_json=as_json)


def stop(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task's id, tsk_….")],
    *,
    as_json: options.AsJson = False,
    server: options.Server = None,
    config: options.ConfigFile = None,
) -> None:
    """Stop watching a task; the remote job is left alone."""
    stopped = connect(server, config).call("DELETE", f"/v1/tasks/{in_path(task_id)}")
    _show(stopped, as_json=as_json)


def _follow(api: Api, limit: int, wanted: dict[str, str | None], *, as_json: bool) -> None:
    try:
        for task in following.changes(api, limit, wanted):
            if as_json:
                say.json_line(task)
            else:
                print("  ".join(say.cell(read(task)) for read in FOLLOWED), flush=True)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _conclude(api: Api, task: Object, *, wait: bool, as_json: bool) -> None:
    """Print the task, after its end where that was asked for; then the exit status says how it ended."""
    if wait:
        if not live.is_over(task):
            say.note(f"watching {task['id']}")
        task = live.follow(api, task, is_quiet=as_json)
    _show(task, as_json=as_json)
    if wait and task["status"] != Status.SUCCEEDED:
        raise typer.Exit(Exit.FAILED)


def _show(task: Object, *, as_json: bool) -> None:
    if as_json:
        say.json_line(task)
        return
    say.facts(
        (
            ("task", task["id"]),
            ("provider", task["provider"]),
            ("remote id", task["remote_id"]),
            ("model", task.get("model")),
            ("status", _status(task)),
            *(("output", _output(output)) for output in _list(task.get("outputs"))),
            ("error", _error(task.get("error"))),
            ("metadata", task.get("metadata")),
            ("webhook", _webhook(task.get("webhook"))),
            ("event", task.get("event_id")),
            ("registered", say.moment(task["registered_at"])),
            ("ended", say.moment(task.get("ended_at")) if task.get("ended_at") else None),
            ("deadline", None if task.get("ended_at") else say.moment(task.get("deadline_at"))),
            ("polls", task.get("polls")),
            ("next poll", say.moment(task.get("next_poll_at")) if task.get("next_poll_at") else None),
            ("because", task.get("next_poll_reason")),
            ("last trouble", task.get("last_miss")),
        )
    )


def _show_result(result: Object, *, as_json: bool) -> None:
    if as_json:
        say.json_line(result)
        return
    say.facts(
        (
            ("task", result["task_id"]),
            *(("output", _output(output)) for output in _list(result.get("outputs"))),
            ("requested", say.moment(result.get("requested_at"))),
            ("stored", say.moment(result["stored_at"]) if result.get("stored_at") else None),
            ("response", result.get("response")),
        )
    )


def _output(output: Json) -> str:
    if not isinstance(output, dict):
        return str(output)
    needs = " (needs the provider's key)" if output.get("needs_auth") else ""
    return f"{output.get('kind')} {output.get('url')}{needs}{_saved(output.get('saved'))}"


def _saved(copy: Json) -> str:
    if not isinstance(copy, dict):
        return ""
    more = f"{copy['bytes']} bytes" if copy.get("bytes") is not None else copy.get("reason")
    return f" ({copy.get('state')}{f': {more}' if more else ''})"


def _error(error: Json) -> str | None:
    if not isinstance(error, dict):
        return None
    code = f" [{error['code']}]" if error.get("code") else ""
    return f"{error.get('message')}{code} ({error.get('kind')})"


def _webhook(target: Json) -> str | None:
    if not isinstance(target, dict):
        return None
    return str(target.get("url") or f"endpoint {target.get('endpoint')}")


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
