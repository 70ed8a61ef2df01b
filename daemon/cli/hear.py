"""A receiver for trying things out: verifies each webhook, prints it, and fails as often as it is told to."""

from __future__ import annotations

import json
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit, urlunsplit

from rich.console import Console
from rich.text import Text

from daemon.cli import say
from daemon.cli.complaint import Complaint, Exit
from daemon.core.signing import Key
from daemon.core.verifying import BadSignature, verify

BODY_BOUND = 1 << 20
READ_SECONDS = 30.0
REMEMBERED = 10_000
TAKEN = 204
FORWARD_SECONDS = 15.0
_HOP = frozenset({"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding",
                  "upgrade"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Onward:
    """Passes webhooks on to *url*, which was typed by whoever listens here; redirects are not followed."""

    url: str

    def __call__(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """POST one on; return the status to answer with, 502 where nobody answered, and a remark."""
        to = urlsplit(self.url)
        secure = to.scheme == "https"
        line = (HTTPSConnection if secure else HTTPConnection)(to.hostname or "", to.port, timeout=FORWARD_SECONDS)
        passed = {name: value for name, value in headers.items() if name not in _HOP}
        target = urlunsplit(("", "", to.path or "/", to.query, ""))
        try:
            line.request("POST", target, body, passed)
            status = line.getresponse().status
        except (OSError, HTTPException) as error:
            return 502, f"nobody answered at {self.url}: {str(error) or type(error).__name__}; answered 502"
        finally:
            line.close()
        return status, f"passed on to {self.url}, which answered {status}"


@dataclass(slots=True, kw_only=True)
class Ear:
    """Judges what arrives; ``fail_rate`` is the chance that a good webhook is answered 503.

    With ``forward`` a good one is passed on, headers and bytes as they came, and answered as it is answered there.
    """

    key: Key
    fail_rate: float
    as_json: bool
    forward: Callable[[Mapping[str, str], bytes], tuple[int, str]] | None = None
    seen: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, headers: Mapping[str, str], body: bytes, *, now_at: float) -> int:
        """Print one webhook and return the HTTP status to answer it with."""
        with self.lock:
            status = self._hear(headers, body, now_at=now_at)
        if self.forward is None or status != TAKEN:
            return status
        status, remark = self.forward(headers, body)
        with self.lock:
            style = "green" if 200 <= status < 300 else "yellow"
            self._print(headers.get("webhook-id", ""), remark, b"", style=style)
        return status

    def _hear(self, headers: Mapping[str, str], body: bytes, *, now_at: float) -> int:
        webhook_id = headers.get("webhook-id", "no webhook-id")
        try:
            verify(headers, body, [self.key], now_at=now_at)
        except BadSignature as error:
            self._print(webhook_id, f"NOT VERIFIED: {error}", b"", style="bold red")
            return 400
        if secrets.randbelow(10_000) < self.fail_rate * 10_000:
            self._print(webhook_id, "verified, answered 503 as --fail-rate asks", b"", style="yellow")
            return 503
        times = self._count(webhook_id)
        remark = "verified" if times == 1 else f"verified, duplicate: taken {times} times"
        self._print(webhook_id, remark, body, style="green" if times == 1 else "yellow")
        return TAKEN

    def _count(self, webhook_id: str) -> int:
        if webhook_id not in self.seen and len(self.seen) >= REMEMBERED:
            del self.seen[next(iter(self.seen))]
        self.seen[webhook_id] = self.seen.get(webhook_id, 0) + 1
        return self.seen[webhook_id]

    def _print(self, webhook_id: str, remark: str, body: bytes, *, style: str) -> None:
        head = say.clean(f"{time.strftime('%H:%M:%S')}  {webhook_id}  {remark}")
        if self.as_json:
            say.note(head)
            if body:
                print(body.decode("utf-8", "replace"), flush=True)
            return
        Console().print(Text(head, style=style), soft_wrap=True)
        if body:
            print(_pretty(body), flush=True)


def hear(ear: Ear, host: str, port: int) -> None:
    """Listen until Ctrl-C; complain where the port cannot be had."""
    try:
        server = ThreadingHTTPServer((host, port), _handler_of(ear))
    except OSError as error:
        text = f"cannot listen on {host}:{port}: {error.strerror}"
        raise Complaint(text, "another --port may be free", status=Exit.NOT_STARTED) from None
    server.daemon_threads = True
    say.note(f"listening on http://{host}:{server.server_port}, Ctrl-C to end")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say.note("")
    finally:
        server.server_close()


def _handler_of(ear: Ear) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = READ_SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > BODY_BOUND:
                self.close_connection = True
                self._answer(413 if length.isdecimal() else 411)
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._answer(ear.hear(headers, self.rfile.read(int(length)), now_at=time.time()))

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's own name)
            """Say nothing: what arrived has been printed."""

    return Handler


def _pretty(body: bytes) -> str:
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        text = body.decode("utf-8", "replace")
    return "\n".join(say.clean(line) for line in text.splitlines())


def introduce(secret: str, host: str, port: int) -> None:
    """Print what to write into the config file so that webhooks arrive here."""
    print("# into the config file, then `systemctl reload pollhook` or a restart:", file=sys.stderr)
    print("[endpoints.default]", file=sys.stderr)
    print(f'url = "http://{host}:{port}/hooks/pollhook"', file=sys.stderr)
    print(f'secret = "{secret}"', file=sys.stderr, flush=True)
