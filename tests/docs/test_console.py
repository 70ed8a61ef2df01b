"""Sessions on pages: commands are found, and what changes from run to run reads the same."""

from __future__ import annotations

from docs.generate.console import Step, played_by, steps
from docs.generate.names import Names

FIRST, SECOND = "tsk_01m8akf8bbef2txdt0tn9dsstv", "tsk_01m8akf8bbef2txdt0tn9dsstw"


class Echo:
    """Says what it was asked to run."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def run(self, command: str) -> str:
        return f"ran {command!r}\n"

    def write(self, name: str, text: str) -> None:
        self.files[name] = text


def test_commands_are_told_from_their_output():
    body = "$ one \\\n  more\nsaid\n# no command here\n$ two\n"

    assert list(steps(body, "$")) == [Step("one \\\n  more", "said\n# no command here\n"), Step("two", "")]
    assert list(steps("# as root\nsaid\n", "#")) == [Step("as root", "said\n")]


def test_only_the_blocks_of_one_kind_are_played_and_files_are_written():
    text = "```toml file=a.toml\nx = 1\n```\n\n```console run\n$ one\nstale\n```\n\n```sh\n$ other\n```\n"
    echo = Echo()

    now = played_by(echo, text, "console run")

    assert now == text.replace("stale\n", "ran 'one'\n")
    assert echo.files == {"a.toml": "x = 1\n"}
    assert played_by(echo, now, "console run") == now


def test_an_id_keeps_its_name_and_a_command_gets_the_real_one_back():
    names = Names({"8710": "40123"})

    said = names.shown(f"{FIRST} then {SECOND} then {FIRST} at 127.0.0.1:40123\n")

    one, two, again = (word for word in said.split() if word.startswith("tsk_"))
    assert (one, one) == (again, names.shown(FIRST).strip())
    assert one != two
    assert len(one) == len(FIRST)
    assert said.endswith("127.0.0.1:8710\n")
    assert names.real(f"pollhook task {two} at 8710") == f"pollhook task {SECOND} at 40123"


def test_what_time_and_chance_change_reads_the_same():
    names = Names({})

    for before, after in (
        ("2026-11-25T22:48:53.991Z", "2027-01-01T00:00:00.000Z"),
        ("queued, 0 polls, next poll in 4 s: x\nrunning, 1 polls, x\ndone\n", "running, 7 polls, y\ndone\n"),
        ("because     this\n", "because     that\n"),
        ("polls       12\n", "polls       3\n"),
    ):
        assert names.shown(before) == names.shown(after)
