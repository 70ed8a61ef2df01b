"""Many registrations in one call: each is judged on its own, the good ones commit together.

The work is done in short pieces, so that a batch of the largest size holds up nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence

from daemon.api.answers import task_json
from daemon.api.pace import Pace
from daemon.api.problems import Problem, Rejected, problem_of, rejected
from daemon.api.registration import Registrar
from daemon.api.replies import written
from daemon.core.errors import FieldError, Mistake
from daemon.core.observation import Json
from daemon.core.record import Added, Application, Claim
from daemon.engine.desks import Tasks

MAX_ITEMS = 1000


async def register_batch(tasks: Tasks, registrar: Registrar, items: Sequence[Json], claim: Claim | None) -> bytes:
    """Register *items* in one commit and return the answer as JSON: one for each, in order."""
    pace = Pace()
    read: list[Application | Problem] = []
    for item in items:
        read.append(_read(registrar, item))
        await pace.rest()
    good = [one for one in read if isinstance(one, Application)]
    committed = iter(await tasks.register(good, claim) if good else [])
    shown: list[bytes] = []
    for one in read:
        shown.append(written(_shown(next(committed) if isinstance(one, Application) else one)))
        await pace.rest()
    return b'{"data":[' + b",".join(shown) + b"]}"


def items_of(value: Json) -> list[Json]:
    """Return the registrations of a batch's body; raise Rejected unless it is ``{"tasks": [...]}`` of at most 1,000."""
    if not isinstance(value, dict):
        raise _invalid("(body)", 'the body must be an object such as {"tasks": [...]}')
    odd = [name for name in value if name != "tasks"]
    if odd:
        raise _invalid(odd[0][:100], f'unknown field "{odd[0][:100]}"; did you mean "tasks"?')
    items = value.get("tasks")
    if not isinstance(items, list):
        raise _invalid("tasks", "tasks must be an array of registrations")
    if len(items) > MAX_ITEMS:
        raise rejected("too_large", f"a batch holds at most {MAX_ITEMS} tasks, got {len(items)}")
    return items


def _read(registrar: Registrar, item: Json) -> Application | Problem:
    try:
        return registrar.application(item)
    except Rejected as error:
        return error.problem
    except Mistake as mistake:
        return problem_of(mistake)


def _shown(answer: Added | Mistake | Problem) -> Json:
    if isinstance(answer, Added):
        return {"status": 201 if answer.is_new else 200, "task": task_json(answer.record)}
    problem = problem_of(answer) if isinstance(answer, Mistake) else answer
    return {"status": problem.status, "problem": problem.document()}


def _invalid(field: str, message: str) -> Rejected:
    return rejected("invalid_request", message, errors=[FieldError(field=field, message=message)])
