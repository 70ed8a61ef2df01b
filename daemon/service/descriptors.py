"""Open files: the process may have so many, and the configured bounds must fit into them.

A limit that is too low is raised as far as the system lets us, and past that the bounds are lowered, which is said: a
daemon that is slower than configured serves, one that runs out of descriptors in the middle of an answer does not.
"""

from __future__ import annotations

import resource
from contextlib import suppress

import structlog

from daemon.config import SPARE_FILES, Settings, files_needed
from daemon.core.errors import Fault

FEWEST = 80
LEAST = 4

log = structlog.get_logger()


def open_files() -> int:
    """Raise the soft limit of open files to the hard one where that is allowed; return what holds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def fitted(settings: Settings, files: int) -> Settings:
    """Return *settings* with bounds that fit into *files* open files; what is lowered is logged.

    Raises Fault where even the least that works does not fit.
    """
    if files == resource.RLIM_INFINITY or files >= (needed := files_needed(settings)):
        return settings
    if files < FEWEST:
        raise Fault(
            f"only {files} open files are allowed, at least {FEWEST} are needed: raise LimitNOFILE= or ulimit -n"
        )
    share = (files - min(SPARE_FILES, files // 2)) / (needed - SPARE_FILES)
    polling, delivery, outputs, server = settings.polling, settings.delivery, settings.outputs, settings.server
    polls, sends = _less(polling.max_in_flight, share), _less(delivery.max_in_flight, share)
    saves, callers = _less(outputs.max_in_flight, share), _less(server.max_connections, share)
    log.warning(
        "limits.lowered",
        why=f"{files} open files are allowed and the bounds need {needed}: raise LimitNOFILE= or ulimit -n",
        polling_max_in_flight=polls,
        delivery_max_in_flight=sends,
        outputs_max_in_flight=saves,
        server_max_connections=callers,
    )
    return settings.model_copy(
        update={
            "polling": polling.model_copy(update={"max_in_flight": polls}),
            "delivery": delivery.model_copy(update={"max_in_flight": sends}),
            "outputs": outputs.model_copy(update={"max_in_flight": saves}),
            "server": server.model_copy(update={"max_connections": callers}),
        }
    )


def _less(bound: int, share: float) -> int:
    return min(bound, max(LEAST, int(bound * share)))
