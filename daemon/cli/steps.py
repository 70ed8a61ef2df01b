"""The steps of an installation as values: each can be written as a line of shell, and taken.

Guarded here: a step taken twice changes nothing the second time, and what a person wrote is never written over.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemon.cli.complaint import Complaint

OLD = ".before"


class Step(Protocol):
    """One thing to do."""

    def shell(self) -> str:
        """Return it as a line of shell."""
        ...

    def take(self) -> str:
        """Do it and return what was done, in words; raises Complaint."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of root's with *mode*."""

    path: Path
    mode: int

    def shell(self) -> str:
        """As ``install -d``."""
        return f"install -d -m {self.mode:04o} {_quoted(self.path)}"

    def take(self) -> str:
        """Make it where it is missing, and give it its mode."""
        if self.path.is_dir() and stat.S_IMODE(self.path.stat().st_mode) == self.mode:
            return f"as it was: {self.path}"
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(self.mode)
        return f"made {self.path} ({self.mode:04o})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file with *text*, which the shell gets from *made_by*; one that *is_yours* is left alone once it exists."""

    path: Path
    text: str
    made_by: str
    is_yours: bool = False

    def shell(self) -> str:
        """As ``install`` from a pipe."""
        line = f"{self.made_by} | install -D -m 0644 /dev/stdin {_quoted(self.path)}"
        return f"[ -e {_quoted(self.path)} ] || {line}" if self.is_yours else line

    def take(self) -> str:
        """Write it whole, the former content kept beside it where it differs."""
        if self.path.exists():
            if self.is_yours:
                return f"kept, it is yours: {self.path}"
            if self.path.read_text(encoding="utf-8") == self.text:
                return f"as it was: {self.path}"
            return self._replace()
        self._write()
        return f"wrote {self.path}"

    def _replace(self) -> str:
        former = self.path.with_name(self.path.name + OLD)
        self.path.replace(former)
        self._write()
        return f"wrote {self.path} anew; what it was is in {former}"

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.new")
        fresh.write_text(self.text, encoding="utf-8")
        fresh.chmod(0o644)
        fresh.replace(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A file or an empty folder that should not be there; with *everything*, a folder and all in it."""

    path: Path
    everything: bool = False

    def shell(self) -> str:
        """As ``rm``."""
        return f"rm -rf {_quoted(self.path)}" if self.everything else f"rm -f {_quoted(self.path)}"

    def take(self) -> str:
        """Remove it."""
        if not self.path.exists() and not self.path.is_symlink():
            return f"is not there: {self.path}"
        if self.everything:
            _run("rm", "-rf", "--one-file-system", str(self.path))
        else:
            self.path.unlink()
        return f"removed {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symbolic link from *path* to *target*; a file of somebody else's that stands there stays."""

    path: Path
    target: Path

    def shell(self) -> str:
        """As ``ln``."""
        return f"[ -e {_quoted(self.path)} ] || ln -s {_quoted(self.target)} {_quoted(self.path)}"

    def take(self) -> str:
        """Make the link."""
        if self.path.is_symlink() and self.path.readlink() == self.target:
            return f"as it was: {self.path}"
        if self.path.exists() or self.path.is_symlink():
            return f"left alone, something else stands there: {self.path}"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.symlink_to(self.target)
        return f"linked {self.path} to {self.target}"


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run; *is_needed* false lets its failure pass."""

    words: tuple[str, ...]
    is_needed: bool = True

    def shell(self) -> str:
        """The command itself."""
        return shlex.join(self.words) + ("" if self.is_needed else " || true")

    def take(self) -> str:
        """Run it."""
        status = _run(*self.words, is_needed=self.is_needed)
        return f"ran {shlex.join(self.words)}" + ("" if not status else f" (exit {status}, which does no harm)")


def _run(*words: str, is_needed: bool = True) -> int:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"})  # noqa: S603 (the words are ours)
    except OSError as error:
        raise Complaint(f"cannot run {words[0]}: {error.strerror}") from None
    if done.returncode and is_needed:
        raise Complaint(f"`{shlex.join(words)}` failed with exit {done.returncode}", *done.stderr.splitlines()[:5])
    return done.returncode


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
