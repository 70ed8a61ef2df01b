"""Masking: nothing an answer says leaves with a key or with inline bytes in it.

Values are masked after parsing, so that no way of escaping a key in JSON goes round it, and before they are cut, so
that no part of a key is left at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from daemon.core.observation import Ended, Json, Missed, Observation, Pending, Response, TaskError
from daemon.core.redaction import without_bytes, without_keys

CODE_LIMIT = 256
MESSAGE_LIMIT = 4096
_LONG = 64 * 1024


@dataclass(frozen=True, slots=True)
class Mask:
    """Masks the *secrets* of one account."""

    secrets: tuple[str, ...] = ()

    def text(self, text: str) -> str:
        """Return *text* without secrets."""
        return without_keys(text, self.secrets)

    def observation(self, seen: Observation) -> Observation:
        """Return *seen* without secrets, inline bytes only in its outputs, texts cut to their bounds."""
        match seen:
            case Pending():
                return seen
            case Missed():
                return replace(seen, detail=self.text(seen.detail))
            case Ended():
                return replace(
                    seen,
                    outputs=tuple(replace(output, url=self.text(output.url)) for output in seen.outputs),
                    error=seen.error and self._error(seen.error),
                    response=Response(body=self._json(without_bytes(_shortened(seen.response.body)))),
                )
            case _:
                assert_never(seen)

    def _error(self, error: TaskError) -> TaskError:
        code = error.code and self.text(error.code)[:CODE_LIMIT]
        return replace(error, code=code, message=self.text(error.message)[:MESSAGE_LIMIT])

    def _json(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._json(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self._json(item) for name, item in value.items()}
        return value


def _shortened(value: Json, depth: int = 0) -> Json:
    """Name long ``data:`` URIs by their length, without the search through all their bytes that short ones get."""
    if isinstance(value, str):
        is_long = len(value) > _LONG and value[:5].lower() == "data:"
        return f"[data: URI, {len(value)} characters, left out]" if is_long else value
    if depth > 64 or not isinstance(value, dict | list):
        return value
    if isinstance(value, list):
        return [_shortened(item, depth + 1) for item in value]
    return {name: _shortened(item, depth + 1) for name, item in value.items()}
