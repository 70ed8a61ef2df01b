"""Small secret files beside the database: made once, whole or absent, for their owner's eyes alone."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from daemon.core.errors import Fault
from daemon.store.private import make_private_folders, sweep_asides, sync_folder, write_aside

SIZE_LIMIT = 4096


def load_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the content of the secret file *path*, made with what *make* returns where there is none.

    When several processes make it at once, one wins and all return its content. Raises Fault for a symbolic link,
    for a file that others may read or write, for an empty one and for one over 4 KiB.
    """
    try:
        content = _found(path, make)
        sweep_asides(path)
    except OSError as error:
        raise _unusable(path, error) from error
    return content


def _found(path: Path, make: Callable[[], bytes]) -> bytes:
    try:
        return _load(path)
    except FileNotFoundError:
        _make(path, make())
        return _load(path)


def _load(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise Fault(f"secret file {path} is no regular file; move it away and a new one is made at the next start")
        if mode & 0o077:
            raise Fault(f"secret file {path} may be read by others (mode {mode & 0o777:04o}); run `chmod 600 {path}`")
        content = file.read(SIZE_LIMIT + 1)
    if not 0 < len(content) <= SIZE_LIMIT:
        raise Fault(
            f"secret file {path} is empty or over {SIZE_LIMIT} bytes; put a copy in its place,"
            " or delete it and a new secret is made at the next start"
        )
    return content


def _make(path: Path, content: bytes) -> None:
    """Give *content* the name *path*, unless somebody else was first, who may have swept ours away with the rest;
    ``link`` never replaces a file.
    """
    make_private_folders(path.parent)
    aside = write_aside(path, content)
    try:
        os.link(aside, path)
    except (FileExistsError, FileNotFoundError):
        pass
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def _unusable(path: Path, error: OSError) -> Fault:
    if error.errno == errno.ELOOP:
        return Fault(f"secret file {path} is a symbolic link, which could lead anywhere; put the file itself there")
    return Fault(f"cannot use secret file {path}: {error.strerror}; it must belong to the daemon's user, mode 0600")
