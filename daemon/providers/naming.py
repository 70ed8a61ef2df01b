"""Naming: which variables a definition knows, and where it names one that nobody can give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from daemon.providers.definition_request import BatchSpec, Call, SecondCall
from daemon.providers.filling import names_in
from daemon.providers.template import Template

GIVEN = frozenset({"id", "model", "uuid"})
RESERVED_NAMES = frozenset({"id", "ids", "item", "uuid", "key"})


class Misplaced(ValueError):
    """A mistake that shows only when the whole definition is seen; ``path`` is that of the key to blame."""

    def __init__(self, path: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


def refuse_strangers(
    known: Iterable[str], *, headers: Mapping[str, str], calls: Mapping[str, Call | None], link: Template | None
) -> None:
    """Raise Misplaced for the first variable that neither the task nor the definition gives."""
    names = GIVEN | frozenset(known)
    _refuse(("headers",), names_in(headers), names)
    if link is not None:
        _refuse(("fallback", "url"), link.names, names)
    for table, call in calls.items():
        if call is not None:
            for name in call.times:
                if name in RESERVED_NAMES or name in names:
                    raise Misplaced((table, "times", name), f"{{{name}}} has a meaning of its own and cannot be set")
            _refuse_in(table, call, names | _own(call) | frozenset(call.times))


def refuse_reserved(table: str, names: Iterable[str]) -> None:
    """Raise Misplaced for a name that is already somebody's."""
    for name in names:
        if name in RESERVED_NAMES:
            raise Misplaced((table, name), f"{{{name}}} has a meaning of its own and cannot be set")


def _refuse_in(table: str, call: Call, names: frozenset[str]) -> None:
    for key, found in (
        ("request", call.request.names),
        ("query", names_in(call.query)),
        ("body", names_in(call.body)),
        ("headers", names_in(call.headers)),
    ):
        _refuse((table, key), found, names)
    if isinstance(call, BatchSpec):
        if "id" in call.names:
            raise Misplaced((table, "request"), "{id} is that of one task; several are {ids}")
        _refuse((table, "same"), call.same, names)


def _own(call: Call) -> frozenset[str]:
    if isinstance(call, SecondCall):
        return frozenset(call.variables) | ({"item"} if call.each else frozenset())
    return frozenset({"ids"}) if isinstance(call, BatchSpec) else frozenset()


def _refuse(path: tuple[str, ...], found: Iterable[str], names: frozenset[str]) -> None:
    for name in found:
        if name not in names:
            raise Misplaced(path, f"unknown variable {{{name}}}{_advice(name, names)}")


def _advice(name: str, names: frozenset[str]) -> str:
    if name == "key":
        return "; the key travels by [auth] only"
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    meant = f'; did you mean "{close[0]}"?' if close else ""
    return f'{meant} (known: {", ".join(sorted(names))}; params = ["{name}"] lets a registration give it)'
