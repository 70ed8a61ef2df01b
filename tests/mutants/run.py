"""Mutation testing: each mutant of a module is held against that module's own tests; one that passes has survived.

``python -m tests.mutants.run judge egress`` runs those modules, without names all. A process that has imported pytest
and the libraries forks for each mutant, so that one costs the tests and nothing else. Survivors are either explained in
``explained.toml`` or make the run fail; an explanation that no survivor needs fails it too.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.mutants.mutate import Mutant, mutants

ROOT = Path(__file__).parents[2]
EXPLAINED = Path(__file__).with_name("explained.toml")
SECONDS = 60
LIBRARIES = ("pytest", "hypothesis", "hypothesis.stateful", "aiohttp", "aiosqlite", "structlog", "yarl", "cryptography")
TESTS = {
    "core/judge": ("core/test_judge.py",),
    "core/delivery": ("core/test_delivery.py",),
    "core/signing": ("core/test_signing.py",),
    "core/verifying": ("webhooks/test_vectors.py",),
    "core/egress": ("core/test_egress.py",),
    "core/lane": ("core/test_lane.py", "core/test_turns.py"),
    "core/agenda": ("core/test_lane.py", "core/test_turns.py"),
    "core/breaker": ("core/test_lane.py",),
    "core/retry_after": ("core/test_delivery.py",),
    "webhooks/receipt": ("webhooks/test_receipt.py",),
}


@dataclass(frozen=True, slots=True)
class Imposter(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports the mutant where its module is asked for."""

    name: str
    path: Path
    mutant: Mutant

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> object:
        found = importlib.machinery.ModuleSpec(fullname, self, origin=str(self.path))
        return found if fullname == self.name else None

    def get_filename(self, fullname: str) -> str:
        return str(self.path)

    def get_data(self, path: str) -> bytes:
        raise OSError(path)

    def get_code(self, fullname: str) -> object:
        return compile(self.mutant.tree, str(self.path), "exec")


def survives(module: str, mutant: Mutant, tests: Sequence[Path]) -> bool:
    """Whether all *tests* pass with *mutant* in the place of *module*; one that hangs does not."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(SECONDS)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        name = "daemon." + module.replace("/", ".")
        sys.meta_path.insert(0, Imposter(name, ROOT / "daemon" / f"{module}.py", mutant))
        os._exit(_tested(tests))
    _, status = os.waitpid(pid, 0)
    return status == 0


def _tested(tests: Sequence[Path]) -> int:
    pytest = importlib.import_module("pytest")
    try:
        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *map(str, tests)]))
    except BaseException:
        return 1


def report(module: str, explained: dict[str, str], *, verbose: bool) -> bool:
    """Hold every mutant of *module* against its tests, print the row, and return whether nothing is left open."""
    tests = [ROOT / "tests" / name for name in TESTS[module]]
    began, total, left = time.monotonic(), 0, []
    for mutant in mutants((ROOT / "daemon" / f"{module}.py").read_text()):
        total += 1
        if survives(module, mutant, tests):
            left.append(mutant)
            if verbose or mutant.name not in explained:
                print(f"   {module}.py:{mutant.line}  {mutant.name}", flush=True)
    known = [mutant for mutant in left if mutant.name in explained]
    needless = set(explained) - {mutant.name for mutant in left}
    for name in sorted(needless):
        print(f"   explained, and yet not a survivor: {name}")
    seconds = time.monotonic() - began
    print(
        f"{module}.py: {total} mutants, {total - len(left)} killed, {len(known)} explained,"
        f" {len(left) - len(known)} open, {seconds:.0f} s",
        flush=True,
    )
    return len(left) == len(known) and not needless


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("modules", nargs="*", help="such as judge or webhooks/receipt; all where none is named")
    asked.add_argument("--verbose", action="store_true", help="show the explained survivors too")
    options = asked.parse_args()
    chosen = [full for full in TESTS if not options.modules or {full, full.rpartition("/")[2]} & set(options.modules)]
    if len(chosen) < len(options.modules):
        asked.error(f"modules are {', '.join(TESTS)}; got {' '.join(options.modules)}")
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    for library in LIBRARIES:
        importlib.import_module(library)
    explained = tomllib.loads(EXPLAINED.read_text()) if EXPLAINED.exists() else {}
    clean = [report(module, explained.get(module, {}), verbose=options.verbose) for module in chosen]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
