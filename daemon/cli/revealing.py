"""Revealing: exchanges and observations as JSON and as text for people, without a key in them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from yarl import URL

from daemon.cli import say
from daemon.cli.recording import Exchange
from daemon.cli.say import Object
from daemon.core.observation import Ended, Json, Missed, Observation, Output, Pending
from daemon.core.redaction import names_secret
from daemon.providers.account import SHORTEST_SECRET, Account
from daemon.providers.masking import Mask
from daemon.providers.reading import Reader, Reply
from daemon.providers.trace import traced

BODY_SHOWN = 2000
_MATTERS = ("content-type", "retry-after", "location", "www-authenticate", "openai-poll-after-ms")
_MASKED = "****"


class Revealing:
    """Shows what one account sent and saw."""

    def __init__(self, account: Account, exchanges: Iterable[Exchange]) -> None:
        self._definition = account.definition
        self._mask = Mask((*account.secrets, *self._minted(exchanges)))
        self._reader = Reader(definition=account.definition, mask=self._mask)

    def exchange(self, made: Exchange, *, is_result: bool) -> Object:
        """Return what was sent, what came, and how it is read."""
        headers: Object = {name: self._header(name, value) for name, value in made.headers}
        request: Object = {"method": made.method, "url": self._url(made.url), "headers": headers}
        if made.sent:
            request["body"] = self._mask.lean(made.sent.decode("utf-8", "replace"), BODY_SHOWN)
        if made.status is None:
            return {"request": request}
        answer: Object = {"status": made.status, "headers": self._answered(made.answered)}
        answer |= {"bytes": len(made.body), "seconds": round(made.seconds, 3)}
        return {"request": request, "answer": answer, "reading": self._reading(made, is_result=is_result)}

    def observation(self, seen: Observation) -> Object:
        """Return an observation by its parts, those it does not tell left out."""
        match seen:
            case Pending():
                told: Object = {"status": str(seen.status), "progress": seen.progress, "hint": seen.hint}
                told["queue_position"] = seen.queue_position
            case Ended():
                told = self._ended(seen)
            case Missed():
                told = {"miss": str(seen.miss), "detail": self._mask.text(seen.detail), "retry_after": seen.retry_after}
                told["known"] = self.observation(seen.known) if seen.known else None
            case _:
                assert_never(seen)
        told |= {name: getattr(seen, name, None) for name in ("created_at", "started_at", "finished_at")}
        return {name: value for name, value in told.items() if value is not None}

    def _ended(self, seen: Ended) -> Object:
        told: Object = {"status": str(seen.outcome), "outputs": [self._output(each) for each in seen.outputs]}
        if seen.error is not None:
            told["error"] = {"code": seen.error.code, "message": seen.error.message, "kind": seen.error.kind}
        if self._definition.result is not None and self._definition.result.when == "asked":
            told["note"] = "the result request is sent only when it is asked for, so it was not sent"
        return told

    def _output(self, output: Output) -> Json:
        where = f"{len(output.inline.content)} bytes inside the answer" if output.inline else output.url
        return {"url": self._mask.text(where), "kind": output.kind, "needs_auth": output.needs_auth}

    def _reading(self, made: Exchange, *, is_result: bool) -> Json:
        assert made.status is not None
        lowered = {name.lower(): value for name, value in made.answered.items()}
        reply = Reply(status=made.status, headers=lowered, body=bytes(made.body), asked=made.url, now_at=time.time())
        is_second = is_result and self._definition.result is not None
        trace = traced(self._reader, reply, is_result=is_second)
        return [{"what": step.what, "found": step.found, "decides": step.decides} for step in trace.steps]

    def _answered(self, headers: Mapping[str, str]) -> Object:
        hints = {hint.header.lower() for hint in self._definition.status.hints if hint.header}
        return {
            name.lower(): self._mask.text(value)[:200]
            for name, value in headers.items()
            if name.lower() in _MATTERS or name.lower() in hints or "ratelimit" in name.lower()
        }

    def _header(self, name: str, value: str) -> str:
        if not self._carries(name):
            return self._mask.text(value)
        scheme, blank, _ = value.partition(" ")
        return f"{scheme} {_MASKED}" if blank else _MASKED

    def _url(self, url: URL) -> str:
        secret = {name for name in url.query if names_secret(name) or self._is_parameter(name)}
        query = [(name, _MASKED if name in secret else value) for name, value in url.query.items()]
        return self._mask.text(str(url.with_query(query) if secret else url))

    def _carries(self, header: str) -> bool:
        own = {"authorization", self._definition.auth.header.lower()}
        return header.lower() in own or names_secret(header)

    def _is_parameter(self, name: str) -> bool:
        auth = self._definition.auth
        return auth.scheme == "query" and name == auth.parameter

    def _minted(self, exchanges: Iterable[Exchange]) -> Iterator[str]:
        """Tokens that were made or read for these requests, which no configuration holds."""
        for made in exchanges:
            told = [value.rpartition(" ")[2] for name, value in made.headers if self._carries(name)]
            told += [value for name, value in made.url.query.items() if self._is_parameter(name)]
            yield from (text for text in told if len(text) >= SHORTEST_SECRET)


def lines(found: Object) -> Iterator[str]:
    """Return what ``attempt`` found as text, step by step."""
    exchanges = found["exchanges"]
    assert isinstance(exchanges, list)
    if not exchanges:
        yield "request      none was sent"
    for each in exchanges:
        assert isinstance(each, dict)
        yield from _exchange(each)
    observation = found["observation"]
    assert isinstance(observation, dict)
    for place, (name, value) in enumerate(observation.items()):
        yield f"{'' if place else 'observation':<12} {name}: {say.cell(value)}"


def _exchange(each: Object) -> Iterator[str]:
    request, answer, reading = each["request"], each.get("answer"), each.get("reading")
    assert isinstance(request, dict)
    yield f"request      {request['method']} {say.clean(str(request['url']))}"
    yield from _pairs(request.get("headers"))
    if "body" in request:
        yield f"{'':<12} {say.clean(str(request['body']))}"
    if not isinstance(answer, dict):
        yield "answer       none"
        return
    yield f"answer       HTTP {answer['status']}, {answer['bytes']} bytes, {answer['seconds']} s"
    yield from _pairs(answer.get("headers"))
    assert isinstance(reading, list)
    for place, step in enumerate(reading):
        assert isinstance(step, dict)
        mark = "  <- decides" if step["decides"] else ""
        told = say.clean(f"{step['what']}: {step['found']}")
        yield f"{'' if place else 'reading':<12} {place + 1}. {told}{mark}"


def _pairs(headers: Json) -> Iterator[str]:
    for name, value in headers.items() if isinstance(headers, dict) else ():
        yield f"{'':<12} {say.clean(f'{name}: {value}')}"
