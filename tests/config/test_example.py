"""The example file is the settings' own picture: every setting, its default, one comment."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from daemon.config import Settings, fields, load

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")
SETTING = re.compile(r"(?:# )?(?P<key>[a-z_]+) = (?P<value>.*)")
UNCOMMENTED = "\n".join(
    line.removeprefix("# ") if re.match(r"# (\[[a-z.-]+\]$|[a-z_]+ = )", line) else line for line in TEXT.splitlines()
)


def test_the_example_as_it_is_equals_the_defaults(tmp_path):
    environ = {"HOME": str(tmp_path)}
    nothing = tmp_path / "empty.toml"
    nothing.touch()

    assert load(EXAMPLE, {}, environ) == load(nothing, {}, environ)


def test_the_example_s_tables_can_be_uncommented(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(UNCOMMENTED.replace("proxy_resolves = false", "proxy_resolves = true"), encoding="utf-8")

    settings = load(file, {}, {})

    assert set(settings.providers) == {"amux", "amux-eu"}
    assert settings.endpoints["default"].schedule == (5.0, 60.0, 600.0)


@pytest.mark.parametrize("field", [field for field in fields() if field.path != "providers"], ids=lambda f: f.path)
def test_every_setting_stands_in_the_example_with_its_default(field):
    *groups, key = field.path.replace("*", "default").split(".")
    table = tomllib.loads(UNCOMMENTED)
    for group in groups:
        table = table[group]

    line = _line_of(groups, key)

    assert key in table
    assert "#" in line, "a setting has a one-line comment"
    if field.is_required or field.path in ("store.path", "providers_dir", "egress.proxy"):
        return
    if groups[:1] == ["endpoints"] and field.default is None:
        assert "# default: " in line or "; default: " in line
    else:
        model = Settings.model_validate({groups[0]: {key: table[key]}}) if len(groups) == 1 else None
        given = model.model_dump(mode="json")[groups[0]][key] if model else table[key]
        assert given == field.default


def test_no_line_of_the_example_is_unknown():
    known = {field.path.rpartition(".")[2] for field in fields()} | {
        "api_key", "rate", "preset", "save_outputs", "deadline", "recheck_for",
    }  # fmt: skip

    assert {found["key"] for found in map(SETTING.match, TEXT.splitlines()) if found} <= known


def _line_of(groups: list[str], key: str) -> str:
    table: list[str] = []
    for line in UNCOMMENTED.splitlines():
        if header := re.fullmatch(r"\[([a-z.-]+)\]", line):
            table = header[1].split(".")
        if table == groups and line.startswith(f"{key} = "):
            return line
    raise AssertionError(f"{'.'.join([*groups, key])} is not in the example")
