"""The checks of what lies on the disk: the configuration, who may read it, and the files of the state folder."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from daemon.cli.doctor.finding import Finding, error, note, ok, warning
from daemon.config import Settings, located
from daemon.config.loading import config_file
from daemon.providers.account import Account
from daemon.providers.catalog import Catalog
from daemon.providers.mistakes import DefinitionError

CONFIG, STATE = "config", "state"
_SECRET_KEYS = ("key", "secret", "token", "password")
PRIVATE = ("", "-wal", "-shm")


def accounts(settings: Settings, config: Path | None) -> tuple[list[Account], list[Finding]]:
    """Return the lanes that can be used, and what is wrong with the others."""
    try:
        catalog = Catalog(settings.providers_dir)
    except DefinitionError as fault:
        return [], [_faulty(text) for text in located(fault.faults, config, os.environ)]
    made, found = [], []
    for name, table in settings.providers.items():
        try:
            made.append(catalog.account(name, table))
        except DefinitionError as fault:
            found += [_faulty(text) for text in located(fault.faults, config, os.environ)]
    return made, found


def configuration(settings: Settings, config: Path | None) -> Iterator[Finding]:
    """Look at the config file: is it there, who may read it, is there anything to do."""
    file = config_file(config, os.environ)
    if file is None:
        yield note(
            CONFIG, "no config file: built-in defaults and the environment count", "write /etc/pollhook/config.toml"
        )
    else:
        yield ok(CONFIG, f"{file}: {len(settings.providers)} providers, {len(settings.endpoints)} endpoints")
        yield from _readers(file)
    if not settings.providers:
        yield warning(CONFIG, "no provider is configured, so nothing can be watched", "add a [providers.NAME] table")
    if "default" not in settings.endpoints:
        yield note(
            CONFIG,
            'no endpoint "default": an event that names no other is only in the feed',
            "add [endpoints.default], or read `pollhook events`",
        )


def state(database: Path) -> Iterator[Finding]:
    """Look at the state folder: is it there, and may nobody else look into its files."""
    folder = database.parent
    try:
        found = folder.stat()
    except FileNotFoundError:
        yield note(STATE, f"no folder {folder} yet: the daemon makes it when it first starts")
        return
    except OSError as failure:
        yield error(
            STATE, f"{folder} cannot be looked at: {failure.strerror}", "run this as the daemon's user or as root"
        )
        return
    if not os.access(folder, os.R_OK | os.X_OK):
        yield error(STATE, f"{folder} is not for this user's eyes", "run this as the daemon's user or as root")
        return
    wrong = list(_files(database, found.st_uid))
    yield from wrong or [ok(STATE, f"{folder}: private")]


def _files(database: Path, owner: int) -> Iterator[Finding]:
    names = [*(database.name + suffix for suffix in PRIVATE), "api-token", "master-key"]
    for file in (database.with_name(name) for name in names):
        try:
            found = file.stat()
        except OSError:
            continue
        if found.st_mode & 0o077:
            yield error(STATE, f"{file} can be read by others (mode {_mode(found)})", f"chmod 600 {file}")
        if found.st_uid != owner:
            text = f"{file} belongs to user {found.st_uid}, its folder to user {owner}: the daemon may fail on it"
            yield error(STATE, text, f"chown {owner} {file}")


def _readers(file: Path) -> Iterator[Finding]:
    try:
        mode = file.stat()
        holds_secrets = _holds_secrets(tomllib.loads(file.read_text("utf-8")))
    except (OSError, ValueError):
        return
    if mode.st_mode & 0o022:
        yield error(CONFIG, f"{file} can be written by others (mode {_mode(mode)})", f"chmod go-w {file}")
    if not holds_secrets:
        return
    if mode.st_mode & 0o004:
        advice = f"chmod o-rwx {file}, or move the keys into systemd credentials (LoadCredential=)"
        yield error(CONFIG, f"{file} holds secrets and can be read by everybody (mode {_mode(mode)})", advice)
    elif mode.st_mode & 0o040:
        yield note(CONFIG, f"{file} holds secrets and can be read by its group (mode {_mode(mode)})")


def _holds_secrets(tree: Mapping[str, object]) -> bool:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            if _holds_secrets(value):
                return True
        elif value and any(name.lower().endswith(word) for word in _SECRET_KEYS):
            return True
    return False


def _faulty(text: str) -> Finding:
    return error(CONFIG, text, "mend it, then `pollhook config check`")


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):04o}"
