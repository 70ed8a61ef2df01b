"""``python -m tests.fuzz``: hostile input of every kind against the real code, for SECONDS in all, from one seed.

Each failure is printed as the command that runs it again. Exit status 1 where there was one.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable

import structlog

from tests.fuzz.api import api
from tests.fuzz.cases import Part
from tests.fuzz.definitions import configs, definitions
from tests.fuzz.fire import fire
from tests.fuzz.requests import requests
from tests.fuzz.tries import polls, posts

PARTS: dict[str, tuple[float, Callable[[Part, float, int | None], None]]] = {
    "definitions": (0.10, definitions),
    "configs": (0.08, configs),
    "polls": (0.14, polls),
    "posts": (0.12, posts),
    "requests": (0.12, requests),
    "fire": (0.14, fire),
    "api": (0.30, api),
}


def main() -> int:
    """Run the parts asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=600.0, help="for all parts together")
    parser.add_argument("--seed", type=int, default=None, help="default: one of the clock's")
    parser.add_argument("--part", choices=sorted(PARTS), default=None)
    parser.add_argument("--case", type=int, default=None, help="this case of --part alone")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    seed = int(time.time()) if asked.seed is None else asked.seed
    failures: list[str] = []
    for name, (share, run) in PARTS.items():
        if asked.part in (None, name):
            part, began = Part(name, seed), time.monotonic()
            run(part, asked.seconds * (share if asked.part is None else 1.0), asked.case)
            facts = "  ".join(f"{key}: {value}" for key, value in part.facts.items())
            took = time.monotonic() - began
            _say(
                f"{'ok ' if not part.failures else 'RED'} {name}: {part.tried} cases in {took:.0f} s, slowest {part.slowest:.2f} s  {facts}"
            )
            failures += part.failures
    for failure in failures:
        _say(failure)
    _say(f"seed {seed}: {len(failures)} failures")
    return 1 if failures else 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
