"""The show itself, short: the real daemon, killed and started again, and a daemon that cannot start."""

from __future__ import annotations

import io
from pathlib import Path

import aiohttp
import pytest
from rich.console import Console

from daemon.config import load
from daemon.core.signing import encode_secret
from daemon.demo import show
from daemon.demo.customer import Account
from daemon.demo.house import DaemonDown, House
from daemon.demo.providers import DIALECTS
from daemon.providers.catalog import Catalog

pytestmark = pytest.mark.slow

SECRET = encode_secret(bytes(32))


def accounts() -> list[Account]:
    return [Account(dialect=dialect, base_url="http://127.0.0.1:9", key="sk-demo-0123456789") for dialect in DIALECTS]


@pytest.mark.e2e
async def test_every_ending_is_told_once_across_a_kill():
    printed = io.StringIO()

    status = await show.run(tasks=20, seed=4, speed=5.0, console=Console(file=printed, width=100))

    assert status == 0, printed.getvalue()
    assert "kill -9" in printed.getvalue()
    assert "All 20 endings told" in printed.getvalue()


def test_the_daemons_config_is_one_that_it_accepts(tmp_path):
    House(tmp_path, accounts(), "http://127.0.0.1:9/hooks/pollhook", SECRET)

    settings = load(tmp_path / "config.toml", {}, {})
    lanes = {name: Catalog().account(name, table) for name, table in settings.providers.items()}

    assert set(lanes) == {dialect.name for dialect in DIALECTS}
    assert lanes["amux"].definition.base_url == "http://127.0.0.1:9"
    assert Path(tmp_path / "config.toml").stat().st_mode & 0o077 == 0


def test_the_errors_in_the_daemons_log_are_found_once_each(tmp_path):
    house = House(tmp_path, accounts(), "http://127.0.0.1:9/hooks/pollhook", SECRET)
    crashed = '{"level":"error","event":"work.crashed","exception":"Traceback\\n  here\\nNameError: no"}'
    (tmp_path / "daemon.log").write_text(f'{crashed}\nnot json\n{crashed}\n{{"level":"info","event":"ready"}}\n')

    assert house.troubles() == ["work.crashed: NameError: no"]


async def test_a_daemon_that_cannot_start_shows_the_end_of_its_log(tmp_path):
    house = House(tmp_path, accounts(), "not a url", SECRET)

    async with aiohttp.ClientSession() as session:
        with pytest.raises(DaemonDown, match="url"):
            await house.start(session)

    assert await house.stop() == 2
