"""The unit files, held to what DESIGN promises of them by systemd's own tools."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
SERVICE = (UNITS / "pollhook.service").read_text(encoding="utf-8")
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, timeout=30, check=False)


@needs_systemd
def test_the_service_is_exposed_by_one_and_a_half_at_most():
    answer = analyze("security", "--offline=true", "--no-pager", str(UNITS / "pollhook.service"))
    if "unrecognized option" in answer.stderr:
        pytest.skip("this systemd-analyze is older than 250 and cannot judge a file")

    exposure = re.search(r"Overall exposure level for pollhook\.service: ([\d.]+)", answer.stdout)

    assert exposure, answer.stderr
    assert float(exposure[1]) <= 1.5


@needs_systemd
def test_systemd_finds_no_mistake_in_the_units(tmp_path):
    runnable = SERVICE.replace("/opt/pollhook/bin/pollhook serve", "/bin/true")
    (tmp_path / "pollhook.service").write_text(runnable.replace("\n#LoadCredential=", "\nLoadCredential="))
    socket = (UNITS / "pollhook.socket").read_text(encoding="utf-8")
    (tmp_path / "pollhook.socket").write_text(re.sub(r"(?m)^#(SocketGroup|ListenStream)=", r"\1=", socket))

    answer = analyze("verify", str(tmp_path / "pollhook.service"), str(tmp_path / "pollhook.socket"))

    assert [line for line in answer.stderr.splitlines() if "pollhook" in line] == []


def test_every_hardening_line_has_a_reason():
    lines = SERVICE.partition("# --- hardening")[2].partition("[Install]")[0].splitlines()
    blocks = re.split(r"\n(?=#)", "\n".join(lines).strip())

    assert len(blocks) > 12
    assert all(block.startswith("#") for block in blocks[1:])


def test_the_runtime_directory_is_not_the_folder_of_the_socket():
    runtime = re.search(r"(?m)^RuntimeDirectory=(.*)$", SERVICE)

    assert runtime
    assert runtime[1] == "pollhook/daemon"
    assert "ListenStream=/run/pollhook/api.sock" in (UNITS / "pollhook.socket").read_text(encoding="utf-8")


def test_what_the_daemon_is_made_of_runs_without_writable_code():
    program = """
import ctypes, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0:  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
    sys.exit(77)
import mmap
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    pass
else:
    sys.exit(1)
import asyncio, sqlite3, ssl, aiohttp, aiosqlite, jmespath, prometheus_client, pydantic_settings, structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
Ed25519PrivateKey.generate().sign(b"x")
ssl.create_default_context()
async def main():
    async with aiosqlite.connect(":memory:") as database:
        await database.execute("create table a (b)")
try:
    from uvloop import run
except ImportError:
    from asyncio import run
run(main())
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode == 77:
        pytest.skip("this kernel is older than 6.3 and has no PR_SET_MDWE")

    assert answer.returncode == 0, answer.stderr
