"""A bare aiohttp server that parses a JSON body and does nothing with it: ``python -m benchmarks.bare``."""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import web

ANSWER = {"id": "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3", "status": "queued"}


async def take(request: web.Request) -> web.Response:
    """Parse the body and answer 201."""
    await request.json()
    return web.json_response(ANSWER, status=201)


async def _main() -> None:
    application = web.Application(client_max_size=16 * 2**20)
    application.router.add_post("/v1/tasks", take)
    application.router.add_post("/v1/tasks/batch", take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
