"""The receiving side: 20 endpoints on one port that verify every signature, fail by dice, and keep a ledger."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Mapping

from standardwebhooks import Webhook, WebhookVerificationError

from tests.soak.wire import HANG, Say, plain


class Receivers:
    """Every endpoint of the soak, by name; ``down`` holds those that are out."""

    def __init__(self, endpoints: int, seed: int) -> None:
        self.names = [f"ep{n:02d}" for n in range(endpoints)]
        self.secrets: dict[str, list[Webhook]] = defaultdict(list)
        self.taken: dict[str, Counter[str]] = defaultdict(Counter)  # webhook-id -> endpoint -> times answered 2xx
        self.digests: dict[str, set[str]] = defaultdict(set)
        self.tasks: dict[str, set[str]] = defaultdict(set)  # task id -> ids of its terminal events
        self.said: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.down: set[str] = set()
        self.dice = random.Random(f"receivers/{seed}")

    def knows(self, name: str, secret: str) -> None:
        """Accept *secret* for the endpoint *name* from now on, beside older ones."""
        self.secrets[name] = [Webhook(secret), *self.secrets[name][:3]]

    def answer(self, first: bytes, headers: Mapping[bytes, bytes], body: bytes) -> Say:
        """Answer one POST to ``/NAME``."""
        name = first.split(b" ")[1].decode()[1:]
        known = {key.decode(): value.decode() for key, value in headers.items()}
        complaint = self._complaint(name, known, body)
        if complaint:
            self.complaints.append(f"{name}: {complaint}")
            return plain("400 Bad Request", b"")
        webhook_id = known["webhook-id"]
        self.digests[webhook_id].add(hashlib.sha256(body).hexdigest())
        event = json.loads(body)
        if "task_id" in event.get("data", {}):
            self.tasks[event["data"]["task_id"]].add(webhook_id)
        return self._answer(name, webhook_id)

    def _answer(self, name: str, webhook_id: str) -> Say:
        roll = self.dice.random()
        if name in self.down or roll < 0.02:
            self.said["503"] += 1
            return plain("503 Service Unavailable", b"")
        if roll < 0.025:
            self.said["cut"] += 1
            return Say(b"HTTP/1.1 2", keep=10)
        if roll < 0.026:
            self.said["hang"] += 1
            return HANG
        if roll < 0.031:
            self.said["500"] += 1
            return plain("500 Internal Server Error", b"<html>" * 5000)

        def take() -> None:
            self.said["2xx"] += 1
            self.taken[webhook_id][name] += 1

        return Say(plain("204 No Content", b"").whole, delay=self.dice.choice((0, 0, 0, 0.05)), then=take)

    def _complaint(self, name: str, headers: Mapping[str, str], body: bytes) -> str | None:
        said = "no secret is known"
        for webhook in self.secrets[name]:
            try:
                webhook.verify(body, dict(headers), json_parse=False)
            except WebhookVerificationError as complaint:
                said = str(complaint)
            else:
                return None
        return said
