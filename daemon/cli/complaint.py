"""What ends a command other than by success: a text for people, and the exit status that goes with it."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit statuses of ``pollhook``."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_STARTED = 3


class Complaint(Exception):
    """Something the user should read on stderr; *hints* are further lines, such as one per bad field."""

    def __init__(self, text: str, *hints: str, status: Exit = Exit.FAILED) -> None:
        super().__init__(text)
        self.text = text
        self.hints = hints
        self.status = status


def misuse(text: str, *hints: str) -> Complaint:
    """Return the complaint about a wrong argument or configuration."""
    return Complaint(text, *hints, status=Exit.USAGE)
