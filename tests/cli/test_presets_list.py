"""`pollhook provider list --presets` says what ships and what each definition rests on, without a daemon."""

from __future__ import annotations

import json
import subprocess
import sys


def test_every_preset_is_listed_with_its_evidence_and_source() -> None:
    command = [sys.executable, "-m", "daemon", "provider", "list", "--presets", "--json"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    listed = {row["name"]: row for row in map(json.loads, said.splitlines())}
    assert {"amux", "mixroute", "modelmax", "seacloud", "token360"} <= set(listed)
    assert {row["evidence"] for row in listed.values()} <= {
        "documented", "sdk", "code", "third-party", "unverified",
    }  # fmt: skip
    assert all(row["docs"].startswith("http") or row["docs"] == "" for row in listed.values())
