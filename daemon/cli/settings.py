"""What the command line reads of the configuration: where the daemon listens, and the files beside its database."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.cli.client import Address, address
from daemon.cli.complaint import Complaint, misuse
from daemon.cli.system import SOCKET, is_of_system, service_environ
from daemon.config import ConfigError, Settings, load

TOKEN_FILE = "api-token"
MASTER_KEY_FILE = "master-key"
SERVICE_STATE = Path("/var/lib/pollhook")


def read_settings(config: Path | None) -> Settings:
    """Return the settings, or complain about every problem in them (exit status 2)."""
    try:
        return load(config, {}, service_environ(config))
    except ConfigError as error:
        raise misuse("the configuration cannot be used", *str(error).splitlines()) from None


def listening(settings: Settings, config: Path | None, activated: Path = SOCKET) -> Address:
    """Return the first address that can be used: sockets that exist, then TCP, then a socket that does not.

    A service whose configuration says nothing of ``listen`` has only the socket that systemd *activated* it with.
    """
    if "listen" not in settings.server.model_fields_set and is_of_system(config) and exists(activated):
        return Address(path=str(activated))
    written = [address(text) for text in settings.server.listen]
    live = [where for where in written if where.path is not None and exists(Path(where.path))]
    tcp = [_reachable(where) for where in written if where.path is None and where.port]
    sockets = [where for where in written if where.path is not None]
    found = next(iter((*live, *tcp, *sockets)), None)
    if found is None:
        raise misuse("the configuration names no address to ask: use --server or $POLLHOOK_SERVER")
    return found


def token_file(settings: Settings) -> Path:
    """Return where the API token is kept."""
    return _state_file(settings, TOKEN_FILE)


def master_key_file(settings: Settings) -> Path:
    """Return where the key is kept from which the secrets of ad-hoc URLs are derived."""
    return _state_file(settings, MASTER_KEY_FILE)


def database_file(settings: Settings) -> Path:
    """Return the database's file: where the settings say, or the service's where only that is at home here."""
    beside = settings.store.path.expanduser()
    service = SERVICE_STATE / beside.name
    is_elsewhere = not exists(beside) and (exists(service) or (exists(SERVICE_STATE) and not exists(beside.parent)))
    return service if is_elsewhere else beside


def require_readable(database: Path) -> None:
    """Complain where the database is not there or not for this user's eyes."""
    if not exists(database):
        hint = "name another with --config or $POLLHOOK_STORE__PATH, or run this as the daemon's user or root"
        raise Complaint(f"there is no database {database}, or you may not look into its folder", hint)
    if not os.access(database, os.R_OK):
        hint = "run this as the user the daemon runs as, or as root"
        raise Complaint(f"the database {database} cannot be read: Permission denied", hint)


def read_state(path: Path, what: str) -> bytes:
    """Return the bytes of a state file; complain where it is not there or not for this user's eyes."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        hint = "the daemon makes it when it first starts: `pollhook serve`"
        raise Complaint(f"there is no {what} at {path} yet", hint) from None
    except OSError as error:
        hint = "run this as the user the daemon runs as"
        raise Complaint(f"the {what} at {path} cannot be read: {error.strerror}", hint) from None


def exists(path: Path) -> bool:
    """Whether *path* is there, as far as this user may look."""
    try:
        return path.exists()
    except OSError:
        return False


def _state_file(settings: Settings, name: str) -> Path:
    """Return the file *name* beside the database; that of the system's service where only there it exists."""
    beside = settings.store.path.expanduser().parent / name
    service = SERVICE_STATE / name
    return service if not exists(beside) and exists(service) else beside


def _reachable(where: Address) -> Address:
    every = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (read, not bound)
    return Address(host=every.get(where.host, where.host), port=where.port)


def secret_of_endpoint(name: str, settings: Settings) -> str:
    """Return the signing secret of an endpoint, written in the file or kept by the daemon."""
    from daemon import service  # noqa: PLC0415 (the whole daemon is imported only for a secret it stored)
    from daemon.core.errors import Fault, Mistake  # noqa: PLC0415

    written = settings.endpoints.get(name)
    if written is not None and written.secret is not None:
        return written.secret.get_secret_value()
    if written is None and not exists(settings.store.path):
        raise misuse(f'no endpoint "{name}"; configured are: {", ".join(settings.endpoints) or "none"}')
    try:
        return service.endpoint_secret(settings, name)
    except (Fault, Mistake) as error:
        raise Complaint(str(error)) from None
