"""The shelf: outputs as files ``outputs/<task id>/<number>`` beside the database, their types in a table.

A file is named only once it is whole and on the disk, and its row is written after it; a row is deleted after its
file, so that what a crash leaves behind is found again at the next start.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from daemon.core.errors import StoreFault
from daemon.core.ids import TaskId
from daemon.core.observation import Inline
from daemon.store.database import Database
from daemon.store.private import make_private_folders, sync_folder, write_aside

_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_KEEP = """
INSERT INTO outputs (task_id, number, content_type, size, sha256)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (task_id, number) DO UPDATE SET
  content_type = excluded.content_type, size = excluded.size, sha256 = excluded.sha256
"""
_FIND = "SELECT content_type FROM outputs WHERE task_id = ? AND number = ?"
_DISCARD = "DELETE FROM outputs WHERE task_id = ?"
_DISCARD_SAVES = "DELETE FROM saves WHERE task_id = ?"
_ORPHANS = """
SELECT task_id FROM outputs WHERE task_id NOT IN (SELECT id FROM tasks)
UNION
SELECT task_id FROM saves WHERE task_id NOT IN (SELECT id FROM tasks)
"""


class FileShelf:
    """The port ``Shelf`` in a folder beside a database."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    async def keep(self, task_id: TaskId, number: int, inline: Inline) -> None:
        """Store the bytes of output *number*, durable when this returns; raise StoreFault where the disk fails."""
        path = self._path(task_id, number)
        if path is None:
            raise ValueError(f"not an output: {task_id!r}, number {number}")
        try:
            digest = await asyncio.to_thread(_write, path, inline.content)
        except OSError as error:
            raise StoreFault(
                f"cannot store output {path}: {error.strerror}; free some space or mend its mode"
            ) from error
        row = (task_id, number, inline.content_type, len(inline.content), digest)
        await self._database.change(partial(_execute, _KEEP, row))

    async def find(self, task_id: TaskId, number: int) -> tuple[Path, str] | None:
        """Return the file and content type of output *number*, None where there is none."""
        path = self._path(task_id, number)
        return None if path is None else await self._database.read(partial(_find, path, task_id, number))

    async def discard(self, task_ids: Sequence[TaskId]) -> None:
        """Delete all outputs of these tasks."""
        folders = [self._folder / id_ for id_ in task_ids if _SAFE_ID.fullmatch(id_)]
        await asyncio.to_thread(_delete, folders)
        await self._database.change(partial(_forget, task_ids), weight=len(task_ids))

    async def draft(self, task_id: TaskId, number: int) -> Path:
        """Return where the bytes of output *number* may gather; raise StoreFault where the disk fails."""
        path = self._path(task_id, number)
        if path is None:
            raise ValueError(f"not an output: {task_id!r}, number {number}")
        try:
            await asyncio.to_thread(make_private_folders, path.parent)
        except OSError as error:
            raise StoreFault(f"cannot make folder {path.parent}: {error.strerror}; mend its mode") from error
        return _part(path)

    async def adopt(self, task_id: TaskId, number: int) -> bool:
        """Make the draft the output itself; False where it is gone."""
        path = self._path(task_id, number)
        return path is not None and await asyncio.to_thread(_adopt, path)

    async def drop_draft(self, task_id: TaskId, number: int) -> None:
        """Delete what gathered of output *number*, and the folder where nothing else lies in it."""
        path = self._path(task_id, number)
        if path is not None:
            await asyncio.to_thread(_drop_draft, path)

    async def sweep(self) -> None:
        """Delete the outputs of tasks that are gone, which a crash may have left."""
        orphans = await self._database.read(_orphans)
        if orphans:
            await self.discard(orphans)

    def _path(self, task_id: TaskId, number: int) -> Path | None:
        if number < 0 or not _SAFE_ID.fullmatch(task_id):
            return None
        return self._folder / task_id / str(number)


def _write(path: Path, content: bytes) -> str:
    make_private_folders(path.parent)
    write_aside(path, content).replace(path)
    sync_folder(path.parent)
    return hashlib.sha256(content).hexdigest()


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _adopt(path: Path) -> bool:
    try:
        _part(path).replace(path)
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def _drop_draft(path: Path) -> None:
    part = _part(path)
    part.unlink(missing_ok=True)
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()


def _delete(folders: Sequence[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _find(path: Path, task_id: TaskId, number: int, connection: sqlite3.Connection) -> tuple[Path, str] | None:
    row = connection.execute(_FIND, (task_id, number)).fetchone()
    return (path, str(row[0])) if row is not None and path.is_file() else None


def _execute(sql: str, row: Sequence[str | int], connection: sqlite3.Connection) -> None:
    connection.execute(sql, row)


def _forget(task_ids: Sequence[TaskId], connection: sqlite3.Connection) -> None:
    ids = [(id_,) for id_ in task_ids]
    connection.executemany(_DISCARD, ids)
    connection.executemany(_DISCARD_SAVES, ids)


def _orphans(connection: sqlite3.Connection) -> list[TaskId]:
    return [TaskId(id_) for (id_,) in connection.execute(_ORPHANS).fetchall()]
