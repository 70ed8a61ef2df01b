"""Logging: one JSON object per line for machines, coloured lines on a terminal, never a secret on either.

Tracebacks are plain text: a rich one blocks the event loop for milliseconds. A stream that breaks stops no work.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Mapping, MutableMapping
from typing import Literal, TextIO, TypeAlias

import structlog
from structlog.typing import Processor

from daemon.core.wall import rfc3339
from daemon.observe.outlet import Outlet
from daemon.observe.redactor import Clean, Redactor

Style: TypeAlias = Literal["auto", "json", "console"]
Event: TypeAlias = MutableMapping[str, object]
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def configure(level: str, style: Style, stream: TextIO, redactor: Redactor, *, journal: bool = False) -> None:
    """Send every log line, structlog's and the standard library's, to *stream* from *level* up.

    *style* ``auto`` is the console on a terminal and JSON elsewhere; *journal* puts syslog priorities (``<6>``)
    before the lines. What libraries say is heard from warning up. May be called again, as on a reload.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    is_console = style == "console" or (style == "auto" and not journal and stream.isatty())
    outlet = Outlet(stream)
    structlog.configure(
        processors=_processors(redactor, _console(stream) if is_console else _json(journal=journal)),
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: outlet,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Bridge()], level=max(threshold, logging.WARNING), force=True)
    logging.captureWarnings(capture=True)


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether *stream* is the journal's own: ``$JOURNAL_STREAM`` names its device and inode (systemd.exec(5))."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _processors(redactor: Redactor, rendering: list[Processor]) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _stamped,
        redactor,
        *rendering,
    ]


def _stamped(_logger: object, _method: str, event: Event) -> Event:
    """Put time, level and event first, so that lines read alike."""
    head = {"timestamp": rfc3339(time.time()), "level": event.pop("level"), "event": event.pop("event", "")}
    return {**head, **event}


def _json(*, journal: bool) -> list[Processor]:
    def render(_logger: object, _method: str, event: Mapping[str, Clean]) -> str:
        line = json.dumps(event, separators=(",", ":"), default=repr)
        return f"<{_PRIORITIES.get(str(event['level']), 6)}>{line}" if journal else line

    return [render]


def _console(stream: TextIO) -> list[Processor]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )
    return [_printable, renderer]


def _printable(_logger: object, _method: str, event: Event) -> Event:
    """Escape what could steer a terminal, since providers' own words are logged."""
    return {
        name: _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", value) if isinstance(value, str) else value
        for name, value in event.items()
    }


class _Bridge(logging.Handler):
    """The standard library's records (asyncio, aiohttp, warnings) as log events named after their logger."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        level = record.levelname.lower()
        log = structlog.get_logger()
        speak = getattr(log, level if level in _PRIORITIES else "warning")
        speak(record.name, message=text, exc_info=record.exc_info if record.exc_info and record.exc_info[0] else None)
