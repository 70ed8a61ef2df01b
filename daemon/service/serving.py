"""The process: from a configuration to an exit code, with its signals."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import structlog

from daemon.api.sockets import dismiss_callers
from daemon.config import ConfigError, Settings, load, located, secrets
from daemon.core.errors import Fault
from daemon.core.signing import BadSecret
from daemon.observe.logs import configure, is_journal
from daemon.observe.redactor import Redactor
from daemon.providers.mistakes import DefinitionError
from daemon.service.accounts import configured_accounts
from daemon.service.daemon import Daemon
from daemon.service.descriptors import fitted, open_files

DONE, FAILED, BAD_USAGE, COULD_NOT_START = 0, 1, 2, 3

log = structlog.get_logger()


def serve(config_path: Path | None, overrides: Mapping[str, object]) -> int:
    """Run the daemon until SIGTERM or SIGINT and return its exit code.

    0 done, 1 failed while running, 2 bad configuration, 3 could not start. SIGHUP reads the configuration again.
    """

    def read() -> Settings:
        settings = load(config_path, overrides, os.environ)
        try:
            configured_accounts(settings)
        except DefinitionError as error:
            raise DefinitionError("\n".join(located(error.faults, config_path, os.environ)) or str(error)) from error
        return settings

    try:
        settings = read()
    except (ConfigError, DefinitionError, BadSecret) as error:
        sys.stderr.write(f"pollhook: {error}\n")
        dismiss_callers(os.environ, os.getpid())
        return BAD_USAGE
    redactor = Redactor(secrets(settings))
    is_journaled = is_journal(sys.stderr, os.environ)
    configure(settings.log.level, settings.log.format, sys.stderr, redactor, journal=is_journaled)
    os.umask(0o077)
    try:
        files = open_files()
        settings = fitted(settings, files)
    except Fault as fault:
        log.critical("service.could_not_start", why=str(fault))
        return COULD_NOT_START
    daemon = Daemon(settings, read=lambda: fitted(read(), files), redactor=redactor, environ=os.environ)
    return _run(daemon)


def _run(daemon: Daemon) -> int:
    faults: list[str] = []
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(daemon.run())
    except* Fault as group:
        faults = _texts(group)
    if not faults:
        return DONE
    for fault in faults:
        log.critical("service.failed" if daemon.was_ready else "service.could_not_start", why=fault)
    return FAILED if daemon.was_ready else COULD_NOT_START


def _texts(group: BaseExceptionGroup[Fault]) -> list[str]:
    found: list[str] = []
    for each in group.exceptions:
        found += _texts(each) if isinstance(each, BaseExceptionGroup) else [str(each)]
    return list(dict.fromkeys(found))


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 (an extra: used when installed)
    except ImportError:
        return None
    return uvloop.Loop
