"""The commands for whoever writes a provider definition: ``provider check``, ``try``, ``new`` and ``schema``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import options, say
from daemon.cli.complaint import Complaint, Exit, misuse


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A provider definition, TOML.")],
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as one JSON object.")] = False,
) -> None:
    """Check a definition and its examples; exit 1 if these do not agree, 2 if it is no definition."""
    from daemon.cli.definitions import verdict_on  # noqa: PLC0415 (pydantic is imported only where it is needed)

    verdict = verdict_on(file)
    failed = Exit.FAILED if strict and verdict.warnings else Exit.DONE
    if as_json:
        say.json_line(verdict.told)
        raise typer.Exit(verdict.status or failed)
    for warning in verdict.warnings:
        say.note(f"warning: {warning}")
    for note in verdict.notes:
        say.note(f"note: {note}")
    if verdict.definition is None:
        raise misuse("the definition cannot be used", *verdict.faults)
    if verdict.faults:
        raise Complaint(f"{file}: the definition and its examples do not agree", *verdict.faults)
    count = len(verdict.definition.examples)
    told = f"{count}, all read as they say" if count else "none"
    say.facts(
        (("definition", verdict.definition.name), ("examples", told), ("warnings", len(verdict.warnings) or None))
    )
    if failed:
        raise typer.Exit(failed)


def try_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A lane of the configuration.")],
    remote_id: Annotated[str | None, typer.Argument(metavar="ID", help="The task's id at the provider.")] = None,
    *,
    model: Annotated[str | None, typer.Option("--model", "-m", help="The model, where the request needs it.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A variable of the request; repeatable."),
    ] = None,
    status_url: Annotated[str | None, typer.Option("--status-url", help="The status URL the provider gave.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as one JSON object.")] = False,
    config: options.ConfigFile = None,
) -> None:
    """Poll once, without the daemon, and show step by step how the answer is read; exit 1 if it brings no news.

    Nothing is stored, keys are masked, and a request that bills is never sent.
    """
    from daemon.cli.attempt import attempt, configured  # noqa: PLC0415 (aiohttp is imported only where it is needed)
    from daemon.cli.revealing import lines  # noqa: PLC0415
    from daemon.core.record import Application  # noqa: PLC0415

    account = configured(name, config)
    pairs = tuple(_pair(text) for text in param or ())
    asked = Application(provider=name, remote_id=remote_id, model=model, params=pairs, status_url=status_url)
    found = attempt(account, asked)
    if as_json:
        say.json_line(found)
    else:
        for line in lines(found):
            print(line)
    observation = found["observation"]
    if isinstance(observation, dict) and "miss" in observation:
        raise typer.Exit(Exit.FAILED)


def new(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The definition's name.")] = None,
    *,
    url: Annotated[
        str | None, typer.Option("--url", help="A status URL as the provider's page has it; {id} for the id.")
    ] = None,
    sample: Annotated[
        list[str] | None,
        typer.Option(
            "--sample", metavar="[STATE=]FILE", help="A JSON answer, and if its word does not tell, what it means."
        ),
    ] = None,
    header: Annotated[
        str | None, typer.Option("--header", help='How the key travels: "Authorization: Bearer {key}".')
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; - prints. [NAME.toml]")
    ] = None,
) -> None:
    """Write a commented definition from a status URL and sample answers; what is not given is asked for."""
    from daemon.cli.drafting import drafted  # noqa: PLC0415 (pydantic is imported only where it is needed)

    draft = drafted(name, url, sample or (), header)
    target = output or Path(f"{draft.name}.toml")
    if str(target) == "-":
        print(draft.text, end="")
        return
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(draft.text)
    except FileExistsError:
        raise misuse(f"{target} exists already; name another file with --output") from None
    except OSError as error:
        raise Complaint(f"{target} cannot be written: {error.strerror}") from None
    say.note(f"written: {target}; look it through, then: pollhook provider check {target}")


def schema(
    *,
    table: Annotated[bool, typer.Option("--table", help="Print the keys as a table in Markdown instead.")] = False,
) -> None:
    """Print the JSON Schema of a definition, for editors: put `#:schema FILE` in the first line of the TOML."""
    from daemon.providers.schema import definition_schema, reference  # noqa: PLC0415 (pydantic, only where needed)

    if table:
        print(reference())
    else:
        say.json_block(definition_schema())


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise misuse(f'--param reads NAME=VALUE, got "{text}"')
    return name, value
