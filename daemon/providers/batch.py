"""Batches: who rides in one status request, and which part of its answer tells of whom.

The rule guarded here is that an item is read as a single status answer is, so that asking for many never says more
than asking for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from daemon.core.observation import Json
from daemon.core.task import Task
from daemon.providers.definition_request import BatchSpec
from daemon.providers.expression import first_present
from daemon.providers.words import text_of

QUERY_ROOM = 6000
BODY_ROOM = 256 * 1024


@dataclass(slots=True)
class Ride:
    """Tasks by remote id that one request asks for, those that take the next one, those that must go alone."""

    aboard: dict[str, list[Task]] = field(default_factory=dict)
    later: list[Task] = field(default_factory=list)
    alone: list[Task] = field(default_factory=list)
    values: Mapping[str, str] = field(default_factory=dict)


def boarded(spec: BatchSpec, tasks: Sequence[Task], values_of: Callable[[Task], Mapping[str, str]]) -> Ride:
    """Choose from *tasks* those that can ride together: no status URL of their own, the same shared variables."""
    ride = Ride()
    room = BODY_ROOM if spec.body is not None else QUERY_ROOM
    for task in tasks:
        if task.status_url is not None or spec.separator in task.remote_id:
            ride.alone.append(task)
            continue
        values = values_of(task)
        if not ride.aboard:
            ride.values = {name: values[name] for name in spec.shared if name in values}
        room -= len(quote(task.remote_id, safe="", errors="replace")) + 40
        fits = room >= 0 or "ids" not in spec.names
        if not fits or any(values.get(name) != ride.values.get(name) for name in spec.shared):
            ride.later.append(task)
            continue
        ride.aboard.setdefault(task.remote_id, []).append(task)
    return ride


def parted(spec: BatchSpec, whole: Json) -> dict[str, Json] | None:
    """Return the body of each item by its id, None where the answer holds no list; may raise ExpressionFailed."""
    found = spec.items.of(whole)
    if isinstance(found, dict):
        pairs = [(_id(spec, item) if spec.id else key, item) for key, item in found.items()]
    elif isinstance(found, list):
        pairs = [(_id(spec, item), item) for item in found]
    else:
        return None
    return {known: _wrapped(spec, known, item, whole) for known, item in pairs if known}


def _id(spec: BatchSpec, item: Json) -> str:
    try:
        return text_of(first_present(spec.id, item))
    except ValueError:
        return ""


def _wrapped(spec: BatchSpec, known: str, item: Json, whole: Json) -> Json:
    if spec.wrap is None:
        return item
    if spec.wrap == "{id}":
        return {known: item}
    beside = whole.items() if isinstance(whole, dict) else ()
    return {**{key: value for key, value in beside if not isinstance(value, list | dict)}, spec.wrap: item}
