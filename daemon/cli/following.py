"""``tasks --follow``: a line for every task that appears among the newest, and for every change of its state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from daemon.cli.client import PAGE, Api, Object, items
from daemon.core.observation import Json

LOOK_EVERY = 1.0


def changes(
    api: Api, limit: int, wanted: dict[str, str | None], *, rest: Callable[[float], None] = time.sleep
) -> Iterator[Object]:
    """Yield the newest *limit* tasks (500 at most), oldest first, then each as it is new or changes, for ever."""
    size = min(limit, PAGE)
    shown: dict[Json, tuple[Json, ...]] = {}
    while True:
        page = items(api.call("GET", "/v1/tasks", query={"limit": size, **wanted}))
        for task in reversed(page):
            standing = (task["status"], task.get("progress"), task.get("queue_position"))
            if shown.get(task["id"]) != standing:
                yield task
            shown[task["id"]] = standing
        kept = {task["id"] for task in page}
        shown = {id_: standing for id_, standing in shown.items() if id_ in kept}
        rest(LOOK_EVERY)
