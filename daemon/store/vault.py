"""What seals secrets at rest: AES-256-GCM under one key that lies outside the database.

Every sealed value names its key and is bound to what it is the secret of, so that rows cannot be exchanged. A key that
is missing or another one is a Fault at the start: it is never replaced by a new one while something is sealed with it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from daemon.core.errors import StoreFault
from daemon.store.keys import load_or_make

KEY_FILE = "store-key"
KEY_BYTES = 32
_MARK = b"\x01"
_ID_BYTES = 4
_NONCE_BYTES = 12
_HEAD = len(_MARK) + _ID_BYTES


class Vault:
    """Seals and opens small secrets under one key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self.key_id = hashlib.sha256(b"pollhook store key\0" + key).digest()[:_ID_BYTES]
        self._cipher = AESGCM(key)

    def seal(self, text: str, about: str) -> bytes:
        """Return *text* sealed, to be opened only as the secret of *about*."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _MARK + self.key_id + nonce + self._cipher.encrypt(nonce, text.encode(), about.encode())

    def open(self, sealed: bytes, about: str) -> str:
        """Return the text sealed for *about*; raise StoreFault where it was changed, moved or sealed with another."""
        nonce, rest = sealed[_HEAD : _HEAD + _NONCE_BYTES], sealed[_HEAD + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, about.encode()).decode()
        except (InvalidTag, ValueError):
            raise StoreFault(
                f"the stored secret of {about} cannot be opened: its row was damaged or comes from elsewhere;"
                " put a backup of the database in its place"
            ) from None


def key_id_of(sealed: bytes) -> bytes:
    """Return the id of the key that *sealed* needs."""
    return sealed[len(_MARK) : _HEAD]


def key_file(database: Path) -> Path:
    """Return where the key lies unless it is handed in: beside the database."""
    return database.parent / KEY_FILE


def open_vault(database: Path, given: bytes | None, needed: Collection[bytes]) -> Vault:
    """Return the vault of *database* under the key *given*, else the one in the file beside it.

    *needed* holds the key ids of what is sealed already: only without any is a missing file made. Raises StoreFault.
    """
    vault = Vault(_decoded(given) if given is not None else _loaded(key_file(database), may_make=not needed))
    if set(needed) - {vault.key_id}:
        source = f"the file {key_file(database)}" if given is None else "the credential store_key"
        raise StoreFault(
            f"the secrets in {database} are sealed with another key (id {min(needed).hex()}) than the one in {source}"
            f" (id {vault.key_id.hex()}); put the right key there, or a backup of database and key together"
        )
    return vault


def _loaded(path: Path, *, may_make: bool) -> bytes:
    if not may_make and not path.exists():
        raise StoreFault(
            f"the secrets in the database need the key that lay in {path}, and it is gone; put it back from a backup,"
            " or hand it in as the systemd credential store_key: no new one is made, which would lose every secret"
        )
    return _decoded(load_or_make(path, lambda: secrets.token_bytes(KEY_BYTES)))


def _decoded(key: bytes) -> bytes:
    """Take a key as 32 raw bytes, or as 64 hex digits with white space around them."""
    if len(key) == KEY_BYTES:
        return key
    try:
        raw = bytes.fromhex(key.decode("ascii").strip())
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise StoreFault(f"a store key is {KEY_BYTES} bytes, raw or as hex digits; this one is not: {len(key)} bytes")
    return raw
