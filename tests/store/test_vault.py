"""Secrets at rest: sealed under a key outside the database, and never lost without a word."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from daemon.core.errors import StoreFault
from daemon.core.keyring import StoredKey
from daemon.store.peek import peek_keys
from daemon.store.store import open_store
from daemon.store.vault import Vault, key_file
from tests.store.test_upgrades import SCHEMAS, loaded

KEY = b"k" * 32
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def sealed(path, sealing_key=None):
    store = await open_store(path, sealing_key=sealing_key)
    await store.endpoints.save_keys("default", [StoredKey(version="v1", secret=SECRET, made_at=1.0)])
    await store.close()
    return path


def test_a_sealed_text_opens_for_what_it_is_about_alone():
    vault = Vault(KEY)
    text = vault.seal("x", "key of a")

    assert vault.open(text, "key of a") == "x"
    assert vault.seal("x", "key of a") != text
    for other, about in ((text, "key of b"), (text[:-1] + bytes([text[-1] ^ 1]), "key of a"), (text[:5], "key of a")):
        with pytest.raises(StoreFault, match="cannot be opened"):
            vault.open(other, about)


async def test_the_key_is_made_once_beside_the_database_for_its_owner_alone(tmp_path):
    path = await sealed(tmp_path / "p.db")
    store = await open_store(path)
    keys = await store.endpoints.keys()
    await store.close()

    assert keys["default"][0].secret == SECRET
    assert key_file(path).stat().st_mode & 0o777 == 0o600


async def test_a_missing_key_stops_the_start_and_is_not_made_anew(tmp_path):
    path = await sealed(tmp_path / "p.db")
    kept = key_file(path).read_bytes()
    key_file(path).unlink()

    for _ in range(2):
        with pytest.raises(StoreFault, match="it is gone; put it back from a backup"):
            await open_store(path)
    assert not key_file(path).exists()
    key_file(path).write_bytes(kept)
    key_file(path).chmod(0o600)
    await (await open_store(path)).close()


async def test_a_wrong_key_stops_the_start_and_names_both(tmp_path):
    path = await sealed(tmp_path / "p.db")

    with pytest.raises(StoreFault, match=r"sealed with another key \(id [0-9a-f]{8}\).*credential store_key"):
        await open_store(path, sealing_key=KEY)
    key_file(path).write_bytes(b"x" * 32)
    with pytest.raises(StoreFault, match="than the one in the file"):
        await open_store(path)


@pytest.mark.parametrize("given", [KEY, KEY.hex().encode() + b"\n"])
async def test_a_key_that_is_handed_in_needs_no_file(tmp_path, given):
    path = await sealed(tmp_path / "p.db", given)

    assert not key_file(path).exists()
    assert [key.secret for key in peek_keys(path, "default", given)] == [SECRET]
    assert peek_keys(path, "other", given) == ()


@pytest.mark.parametrize("given", [b"", b"short", b"z" * 64])
async def test_a_key_of_the_wrong_size_is_refused(tmp_path, given):
    with pytest.raises(StoreFault, match="a store key is 32 bytes"):
        await open_store(tmp_path / "p.db", sealing_key=given)


async def test_secrets_an_older_version_stored_in_the_clear_are_sealed_and_wiped(tmp_path):
    path = loaded(SCHEMAS / "v4.sql", tmp_path / "p.db")
    assert SECRET.encode() in path.read_bytes()

    store = await open_store(path)
    while_open = b"".join(file.read_bytes() for file in tmp_path.glob("p.db*") if "schema" not in file.name)
    keys = await store.endpoints.keys()
    await store.close()

    assert [key.secret for key in keys["default"]] == [SECRET]
    assert SECRET.encode() not in while_open
    assert SECRET.encode() not in path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT secret FROM endpoints WHERE secret IS NOT NULL").fetchall() == []


async def test_a_refused_start_leaves_the_database_unlocked(tmp_path):
    path = await sealed(tmp_path / "p.db")

    with pytest.raises(StoreFault, match="another key"):
        await open_store(path, sealing_key=KEY)

    await (await open_store(path)).close()
