"""Pages of tasks, bounded in bytes as well as in number: a task of many outputs can be large."""

from __future__ import annotations

from dataclasses import replace

from daemon.api.answers import task_json
from daemon.api.cursors import id_cursor
from daemon.api.pace import Pace
from daemon.api.replies import written
from daemon.core.event import encode
from daemon.core.record import TaskQuery
from daemon.engine.desks import Tasks

STEP = 10
PAGE_BYTES = 4 * 1024 * 1024


async def task_page(tasks: Tasks, query: TaskQuery) -> bytes:
    """Return the page that *query* asks for as JSON; it ends early past 4 MiB, and then ``next`` goes on from there."""
    pace, shown, size = Pace(), list[bytes](), 0
    before, is_last = query.before, False
    while len(shown) < query.limit and size < PAGE_BYTES and not is_last:
        wanted = min(STEP, query.limit - len(shown))
        step = await tasks.page(replace(query, before=before, limit=wanted))
        is_last = len(step) < wanted
        while step and size < PAGE_BYTES:
            record = step.pop(0)
            shown.append(written(task_json(record)))
            size, before = size + len(shown[-1]), record.id
            await pace.rest()
        is_last = is_last and not step
    following = None if is_last or before is None else id_cursor(before)
    return b'{"data":[' + b",".join(shown) + b'],"next":' + encode(following) + b"}"
