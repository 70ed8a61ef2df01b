"""What an answer for several tasks says of each: its item, read as a single status answer is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from daemon.core.observation import Json, Missed
from daemon.core.task import Miss
from daemon.providers.batch import parted
from daemon.providers.definition_request import BatchSpec
from daemon.providers.excision import excised
from daemon.providers.expression import ExpressionFailed
from daemon.providers.liberal_json import BIG, Unreadable, read_json
from daemon.providers.reading import Reader, Reading, Reply

_EMPTY: Json = {}
_ENCODER = json.JSONEncoder()


def told_of_each(reader: Reader, spec: BatchSpec, ids: Sequence[str], reply: Reply) -> dict[str, Reading] | None:
    """Return the reading of each of *ids* that the answer holds, None where it holds no list. Never raises.

    An item by which the provider says that it knows no such task, or may not show it, is left out: whoever asks for
    that task alone hears it for certain.
    """
    body, cuts = excised(reply.body)
    reply = replace(reply, cuts=cuts)
    try:
        bodies = parted(spec, read_json(body))
    except (Unreadable, ExpressionFailed):
        return None
    if bodies is None:
        return None
    if spec.absent == "empty":
        bodies = {**dict.fromkeys(ids, _EMPTY), **bodies}
    told = {known: reader.status(_item(reply, bodies[known])) for known in ids if known in bodies}
    return {known: reading for known, reading in told.items() if not _blames(reading)}


def _item(reply: Reply, body: Json) -> Reply:
    """Return an item as an answer of its own, written token by token where the whole was big."""
    text = "".join(_ENCODER.iterencode(body)) if len(reply.body) > BIG else json.dumps(body)
    return replace(reply, status=200, body=text.encode("ascii"))


def _blames(reading: Reading) -> bool:
    return isinstance(reading.seen, Missed) and reading.seen.miss in (Miss.NOT_FOUND, Miss.FORBIDDEN)
