"""Symlink and permission tricks in the state and runtime directories, and keys lured to other hosts."""

from __future__ import annotations

import http.server
import threading
import time
from typing import ClassVar

import pytest

from tests.security.conftest import MINE, Daemon

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PRECIOUS = b"not for Pollhook to touch\n"


def prepared(tmp_path) -> Daemon:
    daemon = Daemon(tmp_path)
    daemon.state.mkdir(mode=0o700)
    daemon.write_config(MINE)
    return daemon


@pytest.mark.parametrize("name", ["api-token", "store-key", "master-key", "pollhook.db", "pollhook.db.lock"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_laid_in_the_state_directory_is_neither_followed_nor_written_through(tmp_path, name, is_there):
    daemon, victim = prepared(tmp_path), tmp_path / "victim"
    if is_there:
        victim.write_bytes(PRECIOUS)
        victim.chmod(0o644)
    (daemon.state / name).symlink_to(victim)

    status = daemon.run()
    if status is None:
        daemon.stop()

    assert status == 3, daemon.log[-500:]
    assert name in daemon.log
    assert (victim.read_bytes() if victim.exists() else None) == (PRECIOUS if is_there else None)


@pytest.mark.parametrize("name", ["api-token", "store-key", "master-key"])
def test_a_secret_file_that_others_may_read_stops_the_start(tmp_path, name):
    daemon = prepared(tmp_path)
    assert daemon.run() is None
    daemon.stop()
    (daemon.state / name).chmod(0o644)

    status = daemon.run()
    if status is None:
        daemon.stop()

    assert status == 3
    assert "chmod 600" in daemon.log


def test_all_that_is_made_is_its_owners_alone_whatever_the_umask(tmp_path):
    daemon = Daemon(tmp_path)
    daemon.write_config(MINE)

    assert daemon.run() is None
    modes = {path.name: path.stat().st_mode & 0o777 for path in (daemon.state, *daemon.state.iterdir())}
    daemon.stop()

    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


class Thief(http.server.BaseHTTPRequestHandler):
    """Notes every request, whoever sends it."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        Thief.asked.append(f"{self.path} {dict(self.headers)}")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_HEAD = do_GET  # noqa: N815 (the library's names)

    def log_message(self, *_) -> None:
        pass


class Lure(Thief):
    """The provider's own host, taken over: sends every caller on to the thief, by every way there is."""

    thief = ""

    def do_GET(self) -> None:
        body = b'{"status":"completed","url":"%s/v.mp4","status_url":"%s/s"}' % (
            self.thief.encode(),
            self.thief.encode(),
        )
        self.send_response(307 if "redirect" in self.path else 200)
        self.send_header("Location", f"{self.thief}/redirected")
        self.send_header("Link", f"<{self.thief}/next>; rel=next")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def hosts():
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) for kind in (Thief, Lure)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    thief, lure = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    Lure.thief = thief
    yield thief, lure
    for server in servers:
        server.shutdown()


def test_no_submission_status_url_redirect_or_output_lures_the_key_to_another_host(start, hosts):
    thief, lure = hosts
    daemon = start(**{"providers.mine": MINE["providers.mine"] | {"base_url": f"{lure}/v1", "min_gap": "100ms", "save_outputs": True},
                      "providers.mine.typical": {"duration": "200ms"}, "egress": {"allow": [f"127.0.0.1/32:{thief.rsplit(':', 1)[1]}"]}})  # fmt: skip
    host = lure.removeprefix("http://")
    lures = [f"{thief}/s", f"{lure}@{thief.removeprefix('http://')}/s", f"{thief}/s?{lure}", f"{thief}/s#{host}", f"//{thief.removeprefix('http://')}/s",
             f"http://{host}.evil.example/s", f"{lure}\\@{thief.removeprefix('http://')}/s", f"{lure}/../../{thief}", "file:///etc/passwd", f"https://{host}/s"]  # fmt: skip

    refused = [
        daemon.ask("POST", "/v1/tasks", {"provider": "mine", "remote_id": f"s{n}", "status_url": url})[0]
        for n, url in enumerate(lures)
    ]
    for n, url in enumerate(lures):
        daemon.ask("POST", "/v1/tasks", {"provider": "mine", "submission": {"id": f"sub{n}", "status_url": url}})
        daemon.ask("POST", "/v1/tasks", {"provider": "mine", "submission": {"id": url}})
    for remote_id in ("redirect", "../../redirect", "a?b=c", "plain", f"{thief}/x"):
        daemon.ask("POST", "/v1/tasks", {"provider": "mine", "remote_id": remote_id, "first_poll_after": 0})
    until = time.monotonic() + 10
    while time.monotonic() < until and not Thief.asked:
        time.sleep(0.2)
    time.sleep(1)

    assert [
        status for status, url in zip(refused, lures, strict=True) if status < 400 and not url.startswith(f"{lure}/")
    ] == []
    assert [asked for asked in Thief.asked if "sk-mine" in asked or "Bearer" in asked] == []
    assert [asked for asked in Thief.asked if not asked.startswith("/v.mp4")] == []
