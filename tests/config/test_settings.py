from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.config import (
    TcpListener,
    UnixListener,
    allowances,
    describe,
    endpoint_spec,
    listeners,
    secrets,
    shared_keys,
)

RAW = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(RAW).decode()
OLDER = "whsec_" + base64.b64encode(RAW[::-1]).decode()
PUBLIC = Ed25519PrivateKey.from_private_bytes(RAW).public_key().public_bytes_raw()
SIGNING = "whsk_" + base64.b64encode(RAW + PUBLIC).decode()


@pytest.mark.parametrize(
    ("listen", "extra", "complaint"),
    [
        (["127.0.0.1:8710", "[::1]:0", "unix:/run/x.sock", "127.1.2.3:1"], 'auth = "none"', None),
        ([], "", None),
        (["0.0.0.0:1"], "", "set i_know_this_is_public = true too"),
        (["[::]:1"], "", "set i_know_this_is_public = true too"),
        (["192.168.1.1:1"], "", "set i_know_this_is_public = true too"),
        (["192.168.1.1:1"], "i_know_this_is_public = true", None),
        (["127.0.0.1:2", "192.168.1.1:1"], 'i_know_this_is_public = true\nauth = "none"', 'auth = "none" is for'),
        (["localhost:1"], "", "must name a literal address"),
        (["::1:8710"], "", "must name a literal address"),
        (["127.0.0.1"], "", "must end in a port"),
        (["127.0.0.1:65536"], "", "must end in a port"),
        (["unix:api.sock"], "", "is an absolute path"),
        (["unix:/" + "x" * 107], "", "at most 107 bytes"),
    ],
)
def test_only_a_guarded_listener_may_be_public(read, complaints, listen, extra, complaint):
    text = f"[server]\nlisten = {listen}\n{extra}\n"

    if complaint is None:
        assert list(read(text).server.listen) == listen
    else:
        assert complaint in complaints(text)[0]


def test_listeners_are_told_apart(read):
    settings = read('[server]\nlisten = ["127.0.0.1:8710", "[::1]:0", "unix:/run/x.sock"]')

    assert listeners(settings) == (TcpListener("127.0.0.1", 8710), TcpListener("::1", 0), UnixListener("/run/x.sock"))


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("https://app.example.com/hooks?x=1", None),
        ("http://127.0.0.1:9000/hook", None),
        ("http://localhost:9000/hook", None),
        ("http://[::1]:9000/hook", None),
        ("http://10.1.2.3/hook", None),
        ("http://app.example.com/", "must be https"),
        ("http://8.8.8.8/", "must be https"),
        ("http://169.254.169.254/", "must be https"),
        ("http://localhost.evil.com/", "must be https"),
        ("ftp://app.example.com/", "begins with https://"),
        ("app.example.com/hook", "begins with https://"),
        ("https://", "cannot be used"),
        ("https://a.example:99999/", "a port lies between"),
        ("https://[::1/", "no IPv6 address"),
        ("https://me:pw@a.example/", "no user name"),
        ("https://a.example/#x", "fragment"),
        ("https://a.example/ x", "no space"),
        ("https://169.254.169.254/latest", "metadata"),
    ],
)
def test_an_endpoint_s_url_is_whole_and_encrypted_unless_it_is_near(read, complaints, url, complaint):
    text = f'[endpoints.default]\nurl = "{url}"\n'

    if complaint is None:
        assert read(text).endpoints["default"].url == url
    else:
        assert complaint in complaints(text)[0]


@pytest.mark.parametrize(
    ("entry", "is_good"),
    [
        ("127.0.0.1/32:9000", True),
        ("10.1.0.0/16:443", True),
        ("[fd00::]/8:443", True),
        ("169.254.169.254/32:80", False),
        ("127.0.0.1:9000", True),
        ("10.1.0.0/16", False),
        ("10.1.0.1/16:443", False),
        ("10.1.0.0/33:443", False),
        ("app.internal:443", False),
        ("10.1.0.0/16:0", False),
        ("10.1.0.0/16:x", False),
    ],
)
def test_an_egress_entry_is_a_network_and_a_port(read, complaints, entry, is_good):
    text = f'[egress]\nallow = ["{entry}"]\n'

    if is_good:
        (opened,) = allowances(read(text))
        assert f"{opened.network}" in entry.replace("[", "").replace("]", "").replace("127.0.0.1:", "127.0.0.1/32:")
        assert entry.endswith(f":{opened.port}")
    else:
        assert "egress" in complaints(text)[0]


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (RAW, "must hold 64 bytes, an Ed25519 seed and its public key after it; this one holds 32"),
        (RAW + PUBLIC + b"x", "must hold 64 bytes"),
        (RAW + RAW, "its second half is not the public key of its first half"),
        (PUBLIC + RAW, "its second half is not the public key of its first half"),
        (b"", "this one holds 0"),
    ],
)
def test_a_signing_key_that_cannot_sign_is_found_before_the_daemon_starts(complaints, raw, complaint):
    key = base64.b64encode(raw).decode()

    (found,) = complaints(f'[endpoints.default]\nurl = "https://a.example/"\nsigning_key = "whsk_{key}"\n')

    assert "[endpoints.default] signing_key" in found
    assert complaint in found
    assert not key or key not in found


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ('TE = "trailers"', "set by pollhook itself"),
        ('Accept-Encoding = "gzip"', "set by pollhook itself"),
        ('Proxy-Authorization = "Basic plain-words-key"', "set by pollhook itself"),
        ('webhook-signature = "x"', "set by pollhook itself"),
        ('"a b" = "x"', "letters, digits and hyphens"),
        ('X-Key = "caf\u00e9 plain-words-key"', "must be one line of printable ASCII"),
        ('X-Key = "plain-words-key\\tx"', "must be one line of printable ASCII"),
    ],
)
def test_a_header_that_would_not_be_sent_is_refused(complaints, header, complaint):
    (found,) = complaints(f'[endpoints.default]\nurl = "https://a.example/"\nheaders = {{ {header} }}\n')

    assert complaint in found
    assert "plain-words-key" not in found


FULL = f"""
[providers.amux]
api_key = "key-of-amux"
rate = 3.0
auth = {{ header = "Authorization", format = "Bearer {{key}}", secret = "jwt-secret" }}
[endpoints.default]
url = "https://app.example.com/hook?token=in-the-query"
secret = "{SECRET}"
previous_secrets = ["{OLDER}"]
signing_key = "{SIGNING}"
headers = {{ Authorization = "Bearer of-good-news" }}
timeout = "5s"
concurrency = 2
rate = 4
schedule = ["1s"]
[endpoints.ops]
url = "http://127.0.0.1:9000/ops"
[delivery]
timeout = 7
concurrency = 3
schedule = ["2s", "1m"]
"""
KEPT = ["key-of-amux", "jwt-secret", SECRET, OLDER, SIGNING, "of-good-news"]


def test_an_endpoint_says_what_its_table_says_and_no_more(read):
    settings = read(FULL)

    own, shared = (endpoint_spec(settings.endpoints[name]) for name in ("default", "ops"))
    keys = shared_keys(settings.endpoints["default"])

    assert (own.timeout, own.concurrency, own.rate, own.schedule) == (5.0, 2, 4.0, (1.0,))
    assert (shared.timeout, shared.concurrency, shared.rate, shared.schedule) == (None, None, None, None)
    assert own.headers == (("Authorization", "Bearer of-good-news"),)
    assert [key.version for key in keys] == ["v1", "v1"]
    assert keys[0].sign(b"x") != keys[1].sign(b"x")


def test_neither_a_repr_nor_the_shown_configuration_holds_a_secret(read):
    settings = read(FULL)

    for text in (repr(settings), str(settings), repr(describe(settings)), repr(settings.endpoints)):
        assert not [secret for secret in KEPT if secret.removeprefix("whsec_") in text]
    assert "in-the-query" not in repr(describe(settings))


def test_the_shown_configuration_keeps_what_is_no_secret(read):
    shown = describe(read(FULL))

    assert shown["providers"]["amux"]["rate"] == 3.0
    assert shown["providers"]["amux"]["auth"]["header"] == "Authorization"
    assert shown["delivery"]["schedule"] == ["2s", "1m"]
    assert shown["endpoints"]["default"]["url"] == "https://app.example.com/hook?…"
    assert shown["endpoints"]["ops"]["secret"] is None


def test_every_secret_is_known_to_the_redactor(read):
    held = secrets(read(FULL))

    assert all(any(secret in one for one in held) for secret in KEPT)
    assert "Authorization" not in held
