"""The command in a process of its own, forked from one that has its imports done, so that a test takes milliseconds."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from daemon.cli.main import main

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["__main__", "daemon.cli.whole", "daemon.cli.settings", "daemon.providers.catalog", "daemon.cli.doctor.outside"]
)


def run(words: Sequence[str], environment: Mapping[str, str], folder: Path, stdin: bytes) -> tuple[int, str, str]:
    """Run ``pollhook`` with *words*; return its exit status and what it wrote to stdout and stderr."""
    (folder / "stdin").write_bytes(stdin)
    process = CONTEXT.Process(target=_main, args=(list(words), dict(environment), folder))
    process.start()
    process.join(30)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode, (folder / "stdout").read_text(), (folder / "stderr").read_text()


def _main(words: list[str], environment: dict[str, str], folder: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for number, (name, flags) in enumerate((("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))):
        os.dup2(os.open(folder / name, flags | (os.O_CREAT | os.O_TRUNC if number else 0)), number)
    sys.stdin = os.fdopen(0)
    if "STEP_DOWN" in environment:
        os.setuid(65534)
    sys.argv = ["pollhook", *words]
    os._exit(_status())


def _status() -> int:
    """Run the command to its SystemExit; what follows in a process that ends by itself is only slow."""
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
