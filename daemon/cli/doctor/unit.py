"""The checks of the systemd unit, where one is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping

from daemon.cli.doctor.finding import Finding, error, note, ok, warning
from daemon.config import Settings, files_needed

UNIT = "systemd"
ASKED = (
    "LoadState", "ActiveState", "SubState", "UnitFileState", "Type", "WatchdogUSec", "DynamicUser", "User", "Restart",
    "LimitNOFILE", "NeedDaemonReload", "NRestarts", "Result", "StateDirectory",
)  # fmt: skip
MEND = "compare it with the unit that ships, or put overrides into `systemctl edit pollhook`"


def unit(settings: Settings) -> Iterator[Finding]:
    """Look at pollhook.service as systemd has loaded it."""
    told = _properties()
    if told is None:
        yield note(UNIT, "no systemd here, or it cannot be asked")
    elif told.get("LoadState") != "loaded":
        yield note(UNIT, "pollhook.service is not installed", "to run it as a service see systemd/README.md")
    else:
        yield from judged(told, settings) or [ok(UNIT, f"pollhook.service is {told['ActiveState']}")]


def judged(told: Mapping[str, str], settings: Settings) -> list[Finding]:
    """Return what is wrong with a unit of these properties."""
    needed = files_needed(settings)
    files = told.get("LimitNOFILE", "infinity")
    found = [
        (told.get("NeedDaemonReload") == "yes", error, "its file changed and is not loaded", "systemctl daemon-reload"),
        (told.get("Result") not in ("success", None), error, f"it ended by {told.get('Result')}",
         "journalctl -u pollhook -n 50"),
        (not told.get("Type", "").startswith("notify"), warning, f"Type={told.get('Type')}: ready too early", MEND),
        (told.get("WatchdogUSec") in ("0", "infinity"), warning, "no watchdog: if it stalls, it stays so", MEND),
        (told.get("Restart") in ("no", ""), warning, "Restart=no: a crash ends it for good", MEND),
        (told.get("DynamicUser") != "yes" and told.get("User") in ("", "root"), warning, "it runs as root", MEND),
        (files.isdecimal() and int(files) < needed, error,
         f"LimitNOFILE={files}, but the configured bounds need {needed}", "raise it, or lower max_in_flight"),
        (told.get("UnitFileState") == "disabled", note, "it does not start at boot", "systemctl enable pollhook"),
        (int(told.get("NRestarts") or 0) > 3, warning, f"it was restarted {told.get('NRestarts')} times",
         "journalctl -u pollhook -p warning"),
    ]  # fmt: skip
    return [say(UNIT, f"pollhook.service: {text}", advice) for is_so, say, text, advice in found if is_so]


def _properties() -> dict[str, str] | None:
    if shutil.which("systemctl") is None:
        return None
    command = ["systemctl", "show", "pollhook.service", f"--property={','.join(ASKED)}"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 (fixed words)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if ran.returncode != 0:
        return None
    return dict(line.partition("=")[::2] for line in ran.stdout.splitlines())
