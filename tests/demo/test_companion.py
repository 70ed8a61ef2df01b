"""Companions are real processes that tell where they listen and end with their parent."""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp
import pytest

from daemon.core.signing import encode_secret
from daemon.demo.companion import CompanionLost, companion

SECRET = encode_secret(bytes(32))


async def test_the_providers_and_the_receiver_run_as_processes_of_their_own():
    async with (
        companion("daemon.demo.providers", {"seed": 3, "server_error": 1.0}) as told,
        companion("daemon.demo.receiver", {"secret": SECRET}) as receiver,
        aiohttp.ClientSession() as session,
    ):
        amux = told["base_urls"]["amux"]
        headers = {"Authorization": f"Bearer {told['keys']['amux']}"}
        async with session.post(f"{amux}/v1/video/generations", json={"model": "sora-2"}, headers=headers) as response:
            submitted = await response.json()
        async with session.get(f"{amux}/v1/videos/{submitted['task_id']}", headers=headers) as response:
            assert response.status in (500, 502, 503)
        async with session.post(receiver["url"], data=b"{}") as response:
            assert response.status == 400


async def test_a_companion_that_cannot_start_is_told():
    with pytest.raises(CompanionLost, match="did not start"):
        async with companion("daemon.demo.receiver", {}):
            pass


async def test_a_companion_ends_when_its_parent_is_gone():
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daemon.demo.receiver", stdin=pipe, stdout=pipe
    )
    process.stdin.write(json.dumps({"secret": SECRET}).encode() + b"\n")
    await process.stdout.readline()

    process.stdin.close()

    assert await asyncio.wait_for(process.wait(), 10) == 0
