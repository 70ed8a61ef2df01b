"""Filling: variables put into texts, query tables and JSON bodies.

The rule guarded here is that a variable stays inside the value it stands in: in a query it is percent-encoded, in a
body it is JSON text, in a header one line of printable ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import quote

from daemon.core.observation import Json
from daemon.providers.template import Unbuildable
from daemon.providers.words import text_of

Scalar: TypeAlias = str | int | float | bool
IDS = "{ids}"
_SLOT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ONE_LINE = re.compile(r"[\x20-\x7e]*")


def names_in(tree: object) -> Iterator[str]:
    """Every variable in the texts of *tree*, keys of objects left alone."""
    if isinstance(tree, str):
        yield from _SLOT.findall(tree)
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from names_in(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from names_in(value)


def filled_text(text: str, values: Mapping[str, str]) -> str:
    """Return *text* with its variables filled in; raise Unbuildable where there is no value or it is no Unicode."""
    whole = _SLOT.sub(lambda slot: _value(slot[1], values), text)
    try:
        whole.encode("utf-8")
    except UnicodeEncodeError as failure:
        raise Unbuildable("a variable is not valid Unicode") from failure
    return whole


def filled_header(name: str, text: str, values: Mapping[str, str]) -> str:
    """Return a header's value; raise Unbuildable where a variable would break its line."""
    whole = filled_text(text, values)
    if not _ONE_LINE.fullmatch(whole):
        raise Unbuildable(f"the header {name} must be one line of printable ASCII")
    return whole


def filled_tree(tree: Json, values: Mapping[str, str], many: Sequence[str] = ()) -> Json:
    """Return a JSON body with its texts filled in; a list's element ``{ids}`` becomes all of *many*."""
    if isinstance(tree, str):
        return filled_text(tree, values)
    if isinstance(tree, dict):
        return {key: filled_tree(value, values, many) for key, value in tree.items()}
    if isinstance(tree, list):
        return [told for item in tree for told in (many if item == IDS else (filled_tree(item, values, many),))]
    return tree


def filled_query(
    table: Mapping[str, Scalar | list[Scalar]], values: Mapping[str, str], many: Sequence[str] = ()
) -> str:
    """Return a query table as ``a=1&b=x%2Fy``; a list is a parameter that is repeated."""
    pairs: list[str] = []
    for name, value in table.items():
        items = value if isinstance(value, list) else [value]
        is_list = isinstance(value, list)
        told = [each for item in items for each in (many if is_list and item == IDS else (_scalar(item, values),))]
        pairs += [f"{quote(name, safe='')}={quote(each, safe='')}" for each in told]
    return "&".join(pairs)


def _scalar(value: Scalar, values: Mapping[str, str]) -> str:
    return filled_text(value, values) if isinstance(value, str) else text_of(value)


def _value(name: str, values: Mapping[str, str]) -> str:
    value = values.get(name)
    if value is None:
        raise Unbuildable(f"the request needs {name}")
    return value
