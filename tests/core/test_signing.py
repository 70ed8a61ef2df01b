"""How secrets are read, derived and shown, and how the signature header is put together."""

from __future__ import annotations

import base64
import hmac
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.signing import (
    BadSecret,
    Key,
    decode_secret,
    derived_secret,
    encode_secret,
    fingerprint,
    hmac_key,
    raw_key,
    signature,
)


@given(st.binary(max_size=100))
def test_a_secret_reads_back_as_its_bytes_or_is_refused_by_its_length(raw):
    secret = encode_secret(raw)

    if 24 <= len(raw) <= 64:
        assert decode_secret(secret) == raw
        return
    with pytest.raises(BadSecret, match="24 to 64 bytes"):
        decode_secret(secret)


@given(st.text(max_size=100))
def test_no_text_crashes_the_reading_of_a_secret(text):
    for secret in (text, "whsec_" + text):
        with suppress(BadSecret):
            assert len(decode_secret(secret)) >= 24


def test_an_origin_always_derives_the_same_secret_and_another_origin_another():
    one = derived_secret(b"master", "https://a.example:443")

    assert one == derived_secret(b"master", "https://a.example:443")
    assert one != derived_secret(b"master", "https://b.example:443")
    assert one != derived_secret(b"other", "https://a.example:443")
    assert len(decode_secret(one)) == 32


def test_v1_comes_first_and_a_secret_three_before_it_and_a_key_pair_all_sign():
    pair = Key(version="v1a", sign=lambda _: b"x" * 64, fingerprint="")
    keys = [pair, *(raw_key(bytes([n]) * 24) for n in range(4))]

    entries = signature(keys, "msg_1", 1, b"{}").split(" ")

    assert [entry.partition(",")[0] for entry in entries] == ["v1", "v1", "v1", "v1", "v1a"]
    assert len(signature([*keys, *keys], "msg_1", 1, b"{}").split(" ")) == 5


def test_a_key_shows_its_fingerprint_and_nothing_else():
    raw = bytes(range(24))
    key = hmac_key(encode_secret(raw))

    assert key.fingerprint == fingerprint(raw)
    assert len(key.fingerprint) == 8
    assert encode_secret(raw)[6:] not in repr(key)
    assert "sign" not in repr(key)


def test_a_signature_is_the_hmac_of_id_timestamp_and_body_under_the_key_itself():
    raw = bytes(range(24))
    expected = base64.b64encode(hmac.digest(raw, b"msg_1.7.{}", "sha256")).decode()

    assert encode_secret(raw).startswith("whsec_")
    assert signature([raw_key(raw)], "msg_1", 7, b"{}") == f"v1,{expected}"


def test_secrets_of_the_least_and_the_greatest_length_are_read_and_foreign_characters_are_not():
    assert [len(decode_secret(encode_secret(b"x" * size))) for size in (24, 64)] == [24, 64]
    with pytest.raises(BadSecret, match="padded standard base64"):
        decode_secret(encode_secret(b"x" * 24)[:-4] + "\n*" + encode_secret(b"x" * 24)[-4:])
