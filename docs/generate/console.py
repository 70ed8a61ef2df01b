"""Run the commands that a page shows, and hold what it shows of their output to what they say.

A block of a page that begins with ```` ```console run ```` is a shell session: ``$ command`` lines, each with its output
below. ```` ```FORMAT file=NAME ```` is written to NAME first. All of a page happens in order in one folder of its own.

``python -m docs.generate.console`` compares, ``--write`` puts the real output in place.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from docs.generate.shell import Shell

DOCS = Path(__file__).parents[1]
HERE = "console run"


class Runs(Protocol):
    """Whatever runs the commands of a page and writes its files."""

    def run(self, command: str) -> str:
        """Return what *command* says, as a page shows it."""
        ...

    def write(self, name: str, text: str) -> None:
        """Write a file that a page shows."""
        ...


@dataclass(frozen=True, slots=True)
class Step:
    """One command, as it is typed, and the output that the page shows."""

    command: str
    output: str


def runnable() -> list[Path]:
    """Return the pages that show sessions."""
    return [page for page in sorted(DOCS.rglob("*.md")) if "```console run" in page.read_text(encoding="utf-8")]


def played(page: Path) -> str:
    """Return the text of *page* with the real output of every command."""
    with Shell(page.parent) as shell:
        return played_by(shell, page.read_text(encoding="utf-8"), HERE)


def played_by(shell: Runs, text: str, fence: str, prompt: str = "$") -> str:
    """Return *text* with the output that *shell* gives to the commands, after *prompt*, of every block of *fence*."""

    def block(found: re.Match[str]) -> str:
        info, body = found["info"], found["body"]
        if info != fence:
            shell.write(info.partition("file=")[2], body)
            return found[0]
        shown = "".join(f"{prompt} {step.command}\n{shell.run(step.command)}" for step in steps(body, prompt))
        return f"```{info}\n{shown}```"

    return re.sub(
        rf"^```(?P<info>{fence}|\w+ file=\S+)\n(?P<body>.*?)^```$", block, text, flags=re.MULTILINE | re.DOTALL
    )


def steps(body: str, prompt: str) -> Iterator[Step]:
    """Yield the commands of a block; one that ends in a backslash goes on in the next line."""
    sign = re.escape(prompt)
    for found in re.finditer(rf"^{sign} ((?:[^\n]*\\\n)*[^\n]*)\n((?:(?!{sign} ).*\n)*)", body, re.MULTILINE):
        yield Step(found[1], found[2])


def main() -> int:
    """Compare or write every page; the exit status says whether something was stale."""
    is_writing, stale = "--write" in sys.argv, 0
    wanted = [Path(name).resolve() for name in sys.argv[1:] if name != "--write"]
    for page in wanted or runnable():
        before, now = page.read_text(encoding="utf-8"), played(page)
        name = f"docs/{page.relative_to(DOCS)}"
        if before == now:
            print(f"{name}: as the commands say")
        elif is_writing:
            page.write_text(now, encoding="utf-8")
            print(f"{name}: written")
        else:
            stale += 1
            print(
                *difflib.unified_diff(
                    before.splitlines(), now.splitlines(), name, "what the commands say", lineterm="", n=4
                ),
                sep="\n",
            )
            print(f"{name}: stale; make docs-output writes it anew")
    return min(stale, 1)


if __name__ == "__main__":
    sys.exit(main())
