"""One booted machine for all tests of this folder; `make test-systemd` makes it, other runs leave the folder alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot.installed import PROGRAM
from tests.boot.machine import Machine

ROOT = os.environ.get("POLLHOOK_MACHINE", "")
collect_ignore_glob = [] if ROOT else ["test_*.py"]


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    with Machine(Path(ROOT)) as booted:
        booted.run(PROGRAM, "install", "--apply", "--no-start")
        yield booted
