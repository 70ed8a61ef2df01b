"""The API page, made from the OpenAPI document that the daemon serves at ``/openapi.json``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from daemon import __version__
from daemon.api.access import Access
from daemon.api.app import make_app, table_of
from daemon.api.openapi import openapi
from docs.generate.markdown import codes, page, table

INTRODUCTION = """
JSON over local HTTP. Times are RFC 3339 in UTC with milliseconds. On TCP every call but `/healthz` and `/readyz` takes
`Authorization: Bearer TOKEN`; `pollhook token` prints it. A unix socket is guarded by its file mode and takes none. Errors are
problem documents with a stable `code`: [what each means and what to do](errors.md).

A registration is at most 64 KiB, a batch 8 MiB and 1,000 registrations. A list answers `{"data": […], "next": CURSOR}`;
`next` goes into `?cursor=` and is null at the end (the feed's goes into `?after=` and is never null).

The same as OpenAPI 3.1, for generators of clients: `GET /openapi.json` of your daemon, which is the very version you run.
"""
Object = dict[str, Any]


def document() -> Object:
    """Return the OpenAPI document, as the daemon makes it."""
    nobody = cast("Any", object())
    app = make_app(
        tasks=nobody, deliveries=nobody, endpoints=nobody, outbox=nobody, access=Access(None),
        is_ready=lambda: True, metrics=lambda: b"", check_target=lambda _url: None, open_metrics=False,
        version=__version__, now_at=lambda: 0.0,
    )  # fmt: skip
    return cast("Object", openapi(table_of(app), __version__))


def api_page() -> str:
    """Return the page."""
    told = document()
    calls = [(method, path, call) for path, methods in told["paths"].items() for method, call in methods.items()]
    parts = [INTRODUCTION, "## Every call", table(("call", "does"), map(_line, calls))]
    for tag in dict.fromkeys(call["tags"][0] for _, _, call in calls):
        parts.append(f"## Calls: {tag}")
        parts += ["\n\n".join(_call(*each)) for each in calls if each[2]["tags"][0] == tag]
    parts.append("## Every object")
    for name, schema in told["components"]["schemas"].items():
        parts += [f"### `{name}`", _schema(schema)]
    return page("HTTP API", *parts)


def _line(call: tuple[str, str, Object]) -> tuple[str, str]:
    method, path, told = call
    return f"[`{method.upper()} {path}`](#{told['operationId'].lower()})", told["summary"]


def _call(method: str, path: str, call: Object) -> Iterator[str]:
    yield f"({call['operationId'].lower()})=\n### `{method.upper()} {path}`"
    yield f"{call['summary']}." + ("" if call.get("security") != [] else " Takes no token.")
    if call["parameters"]:
        rows = [(f"`{one['name']}`", one["in"], _kind(one["schema"]), _said(one)) for one in call["parameters"]]
        yield table(("parameter", "in", "value", "meaning"), rows)
    if "requestBody" in call:
        body = call["requestBody"]["content"]["application/json"]["schema"]
        yield f"Body{'' if call['requestBody']['required'] else ' (may be left out)'}: {_kind(body)}."
    yield table(("answer", "what it is"), [_answer(*each) for each in call["responses"].items()])


def _answer(status: str, told: Object) -> tuple[str, str]:
    ((kind, content),) = told["content"].items()
    shape = _kind(content["schema"]) if content["schema"] else f"`{kind}`"
    return status, told["description"] if kind == "application/problem+json" else f"{told['description']}: {shape}"


def _schema(schema: Object) -> str:
    needed = schema.get("required", [])
    if "properties" not in schema:
        return str(schema["description"]).replace("``", "`")
    rows = [
        (f"`{name}`", _kind(rule), "yes" if name in needed else "", _said(rule))
        for name, rule in schema["properties"].items()
    ]
    about = str(schema.get("description", "")).replace("``", "`")
    return f"{about}\n\n{table(('member', 'value', 'required', 'meaning'), rows)}"


def _said(rule: Object) -> str:
    return str(rule.get("description", "")).replace("\n", " ").replace("``", "`")


def _kind(rule: Object) -> str:
    if "$ref" in rule:
        name = rule["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in rule or "const" in rule:
        return codes(str(word) for word in rule.get("enum", [rule.get("const")]))
    for several in ("anyOf", "oneOf"):
        if several in rule:
            return " or ".join(dict.fromkeys(_kind(one) for one in rule[several]))
    if rule.get("type") == "array":
        return f"array of {_kind(rule.get('items', {}))}"
    return f"{rule.get('type', 'any JSON')}{_bounds(rule)}"


def _bounds(rule: Object) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "minLength": "length ≥", "maxLength": "length ≤"}
    found = [f"{sign} {rule[name]}" for name, sign in signs.items() if name in rule]
    return f" ({', '.join(found)})" if found else ""
