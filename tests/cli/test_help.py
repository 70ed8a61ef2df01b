"""How the command line reads to a newcomer: help, completion, the manual page, exit statuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from daemon.cli.helping import command_of
from daemon.cli.whole import app
from shipping.manpage import FILE, page

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[2]
COMMAND = command_of(app)


def commands(command, words: tuple[str, ...] = ()):
    """Every command and group, by its words."""
    yield words, command
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(each, (*words, name))


EVERY = dict(commands(COMMAND))
ASKING = {words: c for words, c in EVERY.items() if any(p.name == "server" for p in c.params)}
NEEDED = {
    "PROVIDER": "amux", "REMOTE-ID": "x", "ID": "x", "NAME": "default", "EVENT_ID": "x", "URL": "https://a.example.com", "FILE": "/nowhere/x.db",
}  # fmt: skip
EXTRA = {
    ("secret",): ["default"],
    ("watch",): ["x"],
    ("replay",): ["--since", "1h"],
    ("endpoint", "replay"): ["--since", "1h"],
}


def arguments(words: tuple[str, ...]) -> list[str]:
    """The words with what the command needs besides."""
    needed = [NEEDED[p.metavar] for p in EVERY[words].params if p.param_type_name == "argument" and p.required]
    return [*words, *needed, *EXTRA.get(words, [])]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_fits_80_columns_and_names_every_option_whole(words):
    context = EVERY[words].context_class(EVERY[words], info_name=" ".join(("pollhook", *words)))

    text = EVERY[words].get_help(context)

    assert max(map(len, text.splitlines())) <= 80, text
    assert "\x1b" not in text
    for parameter in EVERY[words].params:
        assert getattr(parameter, "hidden", False) or all(
            option in text for option in parameter.opts if option.startswith("-")
        )
    assert "..." not in text.replace("ARGS]...", "").replace("]...", ""), "nothing is cut"
    assert "…" not in "".join(line[:30] for line in text.splitlines() if line.startswith("  -"))


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_says_what_it_does(words):
    assert EVERY[words].help, words


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
async def test_without_a_daemon_every_command_that_asks_it_exits_1_and_says_how_to_start_it(words, pollhook, tmp_path):
    more = ["--offline"] if words == ("doctor",) else []
    config = tmp_path / "config.toml"
    config.write_text(f'[store]\npath = "{tmp_path}/state/p.db"\n')

    ran = await pollhook(*arguments(words), *more, "--config", str(config), POLLHOOK_SERVER="127.0.0.1:1")

    assert "no daemon at 127.0.0.1:1: start it with `pollhook serve`" in ran.err + ran.out
    assert ran.status == (0 if words == ("doctor",) else 1), "to the doctor it is a finding among others"
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("words", [w for w, c in EVERY.items() if not hasattr(c, "commands")], ids=" ".join)
async def test_an_unknown_option_is_exit_2_for_every_command(words, pollhook):
    ran = await pollhook(*words, "--no-such-option", server=False)

    assert (ran.status, ran.out) == (2, "")
    assert "No such option" in ran.err
    assert "Traceback" not in ran.err


UNREAD = {("listen",), ("install",), ("uninstall",)}
"""These read a configuration only where they are told to."""
READING = [w for w, c in EVERY.items() if any(p.name == "config" for p in c.params) and w not in UNREAD]


@pytest.mark.parametrize("words", READING, ids=" ".join)
async def test_a_bad_configuration_is_exit_2_for_every_command_that_needs_one(words, pollhook, tmp_path):
    config = tmp_path / "config.toml"
    config.write_text("[polling]\nmax_task = 3\n")

    ran = await pollhook(*arguments(words), "--config", str(config), server=False)

    assert ran.status == (1 if words == ("doctor",) else 2), ran.err
    assert "max_tasks" in ran.err + ran.out


async def test_what_cannot_start_is_exit_3(pollhook, tmp_path):
    config = tmp_path / "config.toml"
    (tmp_path / "state").write_text("a file where a folder should be")
    config.write_text(f'[server]\nlisten = ["127.0.0.1:0"]\n[store]\npath = "{tmp_path}/state/p.db"\n')

    served = await pollhook("serve", "--config", str(config), server=False)
    heard = await pollhook("listen", "--host", "192.0.2.1", server=False)

    assert (served.status, heard.status) == (3, 3), served.err + heard.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_a_completion_script_is_printed_for_each_shell_and_is_sound(shell, pollhook):
    ran = await pollhook("completion", shell, server=False)

    assert (ran.status, "_POLLHOOK_COMPLETE" in ran.out) == (0, True), ran.err
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=ran.out, text=True, check=True, timeout=10)


def test_bash_completes_commands_and_options_and_choices():
    def completed(line: str) -> list[str]:
        environment = os.environ | {
            "_POLLHOOK_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        ran = subprocess.run(
            [sys.executable, "-m", "daemon"], env=environment, capture_output=True, text=True, check=False
        )
        return ran.stdout.split()

    assert completed("pollhook do") == ["doctor"]
    assert "--follow" in completed("pollhook tasks --f")
    assert completed("pollhook tasks --status ru") == ["running"]


def test_the_manual_page_says_what_the_commands_say():
    assert FILE.read_text() == page(), "run `python -m shipping.manpage`"


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_the_manual_page_is_sound_roff():
    ran = subprocess.run(
        ["groff", "-man", "-Tutf8", "-P-c", "-P-b", "-P-u", "-ww", str(FILE)],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )

    assert ran.stderr == ""
    assert "pollhook export" in ran.stdout


def test_plain_help_is_made_of_the_same_commands_as_typers_own():
    assert set(EVERY[()].commands) == set(get_command(app).commands)
