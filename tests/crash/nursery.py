"""A process that has the daemon's imports done, and forks one daemon per line it is told: a start in a tenth of a second.

Each daemon is a process of its own, killed for good by SIGKILL. A line is JSON (``log``, ``config``, ``trace``,
``point``, ``n``); answered with ``{"pid": …}``, and with ``{"pid": …, "status": …}`` once that process is gone.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
from pathlib import Path

from daemon.service import serve
from tests.crash.plant import plant, quicken


def nurse() -> None:
    """Fork daemons until stdin ends, and tell of their ends."""
    waiting = b""
    born: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([0, *born], [], [])
        for pidfd in [one for one in ready if one in born]:
            _, status = os.waitpid(born[pidfd], 0)
            _tell({"pid": born.pop(pidfd), "status": os.waitstatus_to_exitcode(status)})
            os.close(pidfd)
        if 0 in ready:
            piece = os.read(0, 65536)
            if not piece:
                for pid in born.values():
                    os.kill(pid, signal.SIGKILL)
                return
            *lines, waiting = (waiting + piece).split(b"\n")
            for line in lines:
                pid = _fork(json.loads(line))
                born[os.pidfd_open(pid)] = pid
                _tell({"pid": pid})


def _tell(news: dict[str, int]) -> None:
    os.write(1, (json.dumps(news) + "\n").encode())


def _fork(told: dict[str, str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    log = os.open(told["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if told["quick"]:
        quicken()
    if told["trace"]:
        plant(told["point"], int(told["n"]), os.open(told["trace"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    gc.disable()  # as the command does
    status = 1
    try:
        status = serve(Path(told["config"]), {})
    finally:
        os._exit(status)


if __name__ == "__main__":
    nurse()
