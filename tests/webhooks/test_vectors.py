"""The public vectors of Standard Webhooks, positive and negative, against our signer and verifier and the libraries."""

from __future__ import annotations

import base64
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from svix.webhooks import Webhook as SvixWebhook

from daemon.core.signing import BadSecret, decode_secret, encode_secret, hmac_key, raw_key, signature
from daemon.core.verifying import BadSignature, verify
from daemon.webhooks.keys import ed25519_key, new_private_key, new_secret, public_key

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TIME = 1614265330.0


def payload(vector) -> bytes:
    if "payload_generator" in vector:
        return vector["payload_generator"]["char"].encode() * vector["payload_generator"]["count"]
    return vector["payload"].encode()


def headers(vector, **changed) -> dict[str, str]:
    names = ("webhook_id", "webhook_timestamp", "webhook_signature")
    return {name.replace("_", "-"): changed.get(name, vector.get(name, "")) for name in names}


def test_every_symmetric_vector_is_signed_as_published(vectors):
    for vector in vectors["symmetric"]:
        raw = base64.b64decode(vector["secret"].removeprefix("whsec_"))
        assert raw.hex() == vector["key_hex"]

        made = signature([raw_key(raw)], vector["webhook_id"], int(vector["webhook_timestamp"]), payload(vector))

        assert made == vector["expected_signature"], vector["name"]
        if vector["key_bytes"] >= 24:
            assert decode_secret(vector["secret"]) == raw
            assert encode_secret(raw) == vector["secret"]


def test_every_asymmetric_vector_is_signed_as_published(vectors):
    for vector in vectors["asymmetric"]:
        key = ed25519_key(vector["secret_key"])

        made = signature([key], vector["webhook_id"], int(vector["webhook_timestamp"]), payload(vector))

        assert made == vector["expected_signature"]
        assert public_key(vector["secret_key"]) == vector["public_key"]


def test_the_derived_headers_are_made_as_written(vectors):
    both, rotation, utf8, empty = vectors["derived_here"]
    pair = ed25519_key(vectors["asymmetric"][0]["secret_key"])
    cases = [
        (both, [pair, hmac_key(SECRET)], "webhook_signature"),
        (rotation, [hmac_key(rotation["current_secret"]), hmac_key(rotation["previous_secret"])], "webhook_signature"),
        (utf8, [hmac_key(utf8["secret"])], "expected_signature"),
        (empty, [hmac_key(empty["secret"])], "expected_signature"),
    ]

    for vector, keys, field in cases:
        made = signature(keys, vector["webhook_id"], int(vector["webhook_timestamp"]), payload(vector))

        assert made == vector[field]
        for key in keys:
            verify(headers(vector, webhook_signature=made), payload(vector), [key], now_at=TIME)


def test_every_bad_message_is_rejected_and_every_good_one_accepted(vectors):
    bases = {vector["name"]: vector for vector in vectors["symmetric"]}
    checked = 0
    for case in vectors["negative_and_boundary"]:
        if "secret" in case:
            continue
        base = bases[case.get("based_on", "reference-library-canonical")]
        sent = headers(base | {"webhook_signature": base["expected_signature"]} | case)
        if case["name"].startswith("missing-"):
            del sent[case["name"].removeprefix("missing-")]
        now_at = int(base["webhook_timestamp"]) + case.get("clock_offset_seconds", 0)
        checked += 1

        if case["expect"].startswith("accept"):
            verify(sent, payload(base), [hmac_key(base["secret"])], now_at=now_at)
        else:
            with pytest.raises(BadSignature):
                verify(sent, payload(base), [hmac_key(base["secret"])], now_at=now_at)
    assert checked == 15


@pytest.mark.parametrize("version", ["v2", "v1a", "V1", "", "v1 "])
def test_the_right_bytes_under_another_version_are_no_signature(version):
    made = signature([hmac_key(SECRET)], "msg_1", int(TIME), b"{}").replace("v1", version)
    sent = {"webhook-id": "msg_1", "webhook-timestamp": str(int(TIME)), "webhook-signature": made}

    with pytest.raises(BadSignature):
        verify(sent, b"{}", [hmac_key(SECRET)], now_at=TIME)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_message_that_lacks_a_header_is_not_signed_even_if_its_signature_fits(missing):
    sent = {"webhook-id": "msg_1", "webhook-timestamp": str(int(TIME))} | {missing: ""}
    made = signature([hmac_key(SECRET)], sent["webhook-id"], int(TIME), b"{}")
    sent = {"webhook-signature": made} | sent

    with pytest.raises(BadSignature, match="has the headers"):
        verify(sent, b"{}", [hmac_key(SECRET)], now_at=TIME)
    del sent[missing]
    with pytest.raises(BadSignature, match="has the headers"):
        verify(sent, b"{}", [hmac_key(SECRET)], now_at=TIME)


@pytest.mark.parametrize("foreign", ["*", "\n", "\u00e9"])
def test_the_right_bytes_with_foreign_characters_between_are_no_signature(foreign):
    made = signature([hmac_key(SECRET)], "msg_1", int(TIME), b"{}")
    sent = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(TIME)),
        "webhook-signature": made[:9] + foreign + made[9:],
    }

    with pytest.raises(BadSignature, match="no entry"):
        verify(sent, b"{}", [hmac_key(SECRET)], now_at=TIME)


def test_every_bad_secret_is_refused(vectors):
    bad = [case["secret"] for case in vectors["negative_and_boundary"] if "secret" in case]
    assert len(bad) == 9

    for secret in (*bad, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa_w"):
        with pytest.raises(BadSecret) as caught:
            hmac_key(secret)
        with pytest.raises(BadSecret):
            ed25519_key(secret)
        assert len(secret) < 10 or secret[6:] not in str(caught.value)


def test_a_key_pair_whose_halves_do_not_match_is_refused():
    one, other = new_private_key(), new_private_key()
    halves = base64.b64decode(one[5:])[:32] + base64.b64decode(other[5:])[32:]

    with pytest.raises(BadSecret):
        ed25519_key("whsk_" + base64.b64encode(halves).decode())


def test_what_verifies_elsewhere_is_not_taken_for_another_message(vectors):
    example = vectors["published_but_not_verifiable"][0]
    key = ed25519_key(vectors["asymmetric"][0]["secret_key"])

    with pytest.raises(BadSignature):
        verify(headers(example), b"{}", [key], now_at=int(example["webhook_timestamp"]))


def test_new_keys_are_new_and_need_no_padding():
    secrets = {new_secret() for _ in range(50)}

    assert len(secrets) == 50
    assert all(len(decode_secret(secret)) == 30 and "=" not in secret for secret in secrets)
    assert new_private_key() != new_private_key()


@given(
    raw=st.binary(min_size=24, max_size=64),
    body=st.text(min_size=1, max_size=200, alphabet=st.characters(exclude_categories=["Cs"])).map(str.encode),
    at=st.integers(1_600_000_000, 2_000_000_000),
)
def test_what_we_sign_our_verifier_and_the_libraries_primitives_accept(raw, body, at):
    secret = encode_secret(raw)

    made = signature([hmac_key(secret)], "msg_1", at, body)

    moment = dt.datetime.fromtimestamp(at, dt.UTC)
    assert made == Webhook(secret).sign("msg_1", moment, body.decode())
    assert made == SvixWebhook(secret).sign("msg_1", moment, body.decode())
    sent = {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": made}
    verify(sent, body, [hmac_key(secret)], now_at=at)


@given(
    raw=st.binary(min_size=24, max_size=64),
    body=st.binary(max_size=50),
    at=st.integers(0, 2_000_000_000),
    flip=st.integers(0, 49),
)
def test_a_changed_body_id_or_time_never_verifies(raw, body, at, flip):
    key = raw_key(raw)
    made = signature([key], "msg_1", at, body)
    changed = bytes([*body[: flip % (len(body) or 1)], 0, *body[flip % (len(body) or 1) :]])

    for message_id, time, content in (("msg_2", at, body), ("msg_1", at + 1, body), ("msg_1", at, changed)):
        sent = {"webhook-id": message_id, "webhook-timestamp": str(time), "webhook-signature": made}
        with pytest.raises(BadSignature):
            verify(sent, content, [key], now_at=at)
