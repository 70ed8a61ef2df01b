"""Base URLs with variables: ``https://{location}-api.example.com/v1/projects/{project}``.

The rule guarded here is that an origin is fixed when a lane is configured: variables come from the definition and the
lane's own table, never from a registration, and in the host they are letters, digits, ``.`` and ``-``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from daemon.providers.filling import names_in
from daemon.providers.origin import is_local, origin_of, parsed, shown
from daemon.providers.template import Slot, Unbuildable

_SLOT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SPLIT = re.compile(r"([a-z]+://[^/]*)(.*)", re.DOTALL)
_IN_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def base_names(text: str) -> tuple[str, ...]:
    """Return the variables of a base URL, each once."""
    return tuple(dict.fromkeys(names_in(text)))


def resolved(text: str, variables: Mapping[str, str]) -> str:
    """Return the base URL with *variables* filled in, without a trailing slash; raise ValueError for an unfit value.

    A variable nobody has set yet stands for itself, so that a preset can be shown and checked before it is configured.
    """
    values = {name: variables.get(name) or name.replace("_", "-") for name in base_names(text)}
    found = _SPLIT.fullmatch(text)
    if found is None:
        return text.rstrip("/")
    host = _SLOT.sub(lambda slot: _in_host(slot[1], values[slot[1]]), found[1])
    path = _SLOT.sub(lambda slot: _in_path(slot[1], values), found[2])
    return (host + path).rstrip("/")


def refuse_unsafe(text: str, whole: str) -> None:
    """Raise ValueError unless *whole*, made from the base URL *text*, is one to which a key may be sent."""
    url = parsed(whole)
    origin = None if url is None else origin_of(url)
    if url is None or origin is None or url.raw_query_string or url.raw_fragment or whole.endswith(("?", "#")):
        raise ValueError(f"base_url must be an absolute http(s) URL without user-info or query, {shown(text)}")
    if origin.scheme == "http" and not is_local(origin.host):
        raise ValueError(f"plain http is allowed on a loopback or private address only, base_url lies on {origin}")


def _in_host(name: str, value: str) -> str:
    if not _IN_HOST.fullmatch(value):
        raise ValueError(f"variables.{name} stands in the host of base_url: letters, digits, '.' and '-' only")
    return value


def _in_path(name: str, values: Mapping[str, str]) -> str:
    try:
        return Slot(name, is_raw=False).filled(values)
    except Unbuildable as refusal:
        raise ValueError(f"variables.{name} cannot stand in base_url: {refusal}") from refusal
