"""The configuration page: every setting of the settings models, with the comments of the example file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from daemon.config import Field, Settings, fields
from daemon.config.settings import EndpointSettings
from daemon.providers.schema import reference
from docs.generate.markdown import page, table

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
GROUPS = "server", "store", "polling", "delivery", "outputs", "egress", "retention", "log", "service"
INTRODUCTION = """
One TOML file: `--config FILE`, else `$POLLHOOK_CONFIG`, else `/etc/pollhook/config.toml`, else built-in defaults. What says
more goes first:

1. the command line (`pollhook serve --help` lists what it takes),
2. the environment: `POLLHOOK_` and the path joined by `__`, as in `POLLHOOK_POLLING__PRICE=0.3`,
3. systemd credentials: files in `$CREDENTIALS_DIRECTORY`, named like that without the prefix, in lower case
   (`providers__amux__api_key`),
4. the file,
5. the defaults below.

An unknown key is an error that names the nearest known one. `pollhook config check` tests a file, `pollhook config show`
prints what holds, secrets masked. Spans of time are numbers with a unit (`"500ms"`, `"90s"`, `"1h30m"`, `"7d"`) or plain
seconds; amounts of bytes likewise (`"2GiB"`, `"500MB"`).
"""
LANES = """
## `[providers.NAME]`: a lane

One provider account. `NAME` is the preset unless `preset` says otherwise, so that one preset can have several accounts.

| key | meaning |
| --- | --- |
| `preset` | the definition it stands on; default: the lane's own name |
| `api_key` | sent to this provider's own hosts and to nobody else; better a credential or the environment |
| `save_outputs` | `true`: fetch finished outputs and keep them; `"before_event"`: and tell the end only then |

Every key of the definition can be overridden in the lane's table, those of its `[limits]` without naming that table. The keys
of a definition, which are explained in [Add a provider](../providers/README.md):
"""


@dataclass(frozen=True, slots=True)
class Comment:
    """What the example file says of one setting."""

    group: str
    key: str
    value: str
    text: str


def settings_page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for group in GROUPS:
        said = (Settings.model_fields[group].annotation or Settings).__doc__ or ""
        parts += [f"## `[{group}]`", _purpose(said), _rows(f"{group}.", Settings.model_fields[group].annotation)]
    parts += ["## At the top of the file", _rows("providers_dir", Settings)]
    parts += ["## `[endpoints.NAME]`: where events go", _purpose(EndpointSettings.__doc__ or "")]
    parts += [_rows("endpoints.*.", EndpointSettings), LANES, reference()]
    return page("Configuration", *parts)


def _rows(prefix: str, model: type[BaseModel] | None) -> str:
    said = {(each.group, each.key): each for each in comments()}
    rows = []
    for field in fields():
        if not field.path.startswith(prefix) or field.path == "providers":
            continue
        group, _, key = field.path.rpartition(".")
        told = said[group.replace("*", "default"), key]
        rows.append((f"`{key}`", _default(field, told), _bounds(model, key), _meaning(told)))
    return table(("key", "default", "bounds", "meaning"), rows)


def _default(field: Field, told: Comment) -> str:
    if field.is_required:
        return "required"
    if field.default is None or field.path in ("store.path", "providers_dir"):
        return "see right" if "default: in" in told.text or "default: that" in told.text else "none"
    return f"`{told.value or json.dumps(field.default)}`"


def _meaning(told: Comment) -> str:
    text = told.text.replace("<", "&lt;")
    return text if text.startswith(("true", "false")) else text[:1].upper() + text[1:]


def _bounds(model: type[BaseModel] | None, key: str) -> str:
    rule = json.dumps(model.model_json_schema()["properties"].get(key, {})) if model else ""
    signs = {
        "gt": ">",
        "exclusiveMinimum": ">",
        "ge": "≥",
        "minimum": "≥",
        "le": "≤",
        "maximum": "≤",
        "maxItems": "entries ≤",
    }
    found = {name: re.search(rf'"{name}": ([0-9.]+)', rule) for name in signs}
    return ", ".join(f"{signs[name]} {number[1]}" for name, number in found.items() if number is not None)


def comments() -> Iterator[Comment]:
    """Yield every setting of the example file with its one-line comment."""
    group = ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        line = line.removeprefix("# ")  # noqa: PLW2901 (a setting that is commented out is told all the same)
        if header := re.fullmatch(r"\[([a-z.-]+)\]", line):
            group = header[1]
        elif found := re.fullmatch(r"([a-z_]+) = (.+?)\s+# (.+)", line):
            yield Comment(group, found[1], found[2], found[3])


def _purpose(docstring: str) -> str:
    text = re.sub(r"\s+", " ", docstring.partition("``: ")[2]).replace("``", "`")
    return text[:1].upper() + text[1:]
