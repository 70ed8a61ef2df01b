"""What each parameter of the API means, by the tag of its calls and its name; see ``meanings``."""

from __future__ import annotations

_PAGE = "At most this many on one page; a page may hold fewer and still have a `next`."
_CURSOR = "`next` of the page before; left out, the list begins with the newest."

PARAMETERS: dict[str, dict[str, str]] = {
    "tasks": {
        "id": "The task's id, `tsk_…`.",
        "n": "Which output: its place among the task's `outputs`, from 0.",
        "wait": "Seconds to hold the answer until the task ends; then it is shown as it stands. 0 answers at once.",
        "status": "Only tasks of this status.",
        "provider": "Only tasks of this lane.",
        "model": "Only tasks of this model.",
        "limit": _PAGE,
        "cursor": _CURSOR,
        "Idempotency-Key": (
            "Makes a repeat safe: the same key with the same body is answered with the tasks of the first time, with"
            " another body by 409. Printable ASCII."
        ),
    },
    "events": {
        "id": "The event's id, `msg_…`; webhooks carry it as `webhook-id`.",
        "after": "Go on after this: `next` of the page before, or an event's id. Left out: from the oldest there is.",
        "wait": "Seconds to hold the answer while there is nothing new; 0 answers at once.",
        "limit": "At most this many events on one page; a page also ends early past 4 MiB.",
    },
    "deliveries": {
        "id": "The delivery's id, `dlv_…`.",
        "state": "Only deliveries in this state.",
        "endpoint": "Only deliveries to this endpoint: its name, or the origin of an ad-hoc URL.",
        "limit": _PAGE,
        "cursor": _CURSOR,
    },
    "endpoints": {
        "name": "The endpoint's name: 1 to 64 of a-z, 0-9, _ and -, the first a letter or digit.",
    },
    "providers": {
        "name": "The lane's name, as in `[providers.NAME]`.",
    },
}
