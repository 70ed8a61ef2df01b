"""The daemon's own secrets, in small files beside the database, and the signing secrets made from them."""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.config import Settings
from daemon.config.sources import SEALING_CREDENTIAL
from daemon.core.errors import Fault, NotFound
from daemon.core.origin import origin
from daemon.core.signing import derived_secret
from daemon.store.keys import load_or_make
from daemon.store.peek import peek_keys

TOKEN_FILE = "api-token"
MASTER_FILE = "master-key"


@dataclass(frozen=True, slots=True, repr=False)
class OwnSecrets:
    """The API's bearer token, and the key from which ad-hoc signing secrets are derived."""

    token: str
    master: bytes

    def key_mark(self, lane: str, api_key: str) -> str:
        """Return a mark by which a changed provider key is noticed, and nothing else learned."""
        return hmac.digest(self.master, f"key mark\0{lane}\0{api_key}".encode(), "sha256")[:8].hex()


def own_secrets(store_path: Path) -> OwnSecrets:
    """Load both files beside the database, making what is missing."""
    folder = store_path.parent
    token = load_or_make(folder / TOKEN_FILE, lambda: secrets.token_urlsafe(32).encode())
    master = load_or_make(folder / MASTER_FILE, lambda: secrets.token_bytes(32))
    return OwnSecrets(token=token.decode("ascii").strip(), master=master)


def sealing_key(environ: Mapping[str, str]) -> bytes | None:
    """Return the key that seals what the store keeps, where systemd hands it in as the credential ``store_key``."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    names = (SEALING_CREDENTIAL, f"pollhook_{SEALING_CREDENTIAL}")  # the latter by LoadCredential=pollhook:FOLDER
    found = [Path(folder) / name for name in names if os.path.lexists(Path(folder) / name)] if folder else []
    if not found:
        return None
    file = found[0]
    try:
        return file.read_bytes()
    except OSError as error:
        raise Fault(f"cannot read the credential {SEALING_CREDENTIAL} at {file}: {error.strerror}") from error


def endpoint_secret(settings: Settings, name: str) -> str:
    """Return the present signing secret of the endpoint *name*, or of the origin of the URL *name*.

    Raises NotFound that says what is configured, and StoreFault where the store's key is not at hand.
    """
    if "://" in name:
        return derived_secret(own_secrets(settings.store.path).master, origin(name))
    configured = settings.endpoints.get(name)
    if configured is not None and configured.secret is not None:
        return configured.secret.get_secret_value()
    keys = [key for key in peek_keys(settings.store.path, name, sealing_key(os.environ)) if key.version == "v1"]
    if keys:
        return next((key for key in keys if key.expires_at is None), keys[0]).secret
    if configured is None:
        known = ", ".join(sorted(settings.endpoints)) or "none"
        raise NotFound(f'there is no endpoint "{name}"; the config file has: {known}')
    raise NotFound(f'endpoint "{name}" has no secret yet: it is made when the daemon first starts with it')
