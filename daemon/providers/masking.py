"""Masking: nothing an answer says leaves with a key or with inline bytes in it.

Values are masked after parsing, so that no way of escaping a key in JSON goes round it, and before they are cut, so
that no part of a key is left at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import assert_never

from daemon.core.observation import Ended, Inline, Missed, Observation, Output, Pending, TaskError
from daemon.core.redaction import masking, without_bytes

CODE_LIMIT = 256
MESSAGE_LIMIT = 4096
_STEP = 256 * 1024
_SPELLED = 48
_READABLE = ("text/", "application/json")


@dataclass(frozen=True)
class Mask:
    """Masks the *secrets* of one account, in whichever spelling an answer repeats them."""

    secrets: tuple[str, ...] = ()

    @cached_property
    def text(self) -> Callable[[str], str]:
        """Return a text without secrets."""
        return masking(self.secrets)

    def lean(self, text: str, limit: int) -> str:
        """Return *text* without secrets and inline bytes, cut to *limit* characters."""
        return str(without_bytes(self.text(text)[:limit]))[:limit]

    def observation(self, seen: Observation) -> Observation:
        """Return *seen* without secrets, inline bytes only in its outputs, texts cut to their bounds."""
        match seen:
            case Pending():
                return seen
            case Missed():
                return replace(seen, detail=self.text(seen.detail), known=seen.known and self._ended(seen.known))
            case Ended():
                return self._ended(seen)
            case _:
                assert_never(seen)

    def _ended(self, seen: Ended) -> Ended:
        return replace(
            seen,
            outputs=tuple(map(self._output, seen.outputs)),
            error=seen.error and self._error(seen.error),
            response=replace(seen.response, body=without_bytes(seen.response.body, self.text)),
        )

    def _output(self, output: Output) -> Output:
        inline = output.inline and self._inline(output.inline)
        return replace(output, url=self.text(output.url), kind=self.text(output.kind), inline=inline)

    def _inline(self, inline: Inline) -> Inline:
        content, media = inline.content, self.text(inline.content_type)
        if self.secrets and media.startswith(_READABLE):
            content = b"".join(self._readable(content))
        return Inline(content=content, content_type=media)

    def _readable(self, content: bytes) -> Iterator[bytes]:
        """Mask a text step by step, cut only where no secret stands near."""
        room = _SPELLED * max(map(len, self.secrets))
        start = 0
        while start < len(content):
            end = start + _STEP
            while end < len(content) and not self._is_clean(content[max(start, end - room) : end + room]):
                end += room
            yield self._masked(content[start:end])
            start = end

    def _is_clean(self, content: bytes) -> bool:
        return self._masked(content) == content

    def _masked(self, content: bytes) -> bytes:
        return self.text(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def _error(self, error: TaskError) -> TaskError:
        code = error.code and self.text(error.code)[:CODE_LIMIT]
        return replace(error, code=code, message=self.lean(error.message, MESSAGE_LIMIT))
