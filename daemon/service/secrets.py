"""The daemon's own secrets, in small files beside the database, and the signing secrets made from them."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path

from daemon.config import Settings
from daemon.core.errors import NotFound
from daemon.core.origin import origin
from daemon.core.signing import derived_secret
from daemon.store.keys import load_or_make
from daemon.store.peek import stored_secret

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


def endpoint_secret(settings: Settings, name: str) -> str:
    """Return the signing secret of the configured endpoint *name*, or of the origin of the URL *name*.

    Raises NotFound that says what is configured.
    """
    if "://" in name:
        return derived_secret(own_secrets(settings.store.path).master, origin(name))
    configured = settings.endpoints.get(name)
    if configured is None:
        known = ", ".join(sorted(settings.endpoints)) or "none"
        raise NotFound(f'no endpoint "{name}" is configured; configured are: {known}')
    if configured.secret is not None:
        return configured.secret.get_secret_value()
    stored = stored_secret(settings.store.path, name)
    if stored is None:
        raise NotFound(f'endpoint "{name}" has no secret yet: it is made when the daemon first starts with it')
    return stored
