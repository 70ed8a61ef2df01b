"""Every kind of secret, by every way into the log: none comes out."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable
from urllib.parse import quote

import pytest
import structlog

from daemon.observe.logs import configure
from daemon.observe.redactor import Redactor

KEY = "pk/live+Zx9 q=77"
HOOK = base64.b64encode(b"a signing secret of 24 b").decode()
PAIR = base64.b64encode(bytes(range(64))).decode()
TOKEN = "8f0c2b1a7d5e49b6a3c4d5e6f7a8b9c0"
WITHIN = base64.b64encode(b"user:" + KEY.encode()).decode()
ENCODED = base64.b64encode(KEY.encode()).decode()

SECRETS = {  # what stands in the text, and what of it may never be seen
    "provider key": (f"the key {KEY} was refused", KEY),
    "provider key, percent-encoded": (f"GET /v1/{quote(KEY, safe='')}/jobs", quote(KEY, safe="")),
    "provider key, percent-encoded twice": (f"GET /v1/{quote(quote(KEY, safe=''), safe='')}", "live%252BZx9"),
    "provider key, base64": (f"Basic auth was {ENCODED}", ENCODED),
    "provider key, within longer base64": (f"Basic auth {WITHIN}", WITHIN[7:27]),
    "provider key, hexadecimal": (f"bytes {KEY.encode().hex()}", KEY.encode().hex()),
    "signing secret": (f"signed with whsec_{HOOK}", HOOK),
    "signing secret without its prefix": (f"decoded {HOOK}", HOOK),
    "a signing secret nobody knew": ("a new whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA==", "c29tZWJvZHkg"),
    "private key": (f"pair whsk_{PAIR}", PAIR),
    "a private key nobody knew": ("whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAECAwQF"),
    "API token": (f"token {TOKEN}", TOKEN),
    "Authorization header": ("Authorization: Bearer abcdef.ghijkl-123", "abcdef.ghijkl"),
    "Authorization header, Basic": ("authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNz"),
    "a URL's query": ("fetching https://cdn.example.com/x.mp4?X-Amz-Signature=deadbeef&e=1", "deadbeef"),
    "a URL's userinfo": ("calling https://operator:hunter2@hooks.example.com/x", "hunter2"),
    "a URL's fragment": ("calling https://hooks.example.com/x#access=hunter2", "hunter2"),
}


def by_a_field(text: str) -> None:
    structlog.get_logger().info("said", why=text)


def by_a_nested_field(text: str) -> None:
    structlog.get_logger().info("said", facts={"list": [{"deep": (text,)}], text: 1})


def by_the_event_s_own_name(text: str) -> None:
    structlog.get_logger().warning(text)


def by_a_bound_value(text: str) -> None:
    structlog.get_logger().bind(note=text).error("said")


def by_an_object(text: str) -> None:
    class Odd:
        def __repr__(self) -> str:
            return f"<Odd {text}>"

    structlog.get_logger().info("said", odd=Odd())


def by_an_exception(text: str) -> None:
    try:
        raise RuntimeError(text)
    except RuntimeError:
        structlog.get_logger().exception("work.crashed")


def by_the_cause_of_an_exception(text: str) -> None:
    try:
        try:
            raise ValueError(text)
        except ValueError as cause:
            cause.add_note(text)
            raise RuntimeError("outer") from cause
    except RuntimeError:
        structlog.get_logger().exception("work.crashed")


def by_a_group_of_exceptions(text: str) -> None:
    try:
        raise ExceptionGroup("several", [ValueError(text), OSError(5, text)])
    except ExceptionGroup:
        structlog.get_logger().exception("work.crashed")


def by_a_library(text: str) -> None:
    logging.getLogger("aiohttp.server").warning("Error handling request: %s", text)


def by_a_library_s_traceback(text: str) -> None:
    try:
        raise ConnectionError(text)
    except ConnectionError:
        logging.getLogger("aiohttp.server").exception("Error handling request")


def by_asyncio(text: str) -> None:
    loop = asyncio.new_event_loop()
    loop.call_exception_handler({"message": f"Task failed: {text}", "exception": RuntimeError(text)})
    loop.close()


def by_a_warning(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(text, ResourceWarning, stacklevel=1)


WAYS = [
    by_a_field, by_a_nested_field, by_the_event_s_own_name, by_a_bound_value, by_an_object, by_an_exception,
    by_the_cause_of_an_exception, by_a_group_of_exceptions, by_a_library, by_a_library_s_traceback, by_asyncio,
    by_a_warning,
]  # fmt: skip


@pytest.fixture(params=["json", "console", "journal"])
def written(request: pytest.FixtureRequest) -> Callable[[], str]:
    stream = io.StringIO()
    redactor = Redactor([KEY, f"whsec_{HOOK}", f"whsk_{PAIR}", TOKEN])
    is_journal = request.param == "journal"
    configure("info", "json" if is_journal else request.param, stream, redactor, journal=is_journal)
    return stream.getvalue


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", SECRETS)
def test_no_secret_leaves_by_the_log(written, kind, way):
    text, secret = SECRETS[kind]
    assert secret in text

    way(text)

    said = written()
    assert said
    assert secret not in said
    assert secret.replace("/", "\\/") not in said


def test_a_header_is_masked_by_its_name_whatever_its_scheme(written):
    structlog.get_logger().info("said", headers={"Authorization": "Key fal-id:fal-secret", "Cookie": "sid=abc"})

    assert "fal-secret" not in written()
    assert "sid=abc" not in written()


@pytest.mark.parametrize(
    "command",
    [
        ["tasks", "--server", "http://me:hunter2secret@127.0.0.1:1"],
        ["tasks", "--server", "http://127.0.0.1:1/?key=hunter2secret"],
        ["tasks", "--server", "Bearer hunter2secret"],
        ["secret", "https://me:hunter2secret@a.example/x", "--config", "/nowhere/whsec_aHVudGVyMnNlY3JldA=="],
    ],
)
def test_no_secret_leaves_by_what_the_command_line_complains_of(command):
    done = subprocess.run([sys.executable, "-m", "daemon", *command], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "pollhook:" in done.stderr
    assert "hunter2secret" not in done.stdout + done.stderr
    assert "aHVudGVyMnNlY3JldA" not in done.stderr
