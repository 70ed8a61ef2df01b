"""Raw requests to the real daemon's API, mutated as bytes: refused or answered, never 500, never kept waiting.

No mutation makes a registration of a caller without the token.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
import uvloop

from tests.fuzz.answers import PIECES
from tests.fuzz.cases import Part, mutated_bytes, mutated_tree
from tests.soak.house import House, total

ANSWER_SECONDS = 20.0
GROWTH_MIB = 120.0
WORKERS = 8
FORMS = {
    "/v1/tasks": {"provider": "mine", "remote_id": "abc", "model": "m", "params": {"a": "b", "n": 3}, "metadata": {"order": [1, {"x": None}]},
                  "created_at": "2026-11-21T20:10:05Z", "deadline": "30m", "webhook": {"endpoint": "default"}, "events": ["terminal"],
                  "first_poll_after": "1h", "fetch_result": False, "save_outputs": False},
    "/v1/tasks/batch": {"tasks": [{"provider": "mine", "remote_id": "x"}, {"provider": "mine", "submission": {"id": "y"}}]},
    "/v1/endpoints/made": {"url": "https://example.com/hook", "headers": {"X-A": "b"}, "timeout": "20s", "schedule": ["5s", 10],
                           "events": ["task.*"], "providers": ["mine"], "where": "data.metadata.order > `10`", "rate": 5},
    "/v1/endpoints/default/replay": {"since": "2026-11-21T20:10:05Z", "states": ["dead"], "dry_run": True},
    "/v1/endpoints/made/rotate": {"kind": "secret", "grace": "1h"},
}  # fmt: skip
PATHS = ("/v1/tasks?limit=5", "/v1/tasks/tsk_00000000000000000000000000", "/v1/events?after=x&wait=0", "/v1/deliveries?state=dead", "/v1/endpoints",
         "/v1/providers/mine", "/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/events/msg_0/body", "/v1/tasks/%00/outputs/0", "*", "//",
         "/v1/tasks/../../etc/passwd", "/v1/tasks/%2e%2e%2f", "/%c0%ae", "/v1/tasks?cursor=" + "A" * 290)  # fmt: skip


def requests(part: Part, seconds: float, case: int | None) -> None:
    """Run it all."""
    with (
        tempfile.TemporaryDirectory(prefix="pollhook-fuzz-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_requests(part, seconds, case, Path(folder)))


def request(dice: random.Random, port: int, token: str) -> bytes:
    """Return one request: whole, or mutated as bytes; its body a form, or a mutated one."""
    ours = [f"Host: 127.0.0.1:{port}", f"Authorization: Bearer {token}"]
    if dice.random() < 0.6:
        path = dice.choice(sorted(FORMS))
        form = FORMS[path] if dice.random() < 0.3 else mutated_tree(dice, FORMS[path])
        body = json.dumps(form).encode("utf-8", "replace")
        if dice.random() < 0.4:
            body = mutated_bytes(dice, body)
        method = "PUT" if path.endswith("made") else "POST"
        lines = [f"{method} {path} HTTP/1.1", *ours, "Content-Type: application/json", f"Content-Length: {len(body)}"]
        if dice.random() < 0.2:
            lines.append(f"Idempotency-Key: {dice.choice(('k', '', 'x' * 300, chr(233)))}")
    else:
        body = b""
        lines = [
            f"{dice.choice(('GET', 'HEAD', 'DELETE', 'POST', 'OPTIONS', 'TRACE', 'CONNECT', 'PRI', 'get'))} {dice.choice(PATHS)} HTTP/1.1",
            *ours,
        ]
    whole = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body
    return whole if dice.random() < 0.5 else mutated_bytes(dice, whole, PIECES)


async def _requests(part: Part, seconds: float, case: int | None, folder: Path) -> None:
    house = House(folder, TABLES)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        try:
            await house.start(session)
            await _sweep(part, house, seconds, case)
        finally:
            await house.kill()


async def _sweep(part: Part, house: House, seconds: float, case: int | None) -> None:
    token = (house.folder / "api-token").read_text().strip()
    low, told, until, numbers = house.rss(), Counter(), time.monotonic() + seconds, iter(range(10**9))

    async def worker() -> None:
        while time.monotonic() < until and len(part.failures) < 20:
            number = next(numbers) if case is None else case
            began = time.monotonic()
            try:
                status = await _ask(
                    house.port, request(part.dice(number), house.port, token), 0.3 if number % 50 else 60
                )
            except TimeoutError:
                part.fail(number, f"no answer and no end in {ANSWER_SECONDS:g} s")
            else:
                told[status] += 1
                if status >= 500 and status not in (503, 505, 508):
                    part.fail(number, f"answered {status}")
            part.tried, part.slowest = part.tried + 1, max(part.slowest, time.monotonic() - began)
            if case is not None:
                return

    await asyncio.gather(*(worker() for _ in range(WORKERS if case is None else 1)))
    text, high = await house.metrics(), house.rss()
    part.facts |= {"told": dict(told), "RSS MiB before and after": (round(low), round(high)), "open": house.descriptors(),
                   "stalls over 50 ms": total(text, "pollhook_loop_stall_seconds_count")}  # fmt: skip
    status = await house.stop()
    log = house.log.read_text()
    if status != 0 or "Traceback" in log or total(text, "pollhook_work_crashes_total"):
        part.fail(case, f"exit {status}; {log[-1500:]}")
    if high - low > GROWTH_MIB:
        part.fail(case, f"memory grew from {low:.0f} to {high:.0f} MiB")


async def _ask(port: int, raw: bytes, patience: float) -> int:
    """Send *raw* and return the status answered, 0 where the line is closed unanswered.

    One that waits for more is told after *patience* seconds that no more comes; where that is long, it ends the wait.
    """
    async with asyncio.timeout(ANSWER_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(raw)
            await writer.drain()
            try:
                head = await asyncio.wait_for(reader.read(200), patience)
            except TimeoutError:
                writer.write_eof()
                head = await reader.read(200)
        except OSError:
            head = b""
        finally:
            writer.close()
    word = head.split(b" ", 2)[1:2]
    return int(word[0]) if word and word[0].isdigit() else 0


TABLES: dict[str, dict[str, object]] = {
    "endpoints.default": {"url": "http://127.0.0.1:9/hook", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    "delivery": {"schedule": ["1h"]},
    "providers.mine": {"api_key": "sk-0123456789abcdef", "base_url": "http://127.0.0.1:9/v1", "deadline": "1d"},
    "providers.mine.status": {"request": "GET /{id}", "state": "status"},
    "providers.mine.status.states": {"running": ["in_progress"], "succeeded": ["completed"]},
    "providers.mine.submission": {"id": "id"},
    "providers.mine.typical": {"duration": "6h"},
}
