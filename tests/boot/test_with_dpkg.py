"""The Debian package in the booted machine: put in, put in anew, taken out. The last file, for nothing is left after it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.boot.installed import FORGET, LANE, UNITS
from tests.boot.machine import Machine

PACKAGE = os.environ.get("POLLHOOK_PACKAGE", "")
CHECKOUT = Path(__file__).parents[2]
STATE = "/var/lib/private/pollhook"
CREDENTIALS = "/etc/pollhook/credentials"
CONFIG = "/etc/pollhook/config.toml"
COMMAND = "/usr/bin/pollhook"
DROP_IN = "/etc/systemd/system/pollhook.service.d/ours.conf"
BY_HAND = "/etc/systemd/system/pollhook.service"
POLICY = "/usr/sbin/policy-rc.d"
BARE = (
    f"pollhook uninstall --apply --purge; dpkg --purge pollhook; umount {STATE}; {FORGET}; "
    f"rm -rf /opt/pollhook /etc/pollhook /usr/local/bin/pollhook {BY_HAND} {POLICY}; systemctl reset-failed"
)
KEY = "sk-of-the-package-0123456789"

pytestmark = [
    pytest.mark.skipif(not PACKAGE, reason="no package could be built for the Python of this Debian"),
    pytest.mark.timeout(300),
]


@pytest.fixture
def bare(machine: Machine) -> Machine:
    """The machine with nothing of Pollhook on it."""
    machine.run("sh", "-c", BARE, check=False)
    return machine


def put_in(machine: Machine, *options: str) -> str:
    """Install the package; return what was said beside what is usual."""
    return machine.run("dpkg", *options, "--install", PACKAGE).stderr


def add_lane(machine: Machine, name: str, *, key: bool = True) -> None:
    """Write a lane into the configuration, and its key into the folder of credentials."""
    with machine.inside(CONFIG).open("a") as config:
        config.write(f'\n[providers.{name}]\nbase_url = "http://127.0.0.1:9"\n')
    if key:
        machine.inside(f"{CREDENTIALS}/providers__{name}__api_key").write_text(KEY)


def state(machine: Machine) -> str:
    return machine.show("pollhook.service", "ActiveState")["ActiveState"]


def process(machine: Machine) -> str:
    return machine.show("pollhook.service", "MainPID")["MainPID"]


def is_kept(machine: Machine, task: str) -> bool:
    told = json.loads(machine.run(COMMAND, "task", task, "--json").stdout)
    return bool(told["status"] == "queued")


def test_an_installation_by_hand_is_not_mixed_with_and_goes_on_under_the_package_once_it_is_taken_away(machine):
    machine.run("sh", "-c", f"{FORGET}; rm -f {CONFIG}; pollhook install --apply --no-start")
    add_lane(machine, LANE)
    machine.run("systemctl", "start", *UNITS)
    watched = json.loads(machine.run("pollhook", "watch", LANE, "job-1", "--json").stdout)

    refused = machine.run("dpkg", "--install", PACKAGE, check=False)

    assert refused.returncode != 0
    assert "/opt/pollhook/pyvenv.cfg is there already, from an installation by hand" in refused.stderr
    assert state(machine) == "active"
    machine.run("sh", "-c", "pollhook uninstall --apply; rm -rf /opt/pollhook")
    put_in(machine, "--force-confold")
    assert state(machine) == "active"
    assert is_kept(machine, watched["id"])


def test_the_package_serves_goes_on_after_an_upgrade_and_leaves_what_is_ours_until_it_is_purged(bare):
    machine = bare
    put_in(machine)
    assert machine.show("pollhook.service", "ActiveState", "Type") == {"ActiveState": "active", "Type": "notify"}
    assert machine.run("stat", "--format=%a %U", CREDENTIALS).stdout.split() == ["700", "root"]
    assert machine.run("grep", "-rl", str(CHECKOUT), "/opt/pollhook", check=False).stdout == "", "where it was built"
    add_lane(machine, LANE)
    machine.run("systemctl", "restart", "pollhook")
    watched = json.loads(machine.run(COMMAND, "watch", LANE, "job-1", "--json").stdout)
    first = process(machine)

    put_in(machine)
    assert state(machine) == "active"
    assert process(machine) != first
    assert LANE in machine.inside(CONFIG).read_text()
    assert is_kept(machine, watched["id"])
    assert machine.run(COMMAND, "doctor", check=False).returncode in (0, 1)
    for deed in ("install", "uninstall"):
        told = machine.run(COMMAND, deed, "--apply", check=False)
        assert (told.returncode, "apt" in told.stderr) == (2, True), told

    second, good = process(machine), machine.inside(CONFIG).read_text()
    machine.inside(CONFIG).write_text(good + "\n[pollling]\nprice = 1\n")
    said = put_in(machine)
    assert "pollling" in said
    assert "it still runs as it was before the upgrade" in said
    assert (state(machine), process(machine)) == ("active", second)
    machine.inside(CONFIG).write_text(good)

    machine.run("dpkg", "--remove", "pollhook")
    assert state(machine) == "inactive"
    assert not machine.inside("/opt/pollhook/bin/pollhook").exists()
    assert machine.inside(f"{STATE}/pollhook.db").exists()
    assert LANE in machine.inside(CONFIG).read_text()

    put_in(machine)
    found = machine.show("pollhook.service", "ActiveState", "UnitFileState")
    assert found == {"ActiveState": "active", "UnitFileState": "enabled"}
    assert is_kept(machine, watched["id"])

    machine.run("dpkg", "--purge", "pollhook")
    assert not machine.inside(STATE).exists()
    assert not machine.inside("/etc/pollhook").exists()


def test_an_upgrade_judges_the_configuration_by_what_a_start_would_be_given(bare):
    machine = bare
    put_in(machine)
    machine.inside(DROP_IN).parent.mkdir(exist_ok=True)
    machine.inside("/etc/key-elsewhere").write_text(KEY)
    machine.inside(DROP_IN).write_text(
        "[Service]\n"
        f'Environment=POLLHOOK_PROVIDERS__AMUX__API_KEY={KEY} "POLLHOOK_LOG__FORMAT=json"\n'
        f"LoadCredential=providers__{LANE}__api_key:/etc/key-elsewhere\n"
    )
    add_lane(machine, "amux", key=False)
    add_lane(machine, LANE, key=False)
    machine.run("sh", "-c", "systemctl daemon-reload && systemctl restart pollhook")
    first = process(machine)
    add_lane(machine, "modelmax")

    said = put_in(machine)

    second = process(machine)
    assert (state(machine), "still runs" in said, second != first) == ("active", False, True), said
    machine.inside(f"{CREDENTIALS}/providers__modelmax__api_key").unlink()
    said = put_in(machine)
    assert (state(machine), process(machine)) == ("active", second)
    assert "provider modelmax has no api_key" in said
    assert machine.run("sh", "-c", "ls -d /run/pollhook.*", check=False).stdout == ""


def test_what_the_administrator_has_stopped_or_forbidden_stays_so(bare):
    machine = bare
    machine.inside(POLICY).write_text("#!/bin/sh\nexit 101\n")
    machine.inside(POLICY).chmod(0o755)
    put_in(machine)
    found = machine.show("pollhook.service", "ActiveState", "UnitFileState")
    assert found == {"ActiveState": "inactive", "UnitFileState": "enabled"}, "policy-rc.d forbids a start"
    machine.inside(POLICY).unlink()

    machine.run("systemctl", "disable", "--now", *UNITS)
    put_in(machine)
    found = machine.show("pollhook.service", "ActiveState", "UnitFileState")
    assert found == {"ActiveState": "inactive", "UnitFileState": "disabled"}

    machine.run("dpkg", "--purge", "pollhook")
    machine.run("systemctl", "mask", "pollhook.service")
    put_in(machine)
    assert machine.show("pollhook.service", "LoadState", "ActiveState") == {
        "LoadState": "masked",
        "ActiveState": "inactive",
    }
    machine.run("dpkg", "--purge", "pollhook")
    assert machine.inside(BY_HAND).is_symlink(), "the mask is the administrator's"


def test_a_purge_spares_what_an_installation_by_hand_has_taken_over(bare):
    machine = bare
    put_in(machine)
    machine.run("dpkg", "--remove", "pollhook")
    machine.inside(BY_HAND).write_text("[Service]\nExecStart=/bin/true\n")

    said = machine.run("dpkg", "--purge", "pollhook").stderr

    assert "from an installation by hand" in said
    assert machine.inside(f"{STATE}/pollhook.db").exists()
    assert machine.inside(CREDENTIALS).exists()
    machine.inside(BY_HAND).unlink()


def test_a_purge_ends_where_the_state_has_a_disk_of_its_own(bare):
    machine = bare
    machine.run("sh", "-c", f"mkdir -p {STATE} && mount -t tmpfs none {STATE}")
    put_in(machine)
    machine.run("dpkg", "--purge", "pollhook")

    assert list(machine.inside(STATE).iterdir()) == []
    assert machine.run("dpkg-query", "--show", "pollhook", check=False).returncode != 0
    machine.run("umount", STATE)
