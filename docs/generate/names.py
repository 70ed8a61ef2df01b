"""Ids, times, ports and paths that change from run to run, shown under constant names.

A command that uses such a name gets the real thing back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_IDS = {
    "tsk": "tsk_01kah5zr00f2s8w4x6yq7c9d",
    "msg": "msg_01kah5zs80t3v7m1n5pb2k6j",
    "dlv": "dlv_01kah5zs80g9r4e8h1fa0z3q",
}
WHY = "first poll at the 17 % quantile of the typical 8 s"
_CONSTANT = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z"), "2026-11-21T20:11:40.512Z"),
    (re.compile(r"\b\d\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d\b"), "2026-11-21 20:11:40"),
    (re.compile(r"(?<![\d:.T-])\d\d:\d\d:\d\d(?![\d:])"), "20:11:40"),
    (re.compile(r'("polls": )\d+'), r"\g<1>3"),
    (re.compile(r'("seconds": )[0-9.]+'), r"\g<1>0.004"),
    (re.compile(r"\b\d+(?:\.\d+)? ms\b"), "4 ms"),
    (
        re.compile(r"^(?:(?:queued|running), \d+ polls, .*\n)+", re.MULTILINE),
        f"queued, 0 polls, next poll in 4 s: {WHY}\n",
    ),
    (re.compile(r"^(bytes +)\d+$", re.MULTILINE), r"\g<1>184320"),
    (re.compile(r"^(because +).*$", re.MULTILINE), rf"\g<1>{WHY}"),
    (re.compile(r"^(polls +)\d+$", re.MULTILINE), r"\g<1>3"),
    (re.compile(r"\b((?:succeeded|running|queued|pending) +)\d\b"), r"\g<1>3"),
)


class Names:
    """What stands for what: *given* maps shown names to real ones; ids are named in the order they appear."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._real = dict(given)

    def real(self, text: str) -> str:
        """Return *text* with the real thing in place of every shown name."""
        for shown, real in self._real.items():
            text = re.sub(rf"(?<!\w){re.escape(shown)}(?!\w)", real.replace("\\", r"\\"), text)
        return text

    def shown(self, text: str) -> str:
        """Return *text* as a page shows it."""
        for shown, real in self._real.items():
            text = re.sub(rf"(?<!\w){re.escape(real)}(?!\w)", shown, text)
        text = re.sub(r"\b(tsk|msg|dlv)_[0-9a-z]{26}\b", self._named, text)
        for pattern, constant in _CONSTANT:
            text = pattern.sub(constant, text)
        return "".join(f"{line.rstrip()}\n" for line in text.splitlines())

    def _named(self, found: re.Match[str]) -> str:
        kind, id_ = found[1], found[0]
        if id_ in self._real:
            return id_
        for shown, real in self._real.items():
            if real == id_:
                return shown
        count = sum(name.startswith(_IDS[kind]) for name in self._real)
        name = f"{_IDS[kind]}{count + 1:02d}"
        self._real[name] = id_
        return name
