"""A user of both sides: submits jobs as the providers' documentation says, then registers them with Pollhook."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import aiohttp

from daemon.core.observation import Json
from daemon.demo.job import PROMPT, Dialect

ID_FIELDS = ("request_id", "task_id", "id")
PATIENCE = 15.0
RETRY_GAP = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account at one provider."""

    dialect: Dialect
    base_url: str
    key: str


class RegistrationRefused(Exception):
    """Pollhook answered a registration with something other than 2xx."""


async def submit(session: aiohttp.ClientSession, account: Account, model: str) -> dict[str, Json]:
    """Submit one job and return the provider's answer, untouched."""
    url = account.base_url + account.dialect.submit.replace("{model}", model)
    headers = {"Authorization": f"{account.dialect.schemes[0]} {account.key}"}
    async with session.post(url, json={"model": model, "prompt": PROMPT}, headers=headers) as response:
        response.raise_for_status()
        answer: dict[str, Json] = await response.json()
        return answer


def remote_id(answer: dict[str, Json]) -> str:
    """Return the id in a submit answer, wherever the dialect keeps it."""
    return next(str(answer[field]) for field in ID_FIELDS if field in answer)


class Customer:
    """Orders *count* jobs, evenly over *accounts*: a fifth as one batch, the others singly over *seconds*.

    Every third registration hands over the submit answer as it came; every third of those providers that bill asks
    for the result, too. ``registered`` counts the tasks that Pollhook promised to watch.
    """

    def __init__(self, session: aiohttp.ClientSession, accounts: Sequence[Account], api_url: str, *, seed: int) -> None:
        self.registered = 0
        self.token = ""
        self._session = session
        self._accounts = accounts
        self._api_url = api_url
        self._dice = Random(seed)

    async def order(self, count: int, seconds: float) -> None:
        """Submit and register *count* jobs."""
        batch = count // 5
        async with asyncio.TaskGroup() as group:
            group.create_task(self._order_batch(batch), name="batch")
            for number in range(batch, count):
                group.create_task(self._order_one(number), name=f"order-{number}")
                await asyncio.sleep(seconds / count)

    async def _order_one(self, number: int) -> None:
        await self._post("/v1/tasks", await self._registration(number))
        self.registered += 1

    async def _order_batch(self, count: int) -> None:
        if not count:
            return
        registrations: list[Json] = [await self._registration(number) for number in range(count)]
        answer = await self._post("/v1/tasks/batch", {"tasks": registrations})
        results = answer["data"]
        assert isinstance(results, list)
        refused = [result for result in results if not (isinstance(result, dict) and "task" in result)]
        if refused:
            raise RegistrationRefused(f"in the batch: {refused[0]}")
        self.registered += len(results)

    async def _registration(self, number: int) -> dict[str, Json]:
        account = self._accounts[number % len(self._accounts)]
        model = self._dice.choice(account.dialect.models)
        answer = await submit(self._session, account, model)
        registration: dict[str, Json] = {
            "provider": account.dialect.name,
            "model": model,
            "metadata": {"order": number},
        }
        is_third = number // len(self._accounts) % 3 == 0
        if is_third:
            registration["submission"] = answer
        else:
            registration["remote_id"] = remote_id(answer)
        if account.dialect.bills and is_third:
            registration["fetch_result"] = True
        return registration

    async def _post(self, path: str, body: dict[str, Json]) -> dict[str, Json]:
        """POST *body*, again while nobody answers: a registration repeated is the same task."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    async with self._session.post(self._api_url + path, json=body, headers=headers) as response:
                        answer: dict[str, Json] = await response.json(content_type=None)
                        if response.ok:
                            return answer
                        raise RegistrationRefused(f"{response.status} {answer.get('detail', answer)}")
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(RETRY_GAP)
