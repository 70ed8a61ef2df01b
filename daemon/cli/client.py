"""A small synchronous client of the local API, over TCP or a unix socket.

Whatever goes wrong becomes a Complaint that says what to do: nobody there, a socket one may not use, a wrong token, a
problem document.
"""

from __future__ import annotations

import grp
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from daemon import __version__
from daemon.cli.complaint import Complaint, misuse
from daemon.core.observation import Json

PATIENCE = 30.0
PAGE = 500
Object = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the daemon listens: a host and port, or the path of a unix socket."""

    host: str = "localhost"
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(text: str) -> Address:
    """Read ``127.0.0.1:8710``, ``http://127.0.0.1:8710``, ``[::1]:8710`` or ``unix:/path``."""
    if text.startswith("unix:"):
        return Address(path=text.removeprefix("unix:"))
    if "@" in text:
        raise misuse('--server takes no user and password: write "127.0.0.1:8710", and the token into $POLLHOOK_TOKEN')
    host, colon, port = text.removeprefix("http://").rstrip("/").rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise misuse(f'--server must read "127.0.0.1:8710" or "unix:/run/pollhook/api.sock", got "{text}"')
    return Address(host=host.strip("[]"), port=int(port))


class Api:
    """The daemon at *where*; *token_source* says in errors where the token came from."""

    def __init__(self, where: Address, token: str | None, token_source: str = "") -> None:
        self.where = where
        self._token = token
        self._token_source = token_source

    def get(self, path: str, *, patience: float = PATIENCE, **query: str | float | None) -> Object:
        """GET *path*; a query of None is left out."""
        return self.call("GET", path, query=query, patience=patience)

    def post(self, path: str, body: Json = None, headers: Mapping[str, str] | None = None) -> Object:
        """POST *body* to *path*."""
        return self.call("POST", path, body=body, headers=headers)

    def pages(self, path: str, *, limit: int | None, **query: str | float | None) -> Iterator[Object]:
        """Yield at most *limit* items of a list (all of them for None), page by page."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(left, PAGE)
            answer = self.call("GET", path, query={**query, "limit": size, "cursor": cursor})
            page = items(answer)
            yield from page
            left = None if left is None else left - len(page)
            following = answer.get("next")
            if not isinstance(following, str) or not page:
                return
            cursor = following

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Json = None,
        query: Mapping[str, str | float | None] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> Object:
        """Make one call and return its JSON object; raise Complaint for anything but 2xx."""
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{path}?{urlencode(asked)}" if asked else path
        content = None if body is None else json.dumps(body).encode()
        status, answer = self._exchange(method, target, content, headers or {}, patience)
        return self._read(status, answer)

    def text(self, path: str) -> str:
        """GET *path* as text; raise Complaint for anything but 2xx."""
        status, content = self._exchange("GET", path, None, {"Accept": "text/plain"}, PATIENCE)
        if status >= 300:
            self._read(status, content)
        return content.decode("utf-8", "replace")

    def _exchange(
        self, method: str, target: str, content: bytes | None, headers: Mapping[str, str], patience: float
    ) -> tuple[int, bytes]:
        connection = _Connection(self.where, patience)
        try:
            connection.request(method, target, content, self._headers(method, headers))
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error, patience) from None
        finally:
            connection.close()

    def _headers(self, method: str, headers: Mapping[str, str]) -> dict[str, str]:
        common = {"User-Agent": f"pollhook-cli/{__version__}", "Accept": "application/json"}
        if method != "GET":
            common["Content-Type"] = "application/json"
        if self._token is not None:
            common["Authorization"] = f"Bearer {self._token}"
        return common | dict(headers)

    def _read(self, status: int, content: bytes) -> Object:
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or (status >= 300 and "code" not in answer):
            raise self._stranger(f"HTTP {status}")
        if status == 401:
            source = f"it was read from {self._token_source}" if self._token else "none was found"
            hint = "`pollhook token --path` names the file; $POLLHOOK_TOKEN overrides it"
            raise Complaint(f"the daemon at {self.where} does not accept the API token: {source}", hint)
        if status >= 300:
            raise _problem(status, answer)
        return answer

    def _unreachable(self, error: Exception, patience: float) -> Complaint:
        if isinstance(error, PermissionError):
            return Complaint(f"you may not use the socket {self.where.path}", _admission(str(self.where.path)))
        if isinstance(error, http.client.BadStatusLine) and not isinstance(error, http.client.RemoteDisconnected):
            return self._stranger("no HTTP")
        if isinstance(error, TimeoutError):
            return Complaint(f"the daemon at {self.where} did not answer within {patience:g} s")
        if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
            return Complaint(f"no daemon at {self.where}: start it with `pollhook serve` or `systemctl start pollhook`")
        return Complaint(f"the daemon at {self.where} cannot be asked: {str(error) or type(error).__name__}")

    def _stranger(self, how: str) -> Complaint:
        hint = "another service has this port: say --server or $POLLHOOK_SERVER, or mend [server] listen"
        return Complaint(f"what listens at {self.where} does not answer like Pollhook ({how})", hint)


class _Connection(http.client.HTTPConnection):
    """An HTTP connection to an Address."""

    def __init__(self, where: Address, patience: float) -> None:
        super().__init__(where.host, where.port or None, timeout=patience)
        self._path = where.path

    def connect(self) -> None:
        """Connect to the socket file, where there is one."""
        if self._path is None:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _admission(path: str) -> str:
    """Return what lets somebody use the socket *path*: its group, as far as it can be seen."""
    try:
        group = grp.getgrgid(Path(path).stat().st_gid).gr_name
    except (OSError, KeyError):
        return "run this as its owner or as root (`ls -l` shows whose it is)"
    if group == "root":
        return "run this as root, or `pollhook install --group NAME --apply` to give it to a group"
    return f"join its group, as in `usermod -aG {group} $USER` and a new login, or run this as root"


def items(answer: Object) -> list[Object]:
    """Return the ``data`` of a list."""
    data = answer.get("data")
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def in_path(text: str) -> str:
    """Return *text* encoded as one segment of a path."""
    return quote(text, safe="")


def _problem(status: int, document: Object) -> Complaint:
    """Return a problem document (RFC 9457) as a complaint with a line for each bad field."""
    title, detail = document.get("title", f"HTTP {status}"), document.get("detail")
    fields = document.get("errors")
    hints = [_field(field) for field in fields] if isinstance(fields, list) else []
    text = str(title) if hints or not detail else f"{title}: {detail}"
    if "retry_after" in document:
        hints.append(f"ask again in {document['retry_after']} s")
    return Complaint(text, *hints)


def _field(error: Json) -> str:
    """Return one bad field as a line; a message that begins with the field's name says it once."""
    if not isinstance(error, dict):
        return str(error)
    name, message = str(error.get("field")), str(error.get("message"))
    return message if message.startswith(f"{name} ") else f"{name}: {message}"
