"""Private files that are whole or absent: written aside, made durable, then given their name."""

from __future__ import annotations

import glob
import os
import re
import secrets
from pathlib import Path

_MARK = re.compile(r"[0-9a-f]{16}")


def make_private_folders(folder: Path) -> None:
    """Make *folder* and its missing parents for their owner alone, whatever the umask; leave existing ones be."""
    if folder.is_dir():
        return
    make_private_folders(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def write_aside(path: Path, content: bytes) -> Path:
    """Write *content* to a new file (0600) beside *path*, durable when this returns; return where."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return aside


def sweep_asides(path: Path) -> None:
    """Delete what a process that was killed wrote beside *path* and never gave its name."""
    for aside in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if _MARK.fullmatch(aside.name.rpartition(".")[2]) and aside.name.count(".") == path.name.count(".") + 2:
            aside.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
