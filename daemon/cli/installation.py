"""What an installation under systemd consists of: units, folders, a configuration, and the order they come in."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from daemon.cli.complaint import Complaint, Exit
from daemon.cli.steps import Command, Folder, Gone, Link, Step, Written

OLDEST_SYSTEMD = 250
PROGRAM = "/opt/pollhook/bin/pollhook"
UNITS = ("pollhook.socket", "pollhook.service")
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 (where the unit's sandbox shows nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be installed where: *program* is what the unit starts, *group* who may use the socket.

    *root* stands before every path; where it is not ``/`` nothing is run, as when a package or an image is built.
    """

    program: Path
    root: Path = Path("/")
    group: str | None = None
    systemd: int = OLDEST_SYSTEMD
    is_started: bool = True

    def steps(self) -> list[Step]:
        """Return all steps, in order.

        Raises Complaint where systemd could not run *program*, or a package holds the units.
        """
        if self.systemd < OLDEST_SYSTEMD:
            raise Complaint(
                f"systemd {self.systemd} is too old; the units need {OLDEST_SYSTEMD} or newer (Debian 12 has 252)",
                status=Exit.NOT_STARTED,
            )
        self._require_no_package(
            "apt remove pollhook, and run this again, to have it from this program instead; configuration and tasks",
            "stay (do not purge it then: that would take /etc/pollhook/config.toml along)",
        )
        _require_visible(self.program)
        etc = self.root / "etc/pollhook"
        return [
            Folder(path=etc, mode=0o755),
            Folder(path=etc / "credentials", mode=0o700),
            self._config(etc / "config.toml"),
            *(self._unit(name) for name in UNITS),
            *self._drop_ins(),
            Link(path=self.root / "usr/local/bin/pollhook", target=self.program),
            *(self._commands() if self.root == Path("/") else ()),
        ]

    def removal(self, *, is_purged: bool) -> list[Step]:
        """Return the steps that undo it; the configuration and the state stay unless *is_purged*.

        Raises Complaint where a package holds the units.
        """
        self._require_no_package(f"apt {'purge' if is_purged else 'remove'} pollhook, to take it away")
        system = self.root / "etc/systemd/system"
        on = self.root == Path("/")
        return [
            *([Command(("systemctl", "disable", "--now", *UNITS), is_needed=False)] if on else []),
            *(Gone(path=system / name) for name in UNITS),
            *(Gone(path=system / f"{name}.d", everything=True) for name in UNITS),
            *self._unlink(self.root / "usr/local/bin/pollhook"),
            *([Command(("systemctl", "daemon-reload"))] if on else []),
            *(self._purge() if is_purged else []),
        ]

    def _require_no_package(self, *advice: str) -> None:
        """Raise Complaint where a package brought the units, which others would shadow, or a removal disable."""
        unit = self.root / "usr/lib/systemd/system/pollhook.service"
        if unit.exists():
            raise Complaint(f"a package has installed Pollhook here: {unit} is its unit", *advice, status=Exit.USAGE)

    def _unlink(self, link: Path) -> list[Step]:
        return [Gone(path=link)] if link.is_symlink() and link.readlink() == self.program else []

    def _purge(self) -> list[Step]:
        places = ("etc/pollhook", "var/lib/private/pollhook", "var/lib/pollhook")
        return [Gone(path=self.root / place, everything=True) for place in places]

    def _config(self, path: Path) -> Written:
        example = shipped("config.example.toml")
        text = example.read_text(encoding="utf-8")
        return Written(path=path, text=text, made_by=f"cat {shlex.quote(str(example))}", is_yours=True)

    def _unit(self, name: str) -> Written:
        source = shipped(name)
        text = source.read_text(encoding="utf-8").replace(PROGRAM, str(self.program))
        made_by = f"sed {shlex.quote(f's|{PROGRAM}|{self.program}|g')} {shlex.quote(str(source))}"
        return Written(path=self.root / "etc/systemd/system" / name, text=text, made_by=made_by)

    def _drop_ins(self) -> list[Written]:
        if self.group is None:
            return []
        path = self.root / "etc/systemd/system/pollhook.socket.d/10-group.conf"
        text = f"[Socket]\nSocketGroup={self.group}\n"
        return [Written(path=path, text=text, made_by=f"printf %s {shlex.quote(text)}")]

    def _commands(self) -> list[Command]:
        make_group = [] if self.group is None else [Command(("groupadd", "--force", "--system", self.group))]
        enable = ["enable", "--now"] if self.is_started else ["enable"]
        return [
            *make_group,
            Command(("systemctl", "daemon-reload")),
            Command(("systemctl", *enable, *UNITS)),
        ]


def shipped(name: str) -> Path:
    """Return a file that comes with Pollhook: inside the wheel, or in the checkout of an editable installation."""
    package = Path(str(files("daemon")))
    places = (package / "shipped" / name, package.parent / "systemd" / name, package.parent / name)
    for place in places:
        if place.is_file():
            return place
    raise Complaint(f"{name} is missing from this installation of Pollhook; install the wheel again")


def own_program() -> Path:
    """Return the ``pollhook`` of this installation."""
    beside = Path(sys.prefix) / "bin" / "pollhook"
    return beside if beside.exists() else Path(sys.argv[0]).resolve()


def _require_visible(program: Path) -> None:
    """Raise Complaint where the service, sandboxed and under a user of its own, could not run *program*."""
    advice = (
        "install it where every user may read it, and go on from there:",
        "  python3 -m venv /opt/pollhook && /opt/pollhook/bin/pip install 'pollhook[fast]'",
        "  /opt/pollhook/bin/pollhook install",
    )
    for place in {program, program.resolve()}:
        if any(place.is_relative_to(hidden) for hidden in HIDDEN):
            raise Complaint(f"the service could not run {place}: its sandbox hides that folder", *advice)
        for folder in place.parents:
            if folder.exists() and not folder.stat().st_mode & 0o001:
                raise Complaint(f"the service could not run {program}: {folder} is closed to other users", *advice)
