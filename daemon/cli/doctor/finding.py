"""What a check says: where it looked, how bad it is, what it saw, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from daemon.cli.say import Object


class Severity(StrEnum):
    """How bad a finding is; an error is what keeps the daemon from its work, or secrets from being kept."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of one check; *advice* is there where something can be done."""

    area: str
    severity: Severity
    text: str
    advice: str | None = None

    @property
    def told(self) -> Object:
        """The finding as JSON."""
        return {"area": self.area, "severity": str(self.severity), "text": self.text, "advice": self.advice}


def ok(area: str, text: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(area=area, severity=Severity.OK, text=text)


def note(area: str, text: str, advice: str | None = None) -> Finding:
    """Return a finding worth knowing."""
    return Finding(area=area, severity=Severity.NOTE, text=text, advice=advice)


def warning(area: str, text: str, advice: str) -> Finding:
    """Return a finding that will hurt later, or a little."""
    return Finding(area=area, severity=Severity.WARNING, text=text, advice=advice)


def error(area: str, text: str, advice: str) -> Finding:
    """Return a finding that hurts now."""
    return Finding(area=area, severity=Severity.ERROR, text=text, advice=advice)
