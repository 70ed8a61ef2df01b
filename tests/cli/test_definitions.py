"""provider check and provider show --definition: what a definition says, and whether it holds."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

GOOD = """
name = "mine"
base_url = "https://api.example.com"
[status]
request = "GET /v1/tasks/{id}"
state = "status"
[status.states]
running = ["busy"]
succeeded = ["done"]
[[examples]]
state = "running"
body = '{"status": "busy"}'
[[examples]]
state = "succeeded"
body = '{"status": "done"}'
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str, name: str = "mine.toml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


async def test_a_definition_that_holds_is_exit_0(pollhook, written):
    ran = await pollhook("provider", "check", written(GOOD), server=False)

    assert ran.status == 0, ran.err
    assert "mine" in ran.out
    assert "2, all read as they say" in ran.out


async def test_examples_that_are_read_otherwise_are_each_told_with_exit_1(pollhook, written):
    file = written(
        GOOD.replace('"status": "busy"', '"status": "done"').replace('succeeded = ["done"]', 'failed = ["done"]')
    )

    ran = await pollhook("provider", "check", file, server=False)

    assert ran.status == 1
    assert "example 1 (status, running): read as failed" in ran.err
    assert "example 2 (status, succeeded): read as failed" in ran.err
    assert "no example shows the state failed" in ran.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("[status.states]", "[status.stats]"), "stats"),
        (GOOD.replace("name =", "name"), "not valid TOML"),
        (None, "cannot be read"),
    ],
)
async def test_what_is_no_definition_is_exit_2_with_the_reason(pollhook, written, tmp_path, text, said):
    file = str(tmp_path / "absent.toml") if text is None else written(text)

    ran = await pollhook("provider", "check", file, server=False)

    assert ran.status == 2
    assert said in ran.err
    assert "Traceback" not in ran.err


async def test_a_lane_s_definition_is_printed_as_it_is_written(pollhook, written, tmp_path):
    (tmp_path / "providers").mkdir()
    written(GOOD, "providers/mine.toml")
    config = written(
        f'providers_dir = "{tmp_path}/providers"\n[providers.eu]\npreset = "amux"\napi_key = "key-of-eu"\n', "c.toml"
    )

    by_lane = await pollhook("provider", "show", "eu", "--definition", "--config", config, server=False)
    own = await pollhook("provider", "show", "mine", "--definition", "--config", config, server=False)
    unknown = await pollhook("provider", "show", "nobody", "--definition", "--config", config, server=False)

    assert by_lane.out == files("daemon.providers").joinpath("presets/amux.toml").read_text("utf-8")
    assert tomllib.loads(own.out)["name"] == "mine"
    assert unknown.status == 2
    assert all(name in unknown.err for name in ("presets are:", "amux", "token360"))
