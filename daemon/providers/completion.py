"""Completion: from a task's success to its outputs, where a second request tells them or a link is all there is.

The rule guarded here is that a request which bills is sent only where the task, or somebody by hand, asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from daemon.core.observation import Ended, Json, Missed, Observation, Output, Pending, Response
from daemon.core.task import Miss, Status, Task
from daemon.providers.account import Account
from daemon.providers.definition import ResultSpec
from daemon.providers.expression import ExpressionFailed, first_set
from daemon.providers.request import Prepared, Requests
from daemon.providers.template import Unbuildable
from daemon.providers.words import text_of

MOST_ITEMS: Final = 32
Send: TypeAlias = Callable[[Prepared], Coroutine[None, None, Observation]]


@dataclass(frozen=True, slots=True)
class Completion:
    """Completes the successes of one account; *ask* sends a result request that may be repeated."""

    account: Account
    requests: Requests
    ask: Send

    async def completed(self, task: Task, ended: Ended) -> Observation:
        """Return *ended*, a success, with all outputs that can be had unasked; RESULT_MISSING where they should be
        there and are not.
        """
        spec = self.account.definition.result
        if spec is None or (spec.unless_outputs and ended.outputs):
            return self._with_fallback(task, ended)
        if spec.when == "asked":
            return replace(self._with_fallback(task, ended), result_due=task.fetch_result is True)
        if task.fetch_result is False:
            return self._with_fallback(task, ended)
        return await self._with_result(task, ended)

    async def asked(self, task: Task, spec: ResultSpec, ended: Ended | None, send: Send) -> Observation:
        """Send the result requests by *send*, the status answer *ended* known where they are made from it."""
        try:
            prepared = list(self._prepared(task, spec, ended))
        except (Unbuildable, ExpressionFailed) as refusal:
            return Missed(miss=Miss.UNCONFIGURED, detail=str(refusal), unsent=True)
        if spec.kind == "link":
            links = (Output(url=str(each.url), kind=spec.output_kind, needs_auth=True) for each in prepared)
            return replace(ended or Ended(outcome=Status.SUCCEEDED), outputs=tuple(links))
        told: list[Ended] = []
        for request in prepared:
            seen = await send(request)
            if not isinstance(seen, Ended) or (seen.outcome is not Status.SUCCEEDED):
                return seen
            told.append(seen)
        if not told:
            return ended or Ended(outcome=Status.SUCCEEDED)
        return _joined(told) if spec.each else told[0]

    async def _with_result(self, task: Task, ended: Ended) -> Observation:
        spec = self.account.definition.result
        assert spec is not None
        told = await self.asked(task, spec, ended, self.ask)
        if isinstance(told, Ended):
            return self._with_fallback(task, _merged(ended, told))
        known = self._with_fallback(task, ended)
        if isinstance(told, Pending):
            detail = "the result is not there yet"
            return Missed(miss=Miss.RESULT_MISSING, detail=detail, retry_after=told.hint, known=known)
        detail = (
            told.detail if told.miss is Miss.UNCONFIGURED else f"the result request brought {told.miss}: {told.detail}"
        )
        return replace(told, miss=Miss.RESULT_MISSING, detail=detail, known=known)

    def _prepared(self, task: Task, spec: ResultSpec, ended: Ended | None) -> Iterator[Prepared]:
        body = ended.response.body if ended else None
        found = {name: told for name, paths in spec.variables.items() if (told := _text(first_set(paths, body)))}
        if spec.each is None:
            yield self.requests.result(task, found)
            return
        items = spec.each.of(body)
        texts = dict.fromkeys(map(_text, items if isinstance(items, list) else [items]))
        for item in [text for text in texts if text][:MOST_ITEMS]:
            yield self.requests.result(task, found | {"item": item})

    def _with_fallback(self, task: Task, ended: Ended) -> Ended:
        spec = self.account.definition.fallback
        url = None if ended.outputs or ended.outcome is not Status.SUCCEEDED else self.requests.fallback(task)
        if spec is None or url is None:
            return ended
        output = Output(url=str(url), kind=spec.kind, needs_auth=spec.needs_auth)
        return replace(ended, outputs=(output,))


def _merged(ended: Ended, told: Ended) -> Ended:
    """Return what the result request told, with the status answer's facts where it told nothing."""
    return replace(
        told,
        outputs=told.outputs or ended.outputs,
        created_at=told.created_at or ended.created_at,
        started_at=told.started_at or ended.started_at,
        finished_at=told.finished_at or ended.finished_at,
    )


def _joined(told: list[Ended]) -> Ended:
    """Return one success with the outputs of all, its body the list of theirs."""
    outputs = {
        output.url or f"{place}": output for place, output in enumerate(o for each in told for o in each.outputs)
    }
    bodies: list[Json] = [each.response.body for each in told]
    return Ended(outcome=Status.SUCCEEDED, outputs=tuple(outputs.values()), response=Response(body=bodies))


def _text(value: Json) -> str | None:
    try:
        return text_of(value) or None
    except ValueError:
        return None
