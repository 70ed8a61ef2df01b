"""The log page: every event that the code logs, with its level and fields, read from the code itself."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from docs.generate.markdown import codes, page, table

CODE = Path(__file__).parents[2] / "daemon"
MEANINGS = Path(__file__).with_name("events.toml")
LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}
INTRODUCTION = """
One line per change of state, none per quiet poll. Lines go to stderr: JSON under systemd and wherever stderr is no terminal,
coloured text on a terminal; `[log] format` decides otherwise. Under systemd each line carries its syslog priority, so that
`journalctl -u pollhook -p warning` shows what deserves a look.

```sh
journalctl -u pollhook -o cat | jq -c 'select(.event == "task.ended" and .lane == "amux")'
```

## Every line

| field | meaning |
| --- | --- |
| `timestamp` | RFC 3339 in UTC with milliseconds |
| `level` | `debug`, `info`, `warning`, `error` or `critical` |
| `event` | what happened: one of the names below, stable |
| `exception` | only with a fault: the traceback as plain text |

What libraries say (asyncio, aiohttp, warnings of Python) is told from `warning` up, with the library's logger as `event` and
its text as `message`.

**Never in a line**: provider keys, signing secrets, the API token, credentials of headers, the query and the userinfo of a
URL, bodies. A processor masks them in every field, name, text and traceback before a line is written: known secrets in
whichever spelling (percent-encoded, base64, hexadecimal, JSON-escaped), and unknown ones by their shape or by the name of
their field.
"""


@dataclass(slots=True)
class Event:
    """One event of the log: where it is said, at which levels, with which fields."""

    levels: set[str] = field(default_factory=set)
    fields: dict[str, None] = field(default_factory=dict)
    places: set[str] = field(default_factory=set)


def events() -> dict[str, Event]:
    """Return every event that the daemon logs, by name."""
    found: dict[str, Event] = {}
    for file in sorted(CODE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                for call in _calls(scope):
                    _note(found, call, scope, str(file.relative_to(CODE.parent)))
    return dict(sorted(found.items()))


def meanings() -> dict[str, str]:
    """Return what each event means, in a sentence."""
    found: dict[str, str] = tomllib.loads(MEANINGS.read_text(encoding="utf-8"))
    return found


def log_page() -> str:
    """Return the page; an event without a sentence of its own has none there, and a test is red."""
    told = meanings()
    rows = [
        (f"`{name}`", ", ".join(sorted(each.levels)), codes(each.fields), told.get(name, ""))
        for name, each in events().items()
    ]
    return page(
        "Log events", INTRODUCTION, "## Every event", table(("event", "level", "fields", "what happened"), rows)
    )


def _calls(scope: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(scope):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
            and node.func.attr in LEVELS
        ):
            yield node


def _note(found: dict[str, Event], call: ast.Call, scope: ast.AST, place: str) -> None:
    assert isinstance(call.func, ast.Attribute)
    for name in _texts(call.args[0], scope):
        event = found.setdefault(name, Event())
        event.levels.add(LEVELS[call.func.attr])
        event.places.add(place)
        for keyword in call.keywords:
            event.fields |= dict.fromkeys([keyword.arg] if keyword.arg else _keys(keyword.value, scope))
        if call.func.attr == "exception":
            event.fields["exception"] = None


def _texts(node: ast.expr, scope: ast.AST) -> list[str]:
    """Return the texts that *node* can stand for: itself, either side of a choice, or what a name was set to."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return _texts(node.body, scope) + _texts(node.orelse, scope)
    if isinstance(node, ast.Name):
        return [text for value in _set_to(node.id, scope) for text in _texts(value, scope)]
    raise ValueError(f"an event's name must be readable from the code, this is not: {ast.unparse(node)}")


def _keys(node: ast.expr, scope: ast.AST) -> list[str]:
    """Return the fields that ``**node`` brings."""
    if isinstance(node, ast.Name):
        return [key for value in _set_to(node.id, scope) for key in _keys(value, scope)]
    if isinstance(node, ast.Dict):
        return [str(key.value) for key in node.keys if isinstance(key, ast.Constant)]
    raise ValueError(f"the fields of an event must be readable from the code, these are not: {ast.unparse(node)}")


def _set_to(name: str, scope: ast.AST) -> list[ast.expr]:
    found = [
        node.value
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets)
    ]
    if not found:
        raise ValueError(f"nothing in this function says what {name} is")
    return found
