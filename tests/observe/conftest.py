from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from daemon.observe.logs import configure
from daemon.observe.redactor import Redactor


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Leave the process-wide logging as it was found."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def redactor() -> Redactor:
    return Redactor()


@pytest.fixture
def lines(stream: io.StringIO, redactor: Redactor) -> Callable[[], list[dict[str, object]]]:
    """The JSON lines written so far, with logging configured at info."""
    configure("info", "auto", stream, redactor)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
