"""The calls about tasks: register, look, wait, stop, poll now, fetch a result or an output."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

from aiohttp import web
from pydantic import ValidationError

from daemon.api.answers import result_json, task_json
from daemon.api.batches import items_of, register_batch
from daemon.api.bodies import (
    BATCH_LIMIT,
    REGISTRATION_LIMIT,
    forbid_body,
    parse_large,
    read_body,
    read_optional_json,
)
from daemon.api.claims import claim_of
from daemon.api.complaints import field_errors, summary
from daemon.api.cursors import id_of
from daemon.api.models import BatchAnswer, ResultShown, ResultWish, TaskList, TaskShown
from daemon.api.patience import Patience
from daemon.api.problems import rejected
from daemon.api.queries import NoQuery, OneTask, TaskPage, query
from daemon.api.registration import Batch, Registrar, Registration
from daemon.api.replies import raw_reply, reply
from daemon.api.routes import Answer, Route
from daemon.api.strict_json import parse
from daemon.api.task_pages import task_page
from daemon.core.errors import Mistake, NotFound
from daemon.core.ids import TaskId
from daemon.core.record import Claim, TaskQuery
from daemon.engine.desks import Tasks

POLL_SECONDS = 10.0
_CONTENT_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}")
_BODY_PROBLEMS = ("bad_json", "duplicate_key", "too_large", "unsupported_media_type", "timeout")
_REGISTRATION_PROBLEMS = (
    *_BODY_PROBLEMS,
    "bad_idempotency_key",
    "idempotency_key_reused",
    "watchlist_full",
)


class TaskRoutes:
    """The calls under ``/v1/tasks``."""

    def __init__(self, tasks: Tasks, registrar: Registrar, patience: Patience) -> None:
        self._tasks = tasks
        self._registrar = registrar
        self._patience = patience

    def table(self) -> list[Route]:
        """Return these calls."""
        return [self._register(), self._batch(), *self._reads(), *self._deeds()]

    async def register(self, request: web.Request) -> web.Response:
        """Put one task on the watchlist."""
        body = await read_body(request, REGISTRATION_LIMIT)
        application = self._registrar.application(parse(body))
        added = (await self._tasks.register([application], claim_of(request, body)))[0]
        if isinstance(added, Mistake):
            raise added
        return reply(task_json(added.record), 201 if added.is_new else 200)

    async def register_batch(self, request: web.Request) -> web.Response:
        """Put many tasks on the watchlist."""
        body = await read_body(request, BATCH_LIMIT)
        items = items_of(await parse_large(body))
        claim: Claim | None = claim_of(request, body)
        return raw_reply(await register_batch(self._tasks, self._registrar, items, claim))

    async def page(self, request: web.Request) -> web.Response:
        """List tasks, newest first."""
        asked = query(request, TaskPage)
        before = None if asked.cursor is None else TaskId(id_of(asked.cursor, "tsk_"))
        wanted = TaskQuery(
            status=asked.status, provider=asked.provider, model=asked.model, before=before, limit=asked.limit
        )
        return raw_reply(await task_page(self._tasks, wanted))

    async def show(self, request: web.Request) -> web.Response:
        """Show one task, at once or when it ends."""
        wait = query(request, OneTask).wait
        record = await self._tasks.show(_id(request))
        if wait > 0 and not record.status.is_terminal:
            record = await self._patience.hold(request, self._tasks.wait(record.id, wait)) or await self._tasks.show(
                record.id
            )
        return reply(task_json(record))

    async def stop(self, request: web.Request) -> web.Response:
        """Stop watching one task."""
        query(request, NoQuery)
        await forbid_body(request)
        return reply(task_json(await self._tasks.stop(_id(request))))

    async def poll(self, request: web.Request) -> web.Response:
        """Poll one task as soon as its lane allows."""
        query(request, NoQuery)
        await forbid_body(request)
        polled = await self._patience.hold(request, self._tasks.poll_now(_id(request), POLL_SECONDS))
        if polled is None:
            return reply(task_json(await self._tasks.show(_id(request))), 202)
        record, was_made = polled
        return reply(task_json(record), 200 if was_made else 202)

    async def result(self, request: web.Request) -> web.Response:
        """Run the result request of one task, or answer the stored result."""
        query(request, NoQuery)
        value = await read_optional_json(request)
        try:
            wish = ResultWish.model_validate({} if value is None else value)
        except ValidationError as error:
            errors = field_errors(error, ResultWish)
            raise rejected("invalid_request", summary(errors), errors=errors) from None
        return reply(result_json(await self._tasks.result(_id(request), repeat=wish.repeat)))

    async def output(self, request: web.Request) -> web.StreamResponse:
        """Send the bytes of one output."""
        query(request, NoQuery)
        number = request.match_info["n"]
        if not (number.isascii() and number.isdecimal() and len(number) < 6):
            raise NotFound(f"no output {number[:20]!r}; outputs are numbered from 0")
        path, content_type = await self._tasks.output(_id(request), int(number))
        return _download(path, content_type, f"{_id(request)}-{int(number)}")

    def _register(self) -> Route:
        return Route(
            method="POST", path="/v1/tasks", handler=self.register, name="registerTask", tag="tasks",
            summary="Watch a task; once this is answered, its end will be told",
            answers={201: Answer(meaning="now on the watchlist", model=TaskShown),
                     200: Answer(meaning="on the watchlist already", model=TaskShown)},
            problems=(*_REGISTRATION_PROBLEMS, "invalid_registration", "unknown_provider", "unknown_endpoint",
                      "target_not_allowed", "status_url_not_allowed"),
            body=Registration, takes_claim=True,
        )  # fmt: skip

    def _batch(self) -> Route:
        return Route(
            method="POST", path="/v1/tasks/batch", handler=self.register_batch, name="registerTasks", tag="tasks",
            summary="Watch up to 1,000 tasks in one commit; the good ones are kept although others are bad",
            answers={200: Answer(meaning="an answer for each, in order", model=BatchAnswer)},
            problems=(*_REGISTRATION_PROBLEMS, "invalid_request"), body=Batch, takes_claim=True,
        )  # fmt: skip

    def _reads(self) -> list[Route]:
        return [
            Route(method="GET", path="/v1/tasks", handler=self.page, name="listTasks", tag="tasks",
                  summary="List tasks, newest first; a page ends early past 4 MiB", query=TaskPage,
                  answers={200: Answer(meaning="a page", model=TaskList)}, problems=("bad_cursor",)),
            Route(method="GET", path="/v1/tasks/{id}", handler=self.show, name="showTask", tag="tasks",
                  summary="Show a task; `wait` holds the answer until it ends", query=OneTask,
                  answers={200: Answer(meaning="the task", model=TaskShown)}, problems=("not_found",)),
            Route(method="GET", path="/v1/tasks/{id}/outputs/{n}", handler=self.output, name="fetchOutput", tag="tasks",
                  summary="Fetch an output that Pollhook holds; ranges are honoured",
                  answers={200: Answer(meaning="the bytes", content_type="application/octet-stream"),
                           206: Answer(meaning="the range asked for", content_type="application/octet-stream")},
                  problems=("not_found",)),
        ]  # fmt: skip

    def _deeds(self) -> list[Route]:
        task = Answer(meaning="the task", model=TaskShown)
        return [
            Route(method="DELETE", path="/v1/tasks/{id}", handler=self.stop, name="stopTask", tag="tasks",
                  summary="Stop watching; the remote job is left alone", answers={200: task},
                  problems=("not_found", "task_ended")),
            Route(method="POST", path="/v1/tasks/{id}/poll", handler=self.poll, name="pollTask", tag="tasks",
                  summary="Poll now, within the lane's limits",
                  answers={200: task, 202: Answer(meaning="not polled yet, but next in line", model=TaskShown)},
                  problems=("not_found", "task_ended")),
            Route(method="POST", path="/v1/tasks/{id}/result", handler=self.result, name="fetchResult", tag="tasks",
                  summary="Run the provider's result request, which may bill; asked again, the stored answer",
                  answers={200: Answer(meaning="the result", model=ResultShown)}, body=ResultWish,
                  body_is_optional=True, problems=(*_BODY_PROBLEMS, "invalid_request", "not_found", "task_not_ended",
                                                   "no_result", "result_unresolved")),
        ]  # fmt: skip


def _id(request: web.Request) -> TaskId:
    return TaskId(request.match_info["id"])


def _download(path: Path, content_type: str, name: str) -> web.FileResponse:
    if not path.is_file():
        raise NotFound("the bytes of this output are no longer kept")
    kind = content_type if _CONTENT_TYPE.fullmatch(content_type) else "application/octet-stream"
    suffix = mimetypes.guess_extension(kind) or ".bin"
    headers = {"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}{suffix}"'}
    return web.FileResponse(path, headers=headers)
