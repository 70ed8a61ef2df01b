"""The libraries that receivers use accept what we send and refuse what is forged: Python and JavaScript, two of each."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks.webhooks
import svix.webhooks

from daemon.core.signing import hmac_key
from daemon.webhooks.keys import ed25519_key, new_private_key, new_secret

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "verifiers" / "verify.mjs"
MODULES = ROOT / "build" / "verifiers"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True)
class Case:
    """A message as it arrived, the receiver's secret and clock."""

    secret: str
    headers: dict[str, str]
    body: bytes
    now: float

    def told(self) -> dict[str, Any]:
        body = base64.b64encode(self.body).decode()
        return {"secret": self.secret, "headers": self.headers, "body": body, "now": round(self.now * 1000)}


def in_python(library: Any, cases: Sequence[Case], monkeypatch) -> list[bool]:
    """Verify by a Python library, whose clock is set to the case's."""
    found = []
    for case in cases:

        class Frozen(dt.datetime):
            @classmethod
            def now(cls, tz=None, at=case.now):
                return dt.datetime.fromtimestamp(at, tz)

        monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Frozen)  # which svix stands on, too
        try:
            library.Webhook(case.secret).verify(case.body, case.headers)
            found.append(True)
        except (library.WebhookVerificationError, ValueError):
            found.append(False)
    return found


def in_node(name: str, cases: Sequence[Case]) -> list[bool]:
    """Verify by a library of npm, all in one process."""
    if shutil.which("node") is None or not (MODULES / "node_modules").is_dir():
        pytest.skip(
            "node or build/verifiers is missing, so no JavaScript library was asked: install npm, `make verifiers`"
        )
    asked = json.dumps([case.told() for case in cases]).encode()
    done = subprocess.run(["node", SCRIPT, MODULES], input=asked, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return [answer[name] == "accepted" for answer in json.loads(done.stdout)]


VERIFIERS = ["python standardwebhooks", "python svix", "node standardwebhooks", "node svix"]


@pytest.fixture(params=VERIFIERS)
def accepts(request, monkeypatch) -> Callable[[Sequence[Case]], list[bool]]:
    runtime, name = request.param.split()
    if runtime == "node":
        return lambda cases: in_node(name, cases)
    library = standardwebhooks.webhooks if name == "standardwebhooks" else svix.webhooks
    return lambda cases: in_python(library, cases, monkeypatch)


async def test_what_we_send_is_accepted_before_during_and_after_a_rotation(accepts, deliver, receive):
    old, new, newest, stranger = (new_secret() for _ in range(4))
    pair = ed25519_key(new_private_key())
    stages = [(old,), (new, old), (newest, new, old), (newest, new), (newest,)]
    deliver.clock.now_at = time.time()
    cases, expected = [], []
    for signing in stages:
        for keys in (tuple(map(hmac_key, signing)), (*map(hmac_key, signing), pair)):
            receiver = await receive(OK)
            await deliver(receiver.url, body='{"prompt":"café ☃ 🎬"}'.encode(), keys=keys)
            (got,) = receiver.requests
            for secret in (old, new, newest, stranger):
                cases.append(Case(secret, got.headers, got.body, time.time()))
                expected.append(secret in signing)

    assert accepts(cases) == expected


async def test_a_request_of_ours_that_was_touched_or_kept_is_refused(accepts, deliver, receive):
    secret = new_secret()
    receiver = await receive(OK)
    deliver.clock.now_at = now = time.time()
    await deliver(receiver.url, keys=(hmac_key(secret),))
    (got,) = receiver.requests
    signed = got.headers["webhook-signature"]
    touched = [
        Case(secret, got.headers, got.body + b" ", now),
        Case(secret, got.headers | {"webhook-id": "msg_2"}, got.body, now),
        Case(secret, got.headers | {"webhook-timestamp": str(int(now) + 1)}, got.body, now),
        Case(secret, got.headers | {"webhook-signature": signed.replace("v1,", "v2,")}, got.body, now),
        Case(secret, got.headers, got.body, now + 302),
        Case(secret, got.headers, got.body, now - 302),
    ]

    assert accepts([Case(secret, got.headers, got.body, now), *touched]) == [True] + [False] * len(touched)


def test_all_vectors_read_alike(accepts, vectors):
    bases = {vector["name"]: vector for vector in vectors["symmetric"] if "payload" in vector}
    rotation = vectors["derived_here"][1]
    cases, expected = [], []
    for vector in bases.values():
        cases.append(_case(vector, {"webhook_signature": vector["expected_signature"]}))
        expected.append(True)
    for secret in (rotation["current_secret"], rotation["previous_secret"]):
        cases.append(_case(rotation | {"secret": secret}, {}))
        expected.append(True)
    for vector in vectors["negative_and_boundary"]:
        if "secret" not in vector:
            base = bases[vector.get("based_on", "reference-library-canonical")]
            cases.append(_case(base, {"webhook_signature": base["expected_signature"]} | vector))
            expected.append(vector["expect"].startswith("accept"))

    assert len(cases) > 20
    assert accepts(cases) == expected


def _case(base: dict[str, Any], changed: dict[str, Any]) -> Case:
    sent = base | changed
    names = ("webhook_id", "webhook_timestamp", "webhook_signature")
    headers = {name.replace("_", "-"): sent[name] for name in names if name in sent}
    if changed.get("name", "").startswith("missing-"):
        del headers[changed["name"].removeprefix("missing-")]
    now = int(base["webhook_timestamp"]) + changed.get("clock_offset_seconds", 0)
    return Case(base["secret"], headers, base["payload"].encode(), now)


def test_the_lock_of_the_npm_packages_names_no_registry():
    lock = (SCRIPT.parent / "package-lock.json").read_text()

    assert '"resolved"' not in lock
    assert "registry" not in lock
    assert all("integrity" in package for name, package in json.loads(lock)["packages"].items() if name)
