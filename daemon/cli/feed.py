"""The feed of events read page by page, to its end or for ever."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.cli.client import PATIENCE, Api, Object, items

PAGE = 100


def events(api: Api, after: str | None, *, limit: int | None, wait: float | None) -> Iterator[Object]:
    """Yield events from *after* on; without *wait* until there are no more, with it for ever."""
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(left, PAGE)
        answer = api.get("/v1/events", after=after, limit=size, wait=wait, patience=PATIENCE + (wait or 0.0))
        page = items(answer)
        yield from page
        after = str(answer["next"])
        left = None if left is None else left - len(page)
        if not page and wait is None:
            return
