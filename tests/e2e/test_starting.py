"""What a start costs: the daemon takes in nothing that only other commands need."""

from __future__ import annotations

import re

import pytest

from tests.e2e.rig import Rig

pytestmark = pytest.mark.e2e
IMPORTED = re.compile(r"^import time: .*\| +(\S+)$", re.MULTILINE)
OURS = {
    "daemon.cli",
    *(f"daemon.cli.{name}" for name in ("main", "run", "complaint", "helping", "options", "skeleton")),
}
FORBIDDEN = re.compile(
    r"rich\.|pygments|daemon\.demo|daemon\.cli|daemon\.providers\.(?:check|doubts|draft|glossary|guess|schema)"
    r"|daemon\.api\.(?:standing_|parameter_)?meanings|unittest|multiprocessing|concurrent\.futures\.process"
)


async def test_a_start_imports_nothing_of_the_other_commands(tmp_path):
    async with Rig(tmp_path) as rig:
        rig.program = ["-X", "importtime", "-m", "daemon"]

        await rig.start()
        await rig.stop()

        imported = set(IMPORTED.findall(rig.log.read_text()))
    assert "daemon.service.daemon" in imported
    assert {name for name in imported - OURS if FORBIDDEN.match(name)} == set()
