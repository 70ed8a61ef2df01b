"""Run a module and sample whose code its main thread is in: ``python -m benchmarks.sampled FILE MODULE …``.

SIGUSR1 begins, SIGUSR2 ends and writes FILE, a JSON object of samples by owner. A sample is taken by processor time, so
what waits is not seen. Time that another thread holds the interpreter counts to where the main thread stands then.
"""

from __future__ import annotations

import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY = 0.001
DAEMON = f"{Path(__file__).parents[1] / 'daemon'}/"
PACKAGES = "/site-packages/"


def owner(file: str) -> str:
    """Whose code *file* is: a layer of the daemon, a library, the event loop, or Python's own."""
    if file.startswith(DAEMON):
        return "daemon." + file.removeprefix(DAEMON).partition("/")[0].removesuffix(".py")
    if PACKAGES in file:
        return file.rpartition(PACKAGES)[2].partition("/")[0]
    if file.endswith("asyncio/runners.py"):
        return "event loop"
    return "dataclasses" if file == "<string>" else "standard library"


def main(file: str, module: str, *words: str) -> None:
    """Run *module* with *words*; write what was sampled to *file*."""
    found: Counter[str] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        if frame is not None:
            found[owner(frame.f_code.co_filename)] += 1

    def begin(*_: object) -> None:
        found.clear()
        signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)

    def end(*_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        Path(f"{file}.part").write_text(json.dumps(found))
        Path(f"{file}.part").replace(file)

    for number, handler in ((signal.SIGPROF, sample), (signal.SIGUSR1, begin), (signal.SIGUSR2, end)):
        signal.signal(number, handler)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
