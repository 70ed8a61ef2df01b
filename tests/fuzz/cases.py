"""A fuzzing part: cases by number, each made from (seed, part, number) alone, so that one number replays one case."""

from __future__ import annotations

import random
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

HANG_SECONDS = 5.0


class Hung(Exception):
    """A case took longer than any input may take."""


@dataclass(slots=True)
class Part:
    """What one part found: how many cases it tried, the slowest, and each failure with the line that replays it."""

    name: str
    seed: int
    tried: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    def dice(self, case: int) -> random.Random:
        """Return the dice of one case."""
        return random.Random(f"{self.seed}/{self.name}/{case}")

    def fail(self, case: int | None, why: str) -> None:
        """Note a failure; the line says how to run it again."""
        only = "" if case is None else f" --case {case}"
        self.failures.append(f"python -m tests.fuzz --part {self.name} --seed {self.seed}{only}: {why}")

    def sweep(self, attempt: Callable[[random.Random], None], seconds: float, case: int | None) -> None:
        """Try case after case for *seconds*, or *case* alone; whatever is raised is a failure."""
        until, number = time.monotonic() + seconds, 0 if case is None else case
        while time.monotonic() < until and len(self.failures) < 20:
            began = time.monotonic()
            try:
                with within(HANG_SECONDS):
                    attempt(self.dice(number))
            except Exception as failure:
                where = traceback.extract_tb(failure.__traceback__)[-1]
                self.fail(number, f"{type(failure).__name__}: {failure!s:.300} at {where.filename}:{where.lineno}")
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.tried += 1
            if case is not None:
                return
            number += 1


@contextmanager
def within(seconds: float):
    """Raise Hung where the body takes longer; for the main thread."""

    def late(*_):
        raise Hung(f"still at it after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


ODD_TEXTS = (
    "", " ", "\x00", "\x7f", "\ud7ff", "a" * 5000, "{id}" * 400, "{" * 300, "}" * 300, "{+id}", "{{id}}", "[" * 900, "(" * 900,
    "a." * 900 + "a", "`" , "'", '"', "\\", "\\u0000", "%", "%00", "%2e%2e%2f", "../..", "//evil.example", "http://", "https://[",
    "https://[::1", "https://a@b@c", "https://x:99999/", "https://\u0130.example", "javascript:alert(1)", "http://169.254.169.254/",
    "\u202e", "\u0000", "\U0010ffff", "a\r\nb: c", "𝟙𝟚𝟛", "1e999", "-0", "NaN", "inf", "0x10", "٣", "nan", "9" * 400, "1h" * 200,
    "*", "*.example.com", "*.*", "*.", ".", "..", "sort_by(@, &a)", "a[?b == `1`] | [0]", "a[*][*][*][*][*]", "`{`", "@@", "&a",
    "to_number('9')", "to_array(@)", "a[-9999999999999999999]", "a[::0]", "join(',', @)", "max_by(@, &to_number(x))", "reverse(@)",
)  # fmt: skip
ODD_VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 10**30, -(10**30), 0.0, -0.0, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"),
    [], {}, [[]], [{}], [None], {"": ""}, {"a": {"b": {"c": {}}}}, [1] * 3000, ["x"] * 3000, [[[[[[[[[[]]]]]]]]]],
)  # fmt: skip


def mutated_bytes(dice: random.Random, raw: bytes, pieces: tuple[bytes, ...] = ()) -> bytes:
    """Return *raw* with a few bytes flipped, cut out, doubled, moved or pieces put in."""
    found = bytearray(raw)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
        at = dice.randrange(len(found) + 1)
        end = min(len(found), at + dice.choice((1, 1, 2, 5, 20, 200)))
        way = dice.randrange(6)
        if way == 0 and at < len(found):
            found[at] = dice.randrange(256)
        elif way == 1:
            del found[at:end]
        elif way == 2:
            found[at:at] = found[at:end] * dice.choice((1, 2, 10, 100))
        elif way == 3:
            found[at:at] = dice.choice(pieces) if pieces else bytes([dice.randrange(256)])
        elif way == 4:
            found[at:end] = bytes(dice.randrange(256) for _ in range(end - at))
        elif way == 5 and found:
            del found[dice.randrange(len(found)) :]
    return bytes(found)


def mutated_tree(dice: random.Random, tree: object, depth: int = 0) -> object:
    """Return a copy of a tree of dicts, lists and values with a few places replaced, left out, renamed or moved."""
    if isinstance(tree, dict) and tree and dice.random() < 0.85:
        found = dict(tree)
        for _ in range(dice.choice((1, 1, 2))):
            if not found:
                break
            key = dice.choice(sorted(found))
            way = dice.random()
            if way < 0.6:
                found[key] = mutated_tree(dice, found[key], depth + 1)
            elif way < 0.7:
                del found[key]
            elif way < 0.8:
                found[odd_name(dice, key)] = found[key]
            elif way < 0.9:
                found[key] = found[dice.choice(sorted(found))]
            else:
                found[key] = odd(dice)
        return found
    if isinstance(tree, list) and tree and dice.random() < 0.8:
        at = dice.randrange(len(tree))
        return [*tree[:at], mutated_tree(dice, tree[at], depth + 1), *tree[at + dice.choice((0, 1)) :]]
    if isinstance(tree, str) and tree and dice.random() < 0.6:
        at, end = sorted((dice.randrange(len(tree) + 1), dice.randrange(len(tree) + 1)))
        return tree[:at] + dice.choice((*ODD_TEXTS, "", "")) + tree[end:]
    return odd(dice)


def odd(dice: random.Random) -> object:
    """Return something odd."""
    return dice.choice((dice.choice(ODD_TEXTS), dice.choice(ODD_VALUES), dice.choice(ODD_TEXTS)))


def odd_name(dice: random.Random, name: str) -> str:
    """Return a name near *name*, or an odd one."""
    return dice.choice((name.upper(), name[:-1], name + "s", name + "-", dice.choice(ODD_TEXTS)))
