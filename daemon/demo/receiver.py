"""A receiver that trusts nothing: every signature is verified with ``standardwebhooks`` from PyPI, all is counted.

It runs inside a test's event loop or, by ``python -m daemon.demo.receiver``, as its own process. What arrived is in its
ledger: ``Receiver.arrivals`` from Python, ``GET /_ledger`` over HTTP; ``findings`` says what is wrong with it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from random import Random
from typing import Self, TypedDict

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from daemon.core.task import Status
from daemon.demo.companion import Words, live_as_companion

BODY_BOUND = 1 << 20
PATH = "/hooks/pollhook"


class Arrival(TypedDict):
    """One POST that came in; ``status`` is what we answered, ``complaint`` why the signature does not hold."""

    at: float
    webhook_id: str
    digest: str
    complaint: str | None
    status: int
    type: str
    task_id: str
    provider: str
    remote_id: str


class Findings(TypedDict):
    """What is wrong: POSTs without a valid signature, ids taken more than once, ids that came with different bytes,
    tasks with more than one terminal event.
    """

    unverified: int
    repeated: dict[str, int]
    changed: list[str]
    doubled: list[str]


class Receiver:
    """An endpoint on loopback; ``fail_rate`` is the chance that a good webhook is answered 503, to see it again."""

    def __init__(
        self, secret: str, *, fail_rate: float = 0.0, seed: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        self.arrivals: list[Arrival] = []
        self.url = ""
        self._webhook = Webhook(secret)
        self._fail_rate = fail_rate
        self._dice = Random(seed)
        self._clock = clock
        self._runner: web.AppRunner | None = None

    def take(self, headers: dict[str, str], body: bytes) -> Arrival:
        """Verify and record one POST; ``status`` of the record is the answer to give."""
        complaint = self._complaint(headers, body)
        said = _said(body)
        is_unlucky = self._dice.random() < self._fail_rate
        arrival = Arrival(
            at=self._clock(),
            webhook_id=headers.get("webhook-id", ""),
            digest=hashlib.sha256(body).hexdigest(),
            complaint=complaint,
            status=400 if complaint else 503 if is_unlucky else 204,
            type=said["type"],
            task_id=said["task_id"],
            provider=said["provider"],
            remote_id=said["remote_id"],
        )
        self.arrivals.append(arrival)
        return arrival

    async def __aenter__(self) -> Self:
        """Listen on a free loopback port."""
        application = web.Application(client_max_size=BODY_BOUND)
        application.router.add_post("/hooks/{name}", self._post)
        application.router.add_get("/_ledger", self._show_ledger)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}{PATH}"
        return self

    async def __aexit__(self, *failure: object) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _complaint(self, headers: dict[str, str], body: bytes) -> str | None:
        try:
            self._webhook.verify(body, headers, json_parse=False)
        except WebhookVerificationError as complaint:
            return str(complaint)
        except ValueError:
            return "the signature header or the body cannot be read"
        return None

    async def _post(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        return web.Response(status=self.take(headers, await request.read())["status"])

    async def _show_ledger(self, request: web.Request) -> web.Response:
        """Answer the arrivals from number ``after`` on."""
        return web.json_response(self.arrivals[int(request.query.get("after", "0")) :])


def findings(arrivals: Sequence[Arrival]) -> Findings:
    """Return what is wrong with *arrivals*; all empty means each event came once, whole and signed."""
    taken: dict[str, int] = defaultdict(int)
    digests: dict[str, set[str]] = defaultdict(set)
    endings: dict[str, set[str]] = defaultdict(set)
    for arrival in arrivals:
        if arrival["complaint"]:
            continue
        taken[arrival["webhook_id"]] += arrival["status"] < 300
        digests[arrival["webhook_id"]].add(arrival["digest"])
        if is_ending(arrival):
            endings[arrival["task_id"]].add(arrival["webhook_id"])
    return Findings(
        unverified=sum(arrival["complaint"] is not None for arrival in arrivals),
        repeated={webhook_id: count for webhook_id, count in taken.items() if count > 1},
        changed=[webhook_id for webhook_id, seen in digests.items() if len(seen) > 1],
        doubled=[task_id for task_id, ids in endings.items() if len(ids) > 1],
    )


def is_ending(arrival: Arrival) -> bool:
    """Whether the event tells the end of a task."""
    family, _, outcome = arrival["type"].partition(".")
    return family == "task" and outcome in {status.value for status in Status if status.is_terminal}


def is_delivered(arrival: Arrival) -> bool:
    """Whether the event tells the end of a task, is properly signed, and was taken with a 2xx."""
    return is_ending(arrival) and arrival["complaint"] is None and arrival["status"] < 300


def _said(body: bytes) -> dict[str, str]:
    """Return what an event says of itself; empty texts where it cannot be read."""
    try:
        event = json.loads(body)
        said = {"type": event["type"]} | event["data"]
    except (ValueError, TypeError, KeyError):
        said = {}
    return {name: str(said.get(name, "")) for name in ("type", "task_id", "provider", "remote_id")}


async def _main(words: Words) -> None:
    secret, fail_rate, seed = str(words.settings["secret"]), words.number("fail_rate"), int(words.number("seed"))
    async with Receiver(secret, fail_rate=fail_rate, seed=seed) as receiver:
        words.tell({"url": receiver.url})
        await words.farewell()


if __name__ == "__main__":
    live_as_companion(_main)
