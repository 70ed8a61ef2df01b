"""The receivers of the docs take what we send and refuse what is forged, each in its own runtime."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.core.delivery import DeliveryState
from daemon.demo.ports import free_port
from daemon.webhooks.keys import new_secret
from tests.delivery.conftest import SECRET

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "receivers"
PYTHON = ROOT / "build" / "receivers" / "bin" / "python"
MODULES = ROOT / "build" / "verifiers" / "node_modules"
READY = 20.0


def command(name: str, folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return how the example *name* is started, or skip where its runtime or packages are missing."""
    file = EXAMPLES / name
    if file.suffix == ".py":
        if not PYTHON.exists():
            pytest.skip("build/receivers is missing, so the Python examples were not run: `make receivers`")
        return [str(PYTHON), str(file)], {}
    if file.suffix == ".js":
        if shutil.which("node") is None or not MODULES.is_dir():
            pytest.skip("node or build/verifiers is missing, so the Express example was not run: `make verifiers`")
        return ["node", str(file)], {"NODE_PATH": str(MODULES)}
    if shutil.which("go") is None:
        pytest.skip("no Go here, so the Go example was not run")
    shutil.copy(file, folder)
    for words in (("mod", "init", "receiver"), ("mod", "tidy"), ("build", "-o", "receiver")):
        if subprocess.run(["go", *words], cwd=folder, capture_output=True, check=False).returncode:
            pytest.skip(f"`go {' '.join(words)}` failed, so the Go example was not run: is its library to be had?")
    return [str(folder / "receiver")], {}


async def listening(port: int) -> None:
    async with asyncio.timeout(READY):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


@pytest.mark.e2e
@pytest.mark.parametrize(
    "name", ["aiohttp_receiver.py", "fastapi_receiver.py", "flask_receiver.py", "express_receiver.js", "receiver.go"]
)
async def test_the_example(outgoing, name, tmp_path):
    words, more = command(name, tmp_path)
    port = free_port()
    environ = os.environ | more | {"POLLHOOK_SECRET": SECRET, "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        *words, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        await listening(port)
        url = f"http://127.0.0.1:{port}/hooks/pollhook"
        tables = {"endpoints": {"good": {"url": url, "secret": SECRET}, "forged": {"url": url, "secret": new_secret()}}}
        async with outgoing("http://127.0.0.1:9/", tables=tables) as rig:
            taken, _ = await rig.attempted(await rig.publish("good", prompt="café ☃", outputs=[]))
            _, (refused,) = await rig.attempted(await rig.publish("forged"))
        async with asyncio.timeout(10):
            while b"task.succeeded" not in await process.stdout.readline():
                assert not process.stdout.at_eof(), "it ended without a word of the event"
    finally:
        process.kill()
        await process.wait()

    assert taken.state is DeliveryState.DELIVERED
    assert refused.http_status == 401
