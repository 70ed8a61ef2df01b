"""A draft: the bytes of a download so far, and beside them what is needed to go on after an interruption.

Guarded here: bytes are trusted over a restart of the process, but not over one of the machine, which may have lost what
was written and not yet made durable; then the draft begins anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from io import FileIO
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_READ = 1024 * 1024
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What tells whether the next answer goes on with the same bytes; ``validator`` is for If-Range."""

    resource: str
    validator: str | None = None
    total: int | None = None
    boot: str = ""


class Draft:
    """One file being written. Every method blocks on the disk: call them in a thread, one at a time."""

    def __init__(self, path: Path, resource: str) -> None:
        """Open the draft at *path*; what lies there is kept where it is of the same *resource* and can go on."""
        self._beside = path.with_name(path.name + ".json")
        self._fresh = Marks(resource=resource, boot=_boot())
        self.marks = self._known()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._file = FileIO(descriptor, "r+")
        self.size = 0
        self._digest = hashlib.sha256()
        if self.marks.validator is None:
            self._file.truncate(0)
        else:
            self._reread()

    @property
    def sha256(self) -> str:
        """The SHA-256 (hex) of all bytes written."""
        return self._digest.hexdigest()

    def begin(self, validator: str | None, total: int | None) -> None:
        """Start over: the bytes to come are those that *validator* names, *total* of them where that is known."""
        self._file.seek(0)
        self._file.truncate(0)
        self.size, self._digest = 0, hashlib.sha256()
        self.marks = replace(self._fresh, validator=validator, total=total)
        self._note()

    def expect(self, total: int) -> None:
        """Learn how many bytes there are in all."""
        self.marks = replace(self.marks, total=total)
        self._note()

    def write(self, content: bytes) -> None:
        """Append *content*."""
        rest = memoryview(content)
        while rest:
            written = self._file.write(rest)
            self.size += written
            self._digest.update(rest[:written])
            rest = rest[written:]

    def finish(self) -> None:
        """Make all that was written durable; nothing goes on from here."""
        os.fsync(self._file.fileno())
        self._beside.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _note(self) -> None:
        self._beside.write_text(json.dumps(asdict(self.marks)), encoding="utf-8")

    def _known(self) -> Marks:
        try:
            known = Marks(**json.loads(self._beside.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return self._fresh
        is_same = (known.resource, known.boot) == (self._fresh.resource, self._fresh.boot)
        return known if is_same else self._fresh

    def _reread(self) -> None:
        while part := self._file.read(_READ):
            self._digest.update(part)
            self.size += len(part)


async def in_thread(deed: Callable[[], T]) -> T:
    """Run *deed* in a thread; a caller cancelled meanwhile waits for it, so that no file is closed under a write."""
    work = asyncio.ensure_future(asyncio.to_thread(deed))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
