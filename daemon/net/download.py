"""One download as a value: a link streamed into a draft, on from where an earlier try broke off.

Guarded here: the key goes to the link's own origin alone and is dropped at the first redirect away from it; every
address dialled is judged, redirects included; and what comes is bounded while it comes: in bytes, in seconds, in
bytes per interval.
"""

from __future__ import annotations

import asyncio
import errno
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
from yarl import URL

from daemon.core.origin import origin
from daemon.core.retry_after import retry_after
from daemon.core.saving import Access, Copied, Fetched, Save, SaveBounds, SaveFault, Uncopied
from daemon.net.barred import Barred
from daemon.net.draft import Draft, in_thread
from daemon.net.exchange import Passage, passage, reading_of

REDIRECTS = 5
STEP = 1024 * 1024
STALL_SECONDS = 30.0
STALL_BYTES = 4 * 1024
_REDIRECTING = frozenset({301, 302, 303, 307, 308})
_FULL, _PART = 200, 206
_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")
_MEDIA = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}", re.ASCII)
_WORDS = frozenset({"text/html", "application/xhtml+xml", "application/json", "application/xml", "text/xml"})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _Refused(Exception):
    """The try is over, with this fault."""

    def __init__(self, fault: SaveFault, detail: str, *, status: int | None = None, wish: float | None = None) -> None:
        super().__init__(detail)
        self.fault, self.status, self.wish = fault, status, wish


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpFetcher:
    """The engine's Fetcher over HTTP.

    *home* is the session for links on a lane's own origin, which its operator typed; *strangers* the one for all
    others. Both are guarded.
    """

    home: aiohttp.ClientSession
    strangers: aiohttp.ClientSession
    now_at: Callable[[], float]
    stall: float = STALL_SECONDS

    async def fetch(
        self,
        save: Save,
        part: Path,
        *,
        bounds: SaveBounds,
        home: str,
        access: Callable[[str], Awaitable[Access | None]],
        grows: Callable[[int], str | None],
    ) -> Fetched:
        """Make one try to bring the bytes of *save* into *part*; see the port. Never raises for weather."""
        begun, left = time.monotonic(), 0
        note = Passage(once=False, is_plain=False)
        token = passage.set(note)
        try:
            where = origin(save.url)
            draft = await in_thread(lambda: Draft(part, save.url.partition("?")[0]))
            try:
                trip = _Trip(self, save, draft, bounds, grows, note)
                async with asyncio.timeout(bounds.timeout):
                    kind = await trip.run(where, home, access)
                await in_thread(draft.finish)
                seconds = time.monotonic() - begun
                return Copied(size=draft.size, sha256=draft.sha256, content_type=kind, seconds=seconds)
            finally:
                left = draft.size
                await in_thread(draft.close)
        except (_Refused, ValueError, aiohttp.ClientError, OSError, Barred, RuntimeError) as error:
            if self.home.closed or self.strangers.closed:
                raise
            return replace(_uncopied(error, note, time.monotonic() - begun, bounds.timeout), left=left)
        finally:
            passage.reset(token)


@dataclass(slots=True)
class _Trip:
    """One try under way."""

    fetcher: HttpFetcher
    save: Save
    draft: Draft
    bounds: SaveBounds
    grows: Callable[[int], str | None]
    note: Passage
    _waiting: bytearray = field(default_factory=bytearray)

    async def run(self, where: str, home: str, access: Callable[[str], Awaitable[Access | None]]) -> str:
        """Follow the link to its bytes and take them; return their content type."""
        url, at = URL(self.save.url, encoded=True), where
        has_key, is_home = self.save.needs_auth, where == home
        for _ in range(REDIRECTS + 1):
            key = await access(str(url)) if has_key else None
            headers = {**(key.headers if key else {}), "Accept": "*/*", "Accept-Encoding": "identity", **self._range()}
            self.note.is_plain = url.scheme == "http"
            session = self.fetcher.home if is_home else self.fetcher.strangers
            sent = URL(key.url, encoded=True) if key else url
            async with session.get(sent, headers=headers, allow_redirects=False) as response:
                self.note.status = response.status
                if response.status not in _REDIRECTING:
                    return await self._take(response)
                url = _target(url, response)
            self.note.status = None
            at = origin(str(url))
            has_key, is_home = has_key and at == where, is_home and at == where
        raise _Refused(SaveFault.PROTOCOL, f"more than {REDIRECTS} redirects")

    def _range(self) -> dict[str, str]:
        if not self.draft.size or self.draft.marks.validator is None:
            return {}
        return {"Range": f"bytes={self.draft.size}-", "If-Range": self.draft.marks.validator}

    async def _take(self, response: aiohttp.ClientResponse) -> str:
        kind = self._require_output(response)
        if response.status == _PART:
            await self._require_next_part(response)
        else:
            total = None if "Content-Encoding" in response.headers else response.content_length
            self._require_room(total or 0)
            await self._on_disk(lambda: self.draft.begin(_validator(response), total))
        await self._stream(response)
        total = self.draft.marks.total
        if total is not None and self.draft.size != total:
            if response.status != _PART or self.draft.size > total:
                await self._on_disk(lambda: self.draft.begin(None, None))
            raise _Refused(SaveFault.PROTOCOL, f"the parts make {self.draft.size} bytes where {total} were announced")
        if not self.draft.size:
            raise _Refused(SaveFault.NOT_THE_OUTPUT, "the answer is empty", status=response.status)
        return kind

    def _require_output(self, response: aiohttp.ClientResponse) -> str:
        status = response.status
        if status not in (_FULL, _PART):
            wish = retry_after(response.headers, self.fetcher.now_at())
            raise _Refused(SaveFault.HTTP, f"the link was answered with HTTP {status}", status=status, wish=wish)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        kind = kind if _MEDIA.fullmatch(kind) else "application/octet-stream"
        if kind in _WORDS and self.save.kind in ("video", "image", "audio"):
            raise _Refused(SaveFault.NOT_THE_OUTPUT, f"{kind} came where {self.save.kind} was expected", status=status)
        return kind

    async def _require_next_part(self, response: aiohttp.ClientResponse) -> None:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        known, told = self.draft.marks.total, "*" if found is None else found[2]
        fits = found is not None and int(found[1]) == self.draft.size and self._range()
        if not fits or (known is not None and told not in ("*", str(known))):
            await self._on_disk(lambda: self.draft.begin(None, None))
            raise _Refused(SaveFault.PROTOCOL, "the answer is another part than the one asked for", status=_PART)
        if known is None and told != "*":
            await self._on_disk(lambda: self.draft.expect(int(told)))
        self._require_room(max(self.draft.size + (response.content_length or 0), self.draft.marks.total or 0))

    async def _stream(self, response: aiohttp.ClientResponse) -> None:
        loop, seen = asyncio.get_running_loop(), 0
        patience = asyncio.timeout(self.fetcher.stall)
        try:
            async with patience:
                while not response.content.at_eof():
                    piece = await response.content.readany()
                    self._waiting += piece
                    seen += len(piece)
                    if seen >= STALL_BYTES:
                        seen = 0
                        patience.reschedule(loop.time() + self.fetcher.stall)
                    self._require_room(self.draft.size + len(self._waiting))
                    if len(self._waiting) >= STEP:
                        await self._flush()
        except TimeoutError:
            if not patience.expired():
                raise
            slow = f"less than {STALL_BYTES} bytes came in {self.fetcher.stall:g} s"
            raise _Refused(SaveFault.STALLED, slow, status=self.note.status) from None
        finally:
            await self._flush()

    def _require_room(self, size: int) -> None:
        if size > self.bounds.max_bytes:
            self._waiting.clear()
            raise _Refused(SaveFault.TOO_LARGE, f"it is larger than [outputs] max_bytes, {self.bounds.max_bytes}")
        complaint = self.grows(size)
        if complaint is not None:
            self._waiting.clear()
            raise _Refused(SaveFault.NO_ROOM, complaint)

    async def _flush(self) -> None:
        content = bytes(self._waiting)
        self._waiting.clear()
        if content:
            await self._on_disk(lambda: self.draft.write(content))

    async def _on_disk(self, deed: Callable[[], None]) -> None:
        try:
            await in_thread(deed)
        except OSError as error:
            fault = f"the disk refused it: {error.strerror}"
            raise _Refused(SaveFault.NO_ROOM if error.errno in _NO_ROOM else SaveFault.PROTOCOL, fault) from error


def _validator(response: aiohttp.ClientResponse) -> str | None:
    """What If-Range may name: a strong ETag, else the time of change; nothing where the bytes are decoded for us."""
    if "Content-Encoding" in response.headers:
        return None
    tag = response.headers.get("ETag", "")
    if tag.startswith('"') and tag.endswith('"') and tag.isascii() and 2 < len(tag) < 256:
        return tag
    changed = response.headers.get("Last-Modified", "")
    return changed if changed.isascii() and 0 < len(changed) < 64 else None


def _target(asked: URL, response: aiohttp.ClientResponse) -> URL:
    text = response.headers.get("Location", "")
    try:
        url = asked.join(URL(text, encoded=text.isascii())).with_fragment(None)
    except (ValueError, IndexError):
        url = None
    if not text or url is None:
        raise _Refused(SaveFault.PROTOCOL, "a redirect without a target that can be read", status=response.status)
    return url


def _uncopied(error: Exception, note: Passage, seconds: float, timeout: float) -> Uncopied:
    if isinstance(error, _Refused):
        return Uncopied(
            fault=error.fault, detail=str(error), seconds=seconds, http_status=error.status, retry_after=error.wish
        )
    if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientError):
        return Uncopied(fault=SaveFault.UNFETCHABLE, detail=f"the link cannot be fetched: {error}", seconds=seconds)
    kind, detail = reading_of(error, note, timeout)
    return Uncopied(fault=SaveFault(kind.value), detail=detail, seconds=seconds, http_status=note.status)
