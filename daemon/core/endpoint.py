"""An endpoint: a named destination for events, with its keys, its limits and what it wants to hear."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from daemon.core.signing import Key

_EVENT_TYPE = re.compile(r"[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)*(\.\*)?")
DISABLE_AFTER = 5 * 86400.0


class Source(StrEnum):
    """Who wrote an endpoint: the operator in the config file, a caller over the API, or nobody but a URL's own task."""

    CONFIG = "config"
    API = "api"
    URL = "url"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """What somebody wrote of an endpoint, keys aside; None leaves a setting to ``[delivery]``.

    ``events`` are types (``task.*`` for a family), ``providers`` lane names, ``where`` a JMESPath predicate over the
    event; each that is empty lets everything through. ``ca`` is PEM text of authorities trusted beside the system's.
    ``store_response`` keeps the first 1 KiB of each answer in the attempt log.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    events: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    where: str | None = None
    timeout: float | None = None
    concurrency: int | None = None
    rate: float | None = None
    schedule: tuple[float, ...] | None = None
    disable_after: float | None = None
    ca: str | None = None
    store_response: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where events go and how.

    ``name`` is the configured name, or the origin of an ad-hoc URL. ``is_trusted`` says that the operator typed the
    URL, so that it may stand on a loopback or private address. ``timeout``, ``schedule`` and ``disable_after`` are
    seconds, ``rate`` is attempts per second. ``events``, ``providers``, ``where`` and ``ca`` are those of its spec.
    """

    name: str
    url: str
    keys: tuple[Key, ...]
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    is_trusted: bool = False
    timeout: float = 20.0
    concurrency: int = 10
    rate: float = float("inf")
    schedule: tuple[float, ...] = ()
    events: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    where: str | None = None
    disable_after: float = DISABLE_AFTER
    ca: str | None = None
    store_response: bool = False
    source: Source = Source.CONFIG


def event_type_complaint(text: str) -> str | None:
    """Return why *text* names no type of event and no family of them."""
    if _EVENT_TYPE.fullmatch(text):
        return None
    return 'must be an event type such as "task.failed" or a family such as "task.*"'


def takes(types: Sequence[str], kind: str) -> bool:
    """Whether a filter of event *types* lets *kind* through: it is empty, names it, or names its family."""
    return not types or kind in types or any(kind.startswith(one[:-1]) for one in types if one.endswith(".*"))
