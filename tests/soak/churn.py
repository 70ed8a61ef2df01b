"""The customer: keeps the watchlist full, stops, looks, waits and lists; the operator: turns keys and endpoints over."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from tests.soak.providers import Providers
from tests.soak.receivers import Receivers

BATCH = 500


@dataclass(slots=True)
class Ledger:
    """What the API acknowledged: registered task ids with their pair and endpoint, and the ids that were stopped."""

    tasks: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    odd: list[str] = field(default_factory=list)


class Churn:
    """Everything that callers of the API do during the soak; *call* makes one API call."""

    def __init__(self, call, providers: Providers, receivers: Receivers, *, target: int, seed: int) -> None:
        self.call = call
        self.providers = providers
        self.receivers = receivers
        self.target = target
        self.ledger = Ledger()
        self.is_over = False
        self.dice = random.Random(f"churn/{seed}")

    async def fill(self, live: int) -> None:
        """Register as many tasks as are missing, in batches and one by one."""
        missing = self.target - live
        while missing > 0:
            if missing < 20 and self.dice.random() < 0.5:
                await self._register_one()
                missing -= 1
                continue
            count = min(missing, BATCH)
            forms = [self._form() for _ in range(count)]
            status, answer = await self.call("POST", "/v1/tasks/batch", {"tasks": forms})
            if status != 200:
                self.ledger.odd.append(f"batch: {status} {str(answer)[:200]}")
                return
            for form, item in zip(forms, answer["data"], strict=True):
                self._acknowledge(form, item["status"], item.get("task") or item.get("problem"))
            missing -= count

    async def look(self) -> None:
        """Do what applications do beside registering: stop a few, show, list, wait, read the feed."""
        ids = list(self.ledger.tasks)[-5000:]
        for task in self.dice.sample(ids, min(len(ids), 3)):
            status, answer = await self.call("DELETE", f"/v1/tasks/{task}")
            if status == 200:
                self.ledger.stopped.add(task)
            elif status != 409:
                self.ledger.odd.append(f"stop: {status} {str(answer)[:200]}")
        one = self.dice.choice(ids)
        for path in (f"/v1/tasks/{one}?wait=1", "/v1/tasks?limit=500&status=running", "/v1/events?limit=100",
                     "/v1/deliveries?state=pending&limit=100", "/v1/providers", "/v1/endpoints"):  # fmt: skip
            status, answer = await self.call("GET", path)
            if status != 200:
                self.ledger.odd.append(f"{path}: {status} {str(answer)[:200]}")

    async def operate(self, step: int) -> None:
        """Turn one thing over: rotate a key, disable and enable, make and delete a passing endpoint, cut a lane off."""
        name = self.dice.choice(self.receivers.names[10:])
        await self._want("POST", f"/v1/endpoints/{name}/disable", 200)
        path = f"/v1/endpoints/{name}/rotate"
        status, rotated = await self.call("POST", path, {"grace": "20s"})
        if status == 200:
            self.receivers.knows(name, rotated["secret"])
        elif rotated.get("code") != "too_many_keys":  # three sign already where the dice fell on it again and again
            self.ledger.odd.append(f"POST {path}: {status} {str(rotated)[:200]}")
        await self._want("POST", f"/v1/endpoints/{name}/enable", 200)
        await self._passing(step)
        self.providers.down = set(self.dice.sample(self.providers.names, 1)) if step % 4 == 1 else set()
        self.receivers.down = set(self.dice.sample(self.receivers.names, 1)) if step % 4 == 3 else set()

    async def make_endpoints(self, url: str) -> None:
        """Make the endpoints that do not stand in the config file."""
        self.url = url
        for name in self.receivers.names[10:]:
            _, made = await self._want("PUT", f"/v1/endpoints/{name}", 201, {"url": f"{url}/{name}"})
            self.receivers.knows(name, made["secret"])

    async def _passing(self, step: int) -> None:
        name = f"passing{step}"
        _, made = await self._want("PUT", f"/v1/endpoints/{name}", 201, {"url": f"{self.url}/{name}"})
        self.receivers.knows(name, made["secret"])
        await self._want("POST", f"/v1/endpoints/{name}/test", 202)
        await asyncio.sleep(0.5)
        await self._want("DELETE", f"/v1/endpoints/{name}", 200)

    async def _want(self, method, path, wanted, body=None):
        status, answer = await self.call(method, path, body)
        if status != wanted:
            self.ledger.odd.append(f"{method} {path}: {status} {str(answer)[:200]}")
        return status, answer

    async def _register_one(self) -> None:
        form = self._form()
        key = {"Idempotency_Key": form["remote_id"]} if self.dice.random() < 0.3 else {}
        for _ in range(2 if key else 1):
            status, answer = await self.call("POST", "/v1/tasks", form, **key)
            self._acknowledge(form, status, answer)

    def _form(self) -> dict:
        lane, remote_id = self.providers.create()
        endpoint = self.dice.choice(self.receivers.names)
        return {"provider": lane, "remote_id": remote_id, "model": "m", "webhook": {"endpoint": endpoint}}

    def _acknowledge(self, form, status, answer) -> None:
        if status not in (200, 201):
            self.ledger.odd.append(f"register: {status} {str(answer)[:200]}")
            return
        told = (form["provider"], form["remote_id"], form["webhook"]["endpoint"])
        if self.ledger.tasks.setdefault(answer["id"], told) != told:
            self.ledger.odd.append(f"{answer['id']} was told for two registrations")
