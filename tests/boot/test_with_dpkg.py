"""The Debian package in the booted machine: put in, put in anew, taken out. The last file, for nothing is left after it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.boot.installed import FORGET, LANE

PACKAGE = os.environ.get("POLLHOOK_PACKAGE", "")
CHECKOUT = Path(__file__).parents[2]
STATE = "/var/lib/private/pollhook/pollhook.db"
CREDENTIALS = "/etc/pollhook/credentials"
CONFIG = "/etc/pollhook/config.toml"
COMMAND = "/usr/bin/pollhook"


@pytest.mark.skipif(not PACKAGE, reason="no package could be built for the Python of this Debian")
@pytest.mark.timeout(300)
def test_the_package_serves_goes_on_after_an_upgrade_and_leaves_what_is_ours_until_it_is_purged(machine):
    refused = machine.run("dpkg", "--install", PACKAGE, check=False)
    assert refused.returncode != 0
    assert "/opt/pollhook/pyvenv.cfg is there already, from an installation by hand" in refused.stderr
    machine.run("pollhook", "uninstall", "--apply", "--purge", check=False)
    machine.run("sh", "-c", f"{FORGET}; rm -rf /opt/pollhook /etc/pollhook /usr/local/bin/pollhook")

    machine.run("dpkg", "--install", PACKAGE)
    assert machine.show("pollhook.service", "ActiveState", "Type") == {"ActiveState": "active", "Type": "notify"}
    assert machine.run("stat", "--format=%a %U", CREDENTIALS).stdout.split() == ["700", "root"]
    assert machine.run("grep", "-rl", str(CHECKOUT), "/opt/pollhook", check=False).stdout == "", "where it was built"
    machine.inside(f"{CREDENTIALS}/providers__{LANE}__api_key").write_text("sk-of-the-package-0123456789")
    with machine.inside(CONFIG).open("a") as config:
        config.write(f'\n[providers.{LANE}]\nbase_url = "http://127.0.0.1:9"\n')
    machine.run("systemctl", "restart", "pollhook")
    watched = json.loads(machine.run(COMMAND, "watch", LANE, "job-1", "--json").stdout)
    first = machine.show("pollhook.service", "MainPID")

    machine.run("dpkg", "--install", PACKAGE)
    assert machine.show("pollhook.service", "ActiveState") == {"ActiveState": "active"}
    assert machine.show("pollhook.service", "MainPID") != first
    assert LANE in machine.inside(CONFIG).read_text()
    assert json.loads(machine.run(COMMAND, "task", watched["id"], "--json").stdout)["status"] == "queued"
    assert machine.run(COMMAND, "doctor", check=False).returncode in (0, 1)
    for deed in ("install", "uninstall"):
        told = machine.run(COMMAND, deed, "--apply", check=False)
        assert (told.returncode, "apt" in told.stderr) == (2, True), told

    second, good = machine.show("pollhook.service", "MainPID"), machine.inside(CONFIG).read_text()
    machine.inside(CONFIG).write_text(good + "\n[pollling]\nprice = 1\n")
    upgraded = machine.run("dpkg", "--install", PACKAGE)
    assert "pollling" in upgraded.stderr
    assert "it still runs as it was before the upgrade" in upgraded.stderr
    assert machine.show("pollhook.service", "ActiveState", "MainPID") == {"ActiveState": "active"} | second
    machine.inside(CONFIG).write_text(good)

    machine.run("dpkg", "--remove", "pollhook")
    assert machine.show("pollhook.service", "ActiveState") == {"ActiveState": "inactive"}
    assert not machine.inside("/opt/pollhook/bin/pollhook").exists()
    assert machine.inside(STATE).exists()
    assert LANE in machine.inside(CONFIG).read_text()

    machine.run("dpkg", "--install", PACKAGE)
    state = machine.show("pollhook.service", "ActiveState", "UnitFileState")
    assert state == {"ActiveState": "active", "UnitFileState": "enabled"}
    assert json.loads(machine.run(COMMAND, "task", watched["id"], "--json").stdout)["status"] == "queued"

    machine.run("dpkg", "--purge", "pollhook")
    assert not machine.inside("/var/lib/private/pollhook").exists()
    assert not machine.inside("/etc/pollhook").exists()
