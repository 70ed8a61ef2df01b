"""The checks of the running daemon: is it there, may we ask it, and what does it say of its lanes and endpoints."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from daemon import __version__
from daemon.cli.client import Api, Object, items
from daemon.cli.complaint import Complaint
from daemon.cli.connect import connect
from daemon.cli.doctor.finding import Finding, error, note, ok, warning
from daemon.config import Settings

DAEMON, SOCKET = "daemon", "socket"


def sockets(settings: Settings) -> Iterator[Finding]:
    """Look at the unix sockets: a socket needs no token, so its file mode is all that guards it."""
    for path in (Path(text.removeprefix("unix:")) for text in settings.server.listen if text.startswith("unix:")):
        try:
            found = path.stat()
        except FileNotFoundError:
            yield note(SOCKET, f"no socket {path}: the daemon makes it when it starts")
        except OSError as failure:
            yield error(SOCKET, f"{path} cannot be looked at: {failure.strerror}", "mend the mode of its folder")
        else:
            yield _guarded(path, found.st_mode)


def daemon(server: str | None, config: Path | None) -> Iterator[Finding]:
    """Ask the daemon how it fares."""
    try:
        api = connect(server, config)
        version = api.get("/openapi.json")["info"]
    except Complaint as complaint:
        advice = "; ".join(complaint.hints) or "if it should run, `systemctl status pollhook` says why it does not"
        severe = warning if complaint.text.startswith("no daemon at") else error
        yield severe(DAEMON, complaint.text, advice)
        return
    told = str(version.get("version")) if isinstance(version, dict) else "unknown"
    if told == __version__:
        yield ok(DAEMON, f"runs, version {told}")
    else:
        yield warning(
            DAEMON, f"runs version {told}, this command is {__version__}", "restart it: `systemctl restart pollhook`"
        )
    try:
        yield from _health(api)
    except Complaint as complaint:
        yield error(DAEMON, complaint.text, "; ".join(complaint.hints) or "look into its log")


def _health(api: Api) -> Iterator[Finding]:
    for lane in items(api.get("/v1/providers")):
        if lane["state"] != "ok":
            yield error(DAEMON, f"lane {lane['name']} is {lane['state']}: {lane.get('reason')}", _for(lane))
        if lane.get("unknown_words"):
            words = ", ".join(map(str, lane["unknown_words"])) if isinstance(lane["unknown_words"], list) else ""
            advice = f"add them to [providers.{lane['name']}.status.states]"
            yield warning(DAEMON, f"lane {lane['name']} met status words it does not know: {words}", advice)
    for endpoint in items(api.get("/v1/endpoints")):
        name = endpoint["name"]
        if endpoint["state"] != "ok":
            advice = f"mend it, then `pollhook endpoint enable {name}`; nothing is lost meanwhile"
            yield error(DAEMON, f"endpoint {name} is {endpoint['state']}: {endpoint.get('reason')}", advice)
        if endpoint.get("dead"):
            advice = f"`pollhook deliveries --state dead --endpoint {name}` says why, `pollhook redeliver` sends again"
            yield warning(DAEMON, f"endpoint {name}: {endpoint['dead']} deliveries were given up", advice)


def _for(lane: Object) -> str:
    if "credential" in str(lane["state"]) or "parked" in str(lane["state"]):
        return "set the right api_key and `systemctl reload pollhook`; tasks wait meanwhile"
    return "it is probed and resumes by itself; `pollhook provider show` has its last errors"


def _guarded(path: Path, mode: int) -> Finding:
    if not stat.S_ISSOCK(mode):
        return error(SOCKET, f"{path} is no socket", "move it away, or name another path in [server] listen")
    if mode & 0o002:
        return error(SOCKET, f"everybody on this machine may use {path}, without a token", f"chmod 660 {path}")
    return ok(SOCKET, f"{path}: guarded by its mode ({stat.S_IMODE(mode):04o})")
