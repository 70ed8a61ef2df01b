"""Every kind of secret in one real daemon, providers and receivers that repeat them all, debug logs: none is told again.

Searched are the log, every API answer, the metrics, the command line's output, the database with its journal, a backup
and an export. The files that hold a secret by design are named here, and are readable by their owner alone.
"""

from __future__ import annotations

import base64
import http.server
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SECRETS = {
    "a key in a header": "sk-header-9f3aQx77LmZz01",
    "a key in the query": "qk-query+5b/2=Jd88aaPlO",
    "both halves of a jwt": "ak-access-33119:sk-jwt-half-77Kw20qR",
    "an endpoint's secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "an endpoint's signing key": "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==",
    "an endpoint's header": "Bearer hdr-4410-receiver-token-Zq",
}
KNOWN = {
    "inheader": [SECRETS["a key in a header"]],
    "inquery": [SECRETS["a key in the query"]],
    "asjwt": [SECRETS["both halves of a jwt"], *SECRETS["both halves of a jwt"].split(":")],
    "hook": [SECRETS["an endpoint's secret"], SECRETS["an endpoint's signing key"], SECRETS["an endpoint's header"]],
}
WHERE_THEY_LIVE = {"config.toml", "api-token", "store-key", "master-key"}


class Echo(http.server.BaseHTTPRequestHandler):
    """Repeats whatever it was sent and knows, in every way it can: header, reason, body, redirect, half an answer."""

    seen: ClassVar[list[str]] = []
    protocol_version = "HTTP/1.1"
    turn = 0

    def answer(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size).decode(errors="replace")
        told = [f"{k}: {v}" for k, v in self.headers.items()]
        own = KNOWN[self.path.split("/")[1].split("?")[0]]
        secrets = [*self.headers.values(), self.path, *own, *(quote(secret, safe="") for secret in own)]
        Echo.seen += [*told, self.path]
        Echo.turn += 1
        said = {"status": ("in_progress", "Bearer " + own[0], "failed")[Echo.turn % 3], "error": " ".join(secrets),
                "url": f"https://cdn.example.com/v.mp4?key={quote(secrets[-1], safe='')}", "echo": told, "body": body, "progress": 0.5}  # fmt: skip
        raw = json.dumps(said).encode()
        code = (200, 401, 403, 500, 302, 200, 429, 200, 400)[Echo.turn % 9] if Echo.turn < 120 else 200
        self.send_response_only(code, "No " + own[0])
        self.send_header("X-Echo", own[0])
        self.send_header("Location", f"http://127.0.0.1:9/?k={quote(own[0], safe='')}")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2] if Echo.turn % 11 == 0 else raw)
        self.close_connection = Echo.turn % 11 == 0

    do_GET = do_POST = answer  # noqa: N815 (the library's names)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="module")
def echo():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def lane(echo: str, key: str, name: str, **auth: object) -> dict[str, dict]:
    return {
        f"providers.{name}": {"api_key": SECRETS[key], "base_url": f"{echo}/{name}", "timeout": "2s", "rate": 50.0, "min_gap": "100ms",
                              "max_gap": "300ms", "deadline": "1h"},
        f"providers.{name}.auth": auth or {"header": "Authorization", "format": "Bearer {key}"},
        f"providers.{name}.status": {"request": "GET /{id}", "state": "status"},
        f"providers.{name}.status.states": {"running": ["in_progress"], "succeeded": ["completed"], "failed": ["failed"]},
        f"providers.{name}.status.fields": {"error_message": "error", "outputs": "url"},
        f"providers.{name}.typical": {"duration": "500ms"},
    }  # fmt: skip


@pytest.fixture(scope="module")
def daemon(start, echo):
    tables = {
        **lane(echo, "a key in a header", "inheader"),
        **lane(echo, "a key in the query", "inquery", scheme="query", parameter="key"),
        **lane(echo, "both halves of a jwt", "asjwt", scheme="jwt-hs256"),
        "endpoints.default": {"url": f"{echo}/hook?token=urltok-771-Qw", "secret": SECRETS["an endpoint's secret"],
                              "signing_key": SECRETS["an endpoint's signing key"],
                              "store_response": True},
        "endpoints.default.headers": {"X-Key": SECRETS["an endpoint's header"]},
        "delivery": {"schedule": ["200ms", "500ms", "1s", "2s"], "timeout": "2s"},
        "log": {"format": "json", "level": "debug"},
    }  # fmt: skip
    return start(**tables)


@pytest.fixture(scope="module")
def told(daemon):
    """Return everything that the daemon said and wrote, by where; and the secrets it made itself."""
    said: dict[str, bytes] = {}
    for name in ("inheader", "inquery", "asjwt"):
        for number in range(12):
            daemon.ask("POST", "/v1/tasks", {"provider": name, "remote_id": f"r{number}", "metadata": {"n": number}})
    made = daemon.ask(
        "PUT",
        "/v1/endpoints/made",
        {"url": "https://example.com/h", "headers": {"Authorization": SECRETS["an endpoint's header"]}},
    )[1]
    rotated = daemon.ask("POST", "/v1/endpoints/made/rotate", {})[1]
    fresh = {"a secret that was made": made["secret"], "a secret that was rotated in": rotated["secret"]}
    wrong = {"Authorization": f"Bearer {daemon.token[:-1]}"}
    for path, body in (("/v1/tasks", {"provider": SECRETS["a key in a header"], "remote_id": "x"}), ("/v1/endpoints/bad", {"url": "https://example.com",
                       "secret": SECRETS["an endpoint's secret"] + "!"})):  # fmt: skip
        said[f"refused {path}"] = _of(daemon.ask("POST" if "tasks" in path else "PUT", path, body)[1]).replace(
            SECRETS["a key in a header"].encode(), b"", 1
        )
    said["a wrong token"] = _of(daemon.ask("GET", "/v1/tasks", **wrong)[1])
    time.sleep(4)
    paths = ["/v1/tasks?limit=500", "/v1/events?limit=500", "/v1/deliveries", "/v1/endpoints", "/v1/endpoints/default", "/v1/endpoints/made",
             "/v1/providers", "/v1/providers/inheader", "/v1/providers/inquery", "/v1/providers/asjwt", "/metrics", "/openapi.json", "/healthz"]  # fmt: skip
    for path in paths:
        said[path] = _of(daemon.ask("GET", path)[1])
    for one in daemon.ask("GET", "/v1/deliveries")[1]["data"]:
        said[f"delivery {one['id']}"] = _of(daemon.ask("GET", f"/v1/deliveries/{one['id']}")[1])
    _commands(daemon, said)
    said["exit"] = str(daemon.stop()).encode()
    for path in sorted(p for p in daemon.folder.rglob("*") if p.is_file() and p.name not in WHERE_THEY_LIVE):
        said[str(path.relative_to(daemon.folder))] = path.read_bytes()
    return said, {**SECRETS, **fresh, "the API's token": daemon.token}


def _of(answer: object) -> bytes:
    return answer if isinstance(answer, bytes) else json.dumps(answer, ensure_ascii=False).encode()


def _commands(daemon, said: dict[str, bytes]) -> None:
    config = ["--config", str(daemon.folder / "config.toml")]
    commands = {"config show": ["config", "show", *config], "doctor": ["doctor", *config], "backup": ["backup", str(daemon.folder / "copy.db"), *config],
                "export": ["export", str(daemon.folder / "told.ndjson"), *config]}  # fmt: skip
    for name, words in commands.items():
        ran = subprocess.run([sys.executable, "-m", "daemon", *words], capture_output=True, check=False, timeout=60)
        said[f"pollhook {name}"] = ran.stdout + ran.stderr


def _forms(secret: str) -> set[bytes]:
    """Return how *secret* might be written: as it is, escaped, encoded, and its telling half alone.

    The first half of a jwt key is its issuer, which every token carries in the clear: a name, no secret.
    """
    parts = {
        secret,
        secret.rpartition(":")[2],
        secret.removeprefix("Bearer "),
        secret.partition("_")[2] if secret.startswith("whs") else secret,
    }
    forms = set()
    for part in parts:
        raw = part.encode()
        forms |= {
            raw,
            quote(part, safe="").encode(),
            base64.b64encode(raw).rstrip(b"="),
            base64.urlsafe_b64encode(raw).rstrip(b"="),
            raw.hex().encode(),
        }
    for key in (secret,):
        if key.startswith("whs"):
            forms.add(base64.b64decode(key.partition("_")[2] + "=="))
    return {form for form in forms if len(form) >= 12}


def test_the_enemy_really_had_them_all(told):
    seen = " ".join(Echo.seen)

    assert SECRETS["a key in a header"] in seen
    assert re.search(r"key=qk-query", seen)
    assert SECRETS["an endpoint's header"] in seen
    assert Echo.turn > 10


def test_no_secret_is_told_or_kept_anywhere_in_the_clear(told):
    said, secrets = told
    found = [f"{kind} in {where}: …{raw[max(0, at - 60) : at + 40]!r}" for where, raw in said.items() for kind, secret in secrets.items()
             for form in _forms(secret) if (at := raw.find(form)) >= 0]  # fmt: skip

    assert not found, "\n".join(found[:12])


def test_the_files_that_hold_secrets_are_their_owners_alone(told, daemon):
    assert {path.name for path in daemon.state.iterdir()} >= WHERE_THEY_LIVE - {"config.toml"}
    assert [p.name for p in daemon.state.iterdir() if p.stat().st_mode & 0o077] == []
    assert daemon.state.stat().st_mode & 0o077 == 0


def test_no_core_file_is_written_under_systemd():
    unit = (Path(__file__).parents[2] / "systemd" / "pollhook.service").read_text()

    assert "\nLimitCORE=0\n" in unit
