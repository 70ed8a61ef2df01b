"""Observations made of answers whose state is known: what else they tell, and whether a success holds."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from daemon.core.observation import Ended, Json, Missed, Observation, Pending, Response
from daemon.core.retry_after import retry_after
from daemon.core.task import Live, Miss, Outcome, Status
from daemon.providers.definition import Definition
from daemon.providers.definition_reading import Guard, Hint
from daemon.providers.expression import first_present, is_set
from daemon.providers.fields import Why, error_of, first_instant, number_of, position_of, progress_of
from daemon.providers.outputs import Source, outputs_of
from daemon.providers.reply import Reply
from daemon.providers.words import State

_OUTCOMES: dict[str, Outcome] = {
    "succeeded": Status.SUCCEEDED,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
    "expired": Status.EXPIRED,
}
_USUAL_HINT = Hint(header="openai-poll-after-ms", unit="ms")
_NO_REASON = Why()


@dataclass(frozen=True, slots=True)
class Observed:
    """One answer of *definition*, parsed; every method may raise ExpressionFailed."""

    definition: Definition
    reply: Reply
    body: Json

    def state(self, state: State, guards: tuple[Guard, ...], why: Why = _NO_REASON) -> Observation:
        """Return what *state* makes of the answer: a success only where *guards* hold, a failure with its *why*."""
        match state:
            case State.QUEUED:
                return self.pending(Status.QUEUED)
            case State.RUNNING:
                return self.pending(Status.RUNNING)
            case State.NOT_FOUND:
                return self.missed(Miss.NOT_FOUND, "the provider knows no such task")
            case State.NO_NEWS:
                return self.missed(Miss.UNKNOWN_WORD, "a status word that tells nothing")
            case State.SUCCEEDED:
                return self.held(guards)
            case State.FAILED | State.CANCELED | State.EXPIRED:
                return self.failed(_OUTCOMES[state], why)

    def held(self, guards: tuple[Guard, ...]) -> Observation:
        """Return the success, or what the first of *guards* that does not hold makes of it."""
        ended = self.ended(Status.SUCCEEDED)
        for guard in guards:
            if not (ended.outputs if guard.that is None else is_set(guard.that.of(self.body))):
                return self._unmet(guard, ended)
        return ended

    def failed(self, outcome: Outcome, why: Why) -> Observation:
        """Return an end without success; an error code that names another outcome goes before *outcome*."""
        ended = self.ended(outcome, why)
        code = ended.error.code if ended.error else None
        other = self.definition.errors.outcomes.get(code or "") if outcome is Status.FAILED else None
        if other is None:
            return ended
        if other == "no_news":
            return self.missed(Miss.UNKNOWN_WORD, f"a failure whose code {code} tells nothing")
        return self.ended(_OUTCOMES[other], why)

    def ended(self, outcome: Outcome, why: Why = _NO_REASON) -> Ended:
        """Return the end with all that the answer tells of it."""
        definition, body, fields = self.definition, self.body, self.definition.status.fields
        specs = (*fields.outputs, *(definition.result.outputs if definition.result else ()))
        return Ended(
            outcome=outcome,
            outputs=outputs_of(specs, Source(body, self.reply.url, self.reply.cuts), definition),
            error=None if outcome is Status.SUCCEEDED else error_of(definition, body, outcome, why),
            created_at=first_instant(fields.created_at, body),
            started_at=first_instant(fields.started_at, body),
            finished_at=first_instant(fields.finished_at, body),
            response=Response(body=body),
        )

    def pending(self, status: Status) -> Pending:
        """Return that the task lives, with all that the answer tells of it."""
        live: Live = Status.QUEUED if status is Status.QUEUED else Status.RUNNING
        fields, body = self.definition.status.fields, self.body
        if body is None:
            return Pending(status=live, hint=self._hint())
        total = number_of(first_present(fields.progress_total, body))[0] or 0.0
        scale = total if fields.progress_total else fields.progress_scale
        return Pending(
            status=live,
            progress=progress_of(first_present(fields.progress, body), scale),
            queue_position=position_of(first_present(fields.queue_position, body)),
            created_at=first_instant(fields.created_at, body),
            started_at=first_instant(fields.started_at, body),
            hint=self._hint(),
        )

    def missed(self, miss: Miss, detail: str, *, known: Ended | None = None) -> Missed:
        """Return no news, with the provider's wish of when to ask again."""
        wish = retry_after(self.reply.headers, self.reply.now_at)
        return Missed(miss=miss, detail=detail, http_status=self.reply.status, retry_after=wish, known=known)

    def _unmet(self, guard: Guard, ended: Ended) -> Observation:
        lack = "without outputs" if guard.that is None else f"where {guard.that.text!r} does not hold"
        match guard.otherwise:
            case "running":
                return self.pending(Status.RUNNING)
            case "no_news":
                return self.missed(Miss.UNKNOWN_WORD, f"a success {lack}")
            case "wait":
                return self.missed(Miss.RESULT_MISSING, f"a success {lack}", known=ended)
            case "failed" | "canceled" | "expired":
                why = Why(blame=guard, default=f"the provider told a success {lack}")
                return self.failed(_OUTCOMES[guard.otherwise], why)

    def _hint(self) -> float | None:
        wishes = (self._wish(hint) for hint in (*self.definition.status.hints, _USUAL_HINT))
        wish = next((wish for wish in wishes if wish is not None), None)
        return retry_after(self.reply.headers, self.reply.now_at) if wish is None else wish

    def _wish(self, hint: Hint) -> float | None:
        value: Json = self.reply.headers.get(hint.header.lower()) if hint.header else None
        if hint.path is not None and self.body is not None:
            value = hint.path.of(self.body)
        number, has_percent = number_of(value)
        if number is None or has_percent or number <= 0 or not isfinite(number):
            return None
        return number / 1000 if hint.unit == "ms" else number
