"""Definitions and config files: whatever stands in them is loaded, or refused with a DefinitionError or a ConfigError.

A definition that loads is then used: requests are built from it and answers, mutated too, are read by it.
"""

from __future__ import annotations

import json
import random
import tempfile
import tomllib
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from yarl import URL

from daemon.config.loading import load as load_config
from daemon.config.problems import ConfigError
from daemon.core.ids import TaskId
from daemon.core.task import LaneName, Task
from daemon.providers.account import Account
from daemon.providers.catalog import Catalog, _definition, load
from daemon.providers.definition import Definition
from daemon.providers.mistakes import DefinitionError
from daemon.providers.reading import Reader, Reply
from daemon.providers.request import Requests
from daemon.providers.template import Unbuildable
from tests.fuzz.cases import Part, mutated_bytes, mutated_tree, odd

NOW_AT = 1_750_000_000.0
EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
PIECES = (b"[", b"]", b"[[", b'"""', b"'", b"\n", b"=", b"{", b"}", b"\xff", b"\x00", b"\xef\xbb\xbf", b"#", b"1e999", b"inf",
          b"nan", b"1979-05-27T07:32:00Z", b"\r", b"{id}", b"0x", b"a.b.c=1\n", b"[a]\n[a]\n")  # fmt: skip


def _presets() -> list[tuple[str, bytes]]:
    found = [entry for entry in files("daemon.providers").joinpath("presets").iterdir() if entry.name.endswith(".toml")]
    return sorted((entry.name, entry.read_bytes()) for entry in found)


def definitions(part: Part, seconds: float, case: int | None) -> None:
    """Mutate presets, as text and as trees; load, and use what loads."""
    presets = _presets()
    trees = [tomllib.loads(raw.decode()) for _, raw in presets]
    catalog, loaded = Catalog(), 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.toml"

        def attempt(dice: random.Random) -> None:
            nonlocal loaded
            with suppress(DefinitionError):
                loaded += _one(dice, presets, trees, catalog, path)

        part.sweep(attempt, seconds, case)
    part.facts["loaded all the same"] = loaded


def _one(dice, presets, trees, catalog, path) -> int:
    way = dice.randrange(3)
    if way == 0:
        path.write_bytes(mutated_bytes(dice, dice.choice(presets)[1], PIECES))
        definition = load(path)
    elif way == 1:
        tree = mutated_tree(dice, dice.choice(trees))
        definition = _validated(tree, path)
    else:
        name = dice.choice(presets)[0].removesuffix(".toml")
        lane = mutated_tree(dice, {"api_key": "sk-0123456789", "rate": 1.0, "base_url": "https://a.example/v1", "preset": name,
                                   "limits": {"min_gap": "2s"}, "typical": {"duration": "9s"}, "variables": {"account": "x"}})  # fmt: skip
        definition = catalog.account(
            dice.choice((name, "mine")), lane if isinstance(lane, dict) else {"preset": name}
        ).definition
    _use(dice, definition)
    return 1


def _validated(tree: object, path: Path) -> Definition:
    """Load a tree the way a file comes in, where it can be written as TOML's own JSON-like values."""
    return _definition(f"{path}:", tree)  # the very step that follows the parsing


def _use(dice: random.Random, definition: Definition) -> None:
    account = Account("mine", definition.name, definition, "sk-a:0123456789", sets_deadline=False)
    task = Task(id=TaskId("tsk_1"), provider=LaneName("mine"), remote_id=dice.choice(("abc", "a/b?c#d", "../x", "é")), model="m/n",
                updated_at=0.0, born=0.0, deadline=1e9, next_at=0.0, params=(("model", "m"),))  # fmt: skip
    with suppress(Unbuildable):
        Requests(account, lambda: NOW_AT).status(task)
    reader = Reader(definition=definition)
    for example in definition.examples[:4]:
        raw = example.body.encode() if isinstance(example.body, str) else b"{}"
        for body in (raw, mutated_bytes(dice, raw), _mutated_json(dice, raw)):
            reply = Reply(status=dice.choice((200, 200, 200, 202, 404, 400, 500)), headers={}, body=body,
                          asked=URL("https://a.example/x"), now_at=NOW_AT)  # fmt: skip
            reader.status(reply)
            if definition.result is not None:
                reader.result(reply)


def _mutated_json(dice: random.Random, raw: bytes) -> bytes:
    try:
        return json.dumps(mutated_tree(dice, json.loads(raw))).encode()
    except ValueError:
        return json.dumps(odd(dice)).encode()


def configs(part: Part, seconds: float, case: int | None) -> None:
    """Mutate the example configuration with its commented settings in force, and the environment beside it."""
    text = EXAMPLE.read_text()
    live = "\n".join(line.removeprefix("# ") if line.startswith(("# [", "# url", "# api_key", "# rate", "# secret", "# headers",
                     "# schedule", "# where", "# events", "# preset")) else line for line in text.splitlines())  # fmt: skip
    names = ["POLLHOOK_SERVER__LISTEN", "POLLHOOK_POLLING__PRICE", "POLLHOOK_PROVIDERS__AMUX__API_KEY", "POLLHOOK_EGRESS__ALLOW",
             "POLLHOOK_ENDPOINTS__DEFAULT__URL", "POLLHOOK_PROVIDERS__X__STATUS__STATES", "POLLHOOK___", "POLLHOOK_A__"]  # fmt: skip
    taken = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"

        def attempt(dice: random.Random) -> None:
            nonlocal taken
            base = dice.choice((text, live)).encode()
            path.write_bytes(mutated_bytes(dice, base, PIECES) if dice.random() < 0.8 else base)
            environ = {dice.choice(names): str(odd(dice)).replace("\x00", "") for _ in range(dice.choice((0, 0, 1, 2)))}
            overrides = (
                {dice.choice(("server.listen", "polling.price", "a.b", ".", "")): odd(dice)}
                if dice.random() < 0.2
                else {}
            )
            with suppress(ConfigError, DefinitionError):
                settings = load_config(path, overrides, environ)
                taken += 1
                for name, table in settings.providers.items():
                    with suppress(DefinitionError):
                        Catalog().account(name, table)

        part.sweep(attempt, seconds, case)
    part.facts["taken all the same"] = taken
