"""The little Markdown that generated pages are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NOTICE = "<!-- Generated from the code by `make docs-pages`; edit the code, not this page. -->"


def page(title: str, *parts: str) -> str:
    """Return a page: its title, the notice that it is generated, and its parts with a blank line between."""
    return "\n\n".join([f"# {title}", NOTICE, *(part.strip("\n") for part in parts)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; what stands in a cell may not break it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def codes(words: Iterable[str]) -> str:
    """Return *words* as code, with commas between."""
    return ", ".join(f"`{word}`" for word in words)
