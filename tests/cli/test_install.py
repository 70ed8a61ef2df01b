"""``pollhook install``: what it prints, what it lays down, and whom it refuses. A real systemd: tests/boot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from daemon.cli.complaint import Complaint
from daemon.cli.installation import Plan, shipped
from daemon.cli.steps import Folder, Link, Written
from daemon.cli.whole import app

PROGRAM = Path("/opt/pollhook/bin/pollhook")


def take(plan: Plan) -> list[str]:
    return [step.take() for step in plan.steps()]


def test_a_second_installation_changes_nothing_and_keeps_what_a_person_wrote(tmp_path):
    plan = Plan(program=PROGRAM, root=tmp_path, group="app", systemd=257)
    first = take(plan)
    config = tmp_path / "etc/pollhook/config.toml"
    config.write_text("[polling]\nprice = 1.0\n")

    again = take(plan)

    assert all(said.startswith(("made", "wrote", "linked")) for said in first), first
    assert all(said.startswith(("as it was", "kept")) for said in again), again
    assert config.read_text() == "[polling]\nprice = 1.0\n"
    assert (tmp_path / "etc/pollhook/credentials").stat().st_mode & 0o777 == 0o700
    system = tmp_path / "etc/systemd/system"
    assert "SocketGroup=app" in (system / "pollhook.socket.d/10-group.conf").read_text()


def test_a_unit_that_somebody_changed_is_kept_beside_the_new_one(tmp_path):
    plan = Plan(program=PROGRAM, root=tmp_path)
    take(plan)
    unit = tmp_path / "etc/systemd/system/pollhook.service"
    unit.write_text("[Service]\n")

    said = take(plan)

    assert any("what it was is in" in line for line in said)
    assert unit.with_name("pollhook.service.before").read_text() == "[Service]\n"
    assert unit.read_text() == shipped("pollhook.service").read_text()


def test_the_unit_starts_the_program_that_installed_it(tmp_path):
    take(Plan(program=Path("/srv/python/bin/pollhook"), root=tmp_path))

    unit = (tmp_path / "etc/systemd/system/pollhook.service").read_text()

    assert "ExecStart=/srv/python/bin/pollhook serve" in unit
    assert "/opt/pollhook" not in unit


def test_what_is_printed_lays_down_the_same_files(tmp_path):
    applied, printed = tmp_path / "applied", tmp_path / "printed"
    applied.mkdir()
    printed.mkdir()
    take(Plan(program=PROGRAM, root=applied, group="app", systemd=257))
    script = "\n".join(step.shell() for step in Plan(program=PROGRAM, root=printed, group="app", systemd=257).steps())
    (printed / "usr/local/bin").mkdir(parents=True)

    subprocess.run(["sh", "-ec", script], check=True, timeout=30)

    def seen(root: Path) -> dict[str, tuple[int, str]]:
        files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
        return {str(path.relative_to(root)): (path.stat().st_mode, path.read_text()) for path in files}

    assert seen(printed) == seen(applied)
    assert (printed / "usr/local/bin/pollhook").readlink() == PROGRAM


@pytest.mark.parametrize("command", ["install", "uninstall"])
@pytest.mark.parametrize("apply", [[], ["--apply"]])
def test_what_a_package_has_installed_is_the_packages_to_change(tmp_path, command, apply):
    unit = tmp_path / "usr/lib/systemd/system/pollhook.service"
    unit.parent.mkdir(parents=True)
    unit.touch()

    refused = CliRunner().invoke(app, [command, "--root", str(tmp_path), *apply]).exception

    assert isinstance(refused, Complaint)
    assert (refused.status, str(unit) in refused.text, "apt" in refused.hints[0]) == (2, True, True)
    assert "purge" not in refused.hints[0], "that would take the tasks"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [unit]


def test_removal_leaves_the_configuration_unless_it_is_purged(tmp_path):
    plan = Plan(program=PROGRAM, root=tmp_path, systemd=257)
    take(plan)

    for step in plan.removal(is_purged=False):
        step.take()

    assert [path.name for path in (tmp_path / "etc/systemd/system").iterdir()] == []
    assert not os.path.lexists(tmp_path / "usr/local/bin/pollhook")
    assert (tmp_path / "etc/pollhook/config.toml").exists()
    for step in plan.removal(is_purged=True):
        step.take()
    assert not (tmp_path / "etc/pollhook").exists()


def test_a_link_of_somebody_elses_stays(tmp_path):
    path = tmp_path / "pollhook"
    path.symlink_to("/bin/true")

    assert "left alone" in Link(path=path, target=PROGRAM).take()
    assert path.readlink() == Path("/bin/true")


@pytest.mark.parametrize(
    "program", ["/home/ann/.local/bin/pollhook", "/root/venv/bin/pollhook", "/tmp/venv/bin/pollhook"]
)
def test_a_program_that_the_sandbox_hides_is_refused_with_a_way_out(program):
    with pytest.raises(Complaint) as refused:
        Plan(program=Path(program)).steps()

    assert program in refused.value.text
    assert any("/opt/pollhook" in hint for hint in refused.value.hints)


def test_an_old_systemd_is_refused():
    with pytest.raises(Complaint, match="systemd 247 is too old"):
        Plan(program=PROGRAM, systemd=247).steps()


def test_a_group_with_odd_letters_is_refused():
    done = CliRunner().invoke(app, ["install", "--group", "a b; rm -rf /"])

    assert isinstance(done.exception, Complaint)
    assert "small letters" in done.exception.text


def test_a_folder_that_is_there_gets_its_mode(tmp_path):
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o755)

    assert Folder(path=folder, mode=0o700).take().startswith("made")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    target = tmp_path / "file"
    Written(path=target, text="a\n", made_by="true").take()

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.stat().st_mode & 0o777 == 0o644
