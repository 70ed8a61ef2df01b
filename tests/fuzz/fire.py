"""The real daemon between a provider and a receiver that answer anything but what they should; then both come to reason.

While they rave, nothing may end, crash, grow or stall; afterwards every task ends as the provider then says and every
event arrives. Each mad answer has a number, so that one of them can be sent alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
import uvloop

from tests.fuzz.answers import Script, script
from tests.fuzz.cases import Part
from tests.soak.house import House, total

LANES = 10  # a mad Retry-After holds the whole lane
TASKS = 50
BLAMING = 60.0  # a run this long has a lane whose key is refused, too: it comes back slowly
CALM = 2  # good answers between two mad ones, so that no breaker opens and few try in vain
GROWTH_MIB = 160.0
ANSWER_SECONDS = 2.0
STALL_SECONDS = 1.0
RUNNING = {"status": "in_progress", "progress": 0.5, "detail": {"queue": [1, 2, {"eta": None}]}, "note": "é\u20ac"}


class Mad:
    """A server: mad answers while ``is_mad``, *sane* ones afterwards."""

    def __init__(self, part: Part, body: object, sane: bytes, calm: bytes, case: int | None, **options: bool) -> None:
        self.part, self.body, self.sane, self.calm, self.case, self.options = part, body, sane, calm, case, options
        self.is_mad = True
        self.count = self.turns = 0
        self.asked: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = {}

    def next_script(self) -> Script:
        """Return the next mad answer."""
        number = self.count if self.case is None else self.case
        self.count += 1
        return script(self.part.dice(number), self.body, **self.options)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(dict(_fields(head)).get("content-length", "0"))
            body = await reader.readexactly(size)
            self.note(head, body)
            self.turns += 1
            if not self.is_mad or self.turns % (CALM + 1):
                writer.write(self.calm if self.is_mad else self.sane)
                await writer.drain()
                return
            for piece, pause in self.next_script():
                if pause:
                    await asyncio.sleep(pause)
                if piece is None:
                    await reader.read(1)  # until the other side has had enough
                    return
                writer.write(piece)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, RuntimeError):  # uvloop says the last of a line that was closed
            pass
        finally:
            writer.close()

    def note(self, head: bytes, body: bytes) -> None:
        """Keep what was asked."""
        fields = dict(_fields(head))
        self.asked[head.split(b" ", 2)[1].decode("latin-1")] += 1
        if "webhook-id" in fields:
            self.bodies.setdefault(fields["webhook-id"], set()).add(body)


def _fields(head: bytes):
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        yield name.lower(), value.strip()


def fire(part: Part, seconds: float, case: int | None) -> None:
    """Run it all."""
    with (
        tempfile.TemporaryDirectory(prefix="pollhook-fuzz-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_fire(part, seconds, case, Path(folder)))


async def _fire(part: Part, seconds: float, case: int | None, folder: Path) -> None:
    done, going = _told({"status": "completed", "url": "https://cdn.example.com/v.mp4"}), _told(RUNNING)
    taken = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    wanted = {f"lane{n}": n == 0 and seconds >= BLAMING for n in range(LANES)}
    lanes = {name: Mad(part, RUNNING, done, going, case, may_blame_key=blames) for name, blames in wanted.items()}
    receiver = Mad(part, {"ok": True}, taken, taken, case, may_blame_key=True)
    servers = [
        await asyncio.start_server(mad.serve, "127.0.0.1", 0, limit=2**20) for mad in (*lanes.values(), receiver)
    ]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    house = House(folder, _tables(dict(zip(lanes, ports, strict=False)), ports[-1]))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        try:
            await house.start(session)
            await _rave(part, house, lanes, receiver, seconds)
            await _heal(part, house, lanes, receiver)
        except Exception as failure:
            part.fail(None, f"{type(failure).__name__}: {failure!s:.500}; log: {house.log.read_text()[-1500:]}")
        finally:
            await house.kill()
            for server in servers:
                server.close()


def _told(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)


async def _rave(part: Part, house: House, lanes: dict[str, Mad], receiver: Mad, seconds: float) -> None:
    for name in lanes:
        forms = [
            {"provider": name, "remote_id": f"{name}-{n}", "first_poll_after": 0, "webhook": {"endpoint": "default"}}
            for n in range(TASKS)
        ]
        status, answer = await house.call("POST", "/v1/tasks/batch", {"tasks": forms})
        assert {item["status"] for item in answer["data"]} == {201}, (status, answer)
    low, high, slow, until = house.rss(), 0.0, 0.0, time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        status, _ = await house.call("GET", "/v1/providers")
        slow = max(slow, time.monotonic() - began)
        assert status == 200
        for _ in range(10):
            await house.call("POST", "/v1/endpoints/default/test")
        high = max(high, house.rss())
        await asyncio.sleep(0.1)
    text = await house.metrics()
    ended = total(text, "pollhook_task_endings_total")
    part.tried = receiver.count + sum(mad.count for mad in lanes.values())
    part.slowest = slow
    stalled = total(text, "pollhook_loop_stall_seconds_count") - total(
        text, "pollhook_loop_stall_seconds_bucket", 'le="1.0"'
    )
    part.facts |= {
        "answers to polls": sum(mad.count for mad in lanes.values()), "answers to webhooks": receiver.count,
        "RSS MiB before and at most": (round(low), round(high)), "open at the end": house.descriptors(),
        "stalls over 50 ms": total(text, "pollhook_loop_stall_seconds_count"),
        "stalled seconds": round(total(text, "pollhook_loop_stall_seconds_sum"), 2),
        "slowest API call": round(slow, 3), "misses": _misses(text),
    }  # fmt: skip
    if ended:
        part.fail(None, f"{ended:.0f} tasks ended while nothing said that they had")
    if high - low > GROWTH_MIB:
        part.fail(None, f"memory grew from {low:.0f} to {high:.0f} MiB")
    if stalled or slow > ANSWER_SECONDS:
        part.fail(None, f"{stalled:.0f} stalls over {STALL_SECONDS} s, slowest API call {slow:.2f} s")


async def _heal(part: Part, house: House, lanes: dict[str, Mad], receiver: Mad) -> None:
    for mad in (*lanes.values(), receiver):
        mad.is_mad = False
    await house.call("POST", "/v1/endpoints/default/enable")
    until = time.monotonic() + 60
    while time.monotonic() < until:
        text = await house.metrics()
        _, pending = await house.call("GET", "/v1/deliveries?state=pending")
        _, parked = await house.call("GET", "/v1/deliveries?state=parked")
        live = total(text, "pollhook_tasks_watched")
        if live == 0 and not pending["data"] and not parked["data"]:
            break
        await asyncio.sleep(0.5)
    else:
        part.fail(
            None, f"not well after 60 s: {live:.0f} live, {len(pending['data'])} pending, {len(parked['data'])} parked"
        )
    _, page = await house.call("GET", "/v1/tasks?limit=500")
    odd = Counter(task["status"] for task in page["data"])
    if set(odd) != {"succeeded"} and not part.failures:
        part.fail(None, f"tasks ended as {dict(odd)}")
    changed = [event for event, bodies in receiver.bodies.items() if len(bodies) > 1]
    if changed:
        part.fail(None, f"bytes of {changed[:3]} changed between attempts")
    crashed = total(await house.metrics(), "pollhook_work_crashes_total")
    status = await house.stop()
    log = house.log.read_text()
    if crashed or status != 0 or "Traceback" in log or "work.crashed" in log:
        part.fail(None, f"{crashed:.0f} crashes, exit {status}; log: {_bad(log)}")


def _bad(log: str) -> str:
    lines = [line for line in log.splitlines() if "Traceback" in line or "crashed" in line or '"error"' in line]
    return "\n".join(lines[:3])[:3000]


def _misses(text: str) -> dict[str, int]:
    reasons = (
        "network",
        "timeout",
        "throttled",
        "server_error",
        "unreadable",
        "too_large",
        "refused",
        "not_found",
        "unauthorized",
        "forbidden",
        "conflict",
        "unknown_word",
    )
    return {
        reason: int(n) for reason in reasons if (n := total(text, "pollhook_poll_misses_total", f'reason="{reason}"'))
    }


def _tables(ports: dict[str, int], receiver: int) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {
        "endpoints.default": {"url": f"http://127.0.0.1:{receiver}/hook", "concurrency": 20, "disable_after": "7d", "store_response": True},
        "delivery": {"schedule": ["200ms"] * 90, "timeout": "2s"},
        "log": {"format": "json", "level": "info"},
    }  # fmt: skip
    for name, port in ports.items():
        found[f"providers.{name}"] = {
            "api_key": f"sk-{name}-0123456789abcdef", "base_url": f"http://127.0.0.1:{port}/v1", "timeout": "2s", "rate": 500.0, "burst": 50,
            "concurrency": 40, "min_gap": "100ms", "max_gap": "200ms", "deadline": "2h", "not_found_grace": "2h",
        }  # fmt: skip
        found[f"providers.{name}.status"] = {"request": "GET /{id}", "state": "status"}
        found[f"providers.{name}.status.states"] = {
            "running": ["in_progress"],
            "succeeded": ["completed"],
            "failed": ["failed"],
        }
        found[f"providers.{name}.status.fields"] = {"progress": "progress", "outputs": "url", "error_message": "detail"}
        found[f"providers.{name}.typical"] = {"duration": 1.0}
    return found


CORES = len(os.sched_getaffinity(0))
