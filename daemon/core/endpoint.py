"""An endpoint: a named destination for events, with its keys and limits."""

from __future__ import annotations

from dataclasses import dataclass

from daemon.core.signing import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where events go and how.

    ``name`` is the configured name, or the origin of an ad-hoc URL. ``is_trusted`` says that the operator typed the
    URL, so that it may stand on a loopback or private address. ``timeout`` and ``schedule`` are seconds, ``rate``
    is attempts per second.
    """

    name: str
    url: str
    keys: tuple[Key, ...]
    headers: tuple[tuple[str, str], ...] = ()
    is_trusted: bool = False
    timeout: float = 20.0
    concurrency: int = 10
    rate: float = float("inf")
    schedule: tuple[float, ...] = ()
