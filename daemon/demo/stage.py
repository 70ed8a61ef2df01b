"""Everybody in the show, for as long as it lasts: providers, receiver, daemon, customer, and what they know."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp

from daemon.core.observation import Json
from daemon.core.signing import encode_secret
from daemon.demo.companion import companion
from daemon.demo.customer import Account, Customer
from daemon.demo.house import House
from daemon.demo.job import Entry
from daemon.demo.providers import DIALECTS
from daemon.demo.receiver import Arrival, is_delivered
from daemon.demo.summary import Job

FAIL_RATE = 0.03
REQUEST_SECONDS = 10.0
PAGE = 500


class Stage:
    """The parts of one show; ``arrivals`` is what the receiver took so far, as of the last ``look``."""

    def __init__(
        self, session: aiohttp.ClientSession, accounts: Sequence[Account], hook_url: str, *, house: House, seed: int
    ) -> None:
        self.house = house
        self.customer = Customer(session, accounts, house.api_url, seed=seed)
        self.arrivals: list[Arrival] = []
        self._session = session
        self._accounts = accounts
        self._arrivals_url = hook_url.partition("/hooks")[0] + "/_ledger"

    async def open_house(self) -> float:
        """Start the daemon; return the seconds until it was ready."""
        took = await self.house.start(self._session)
        self.customer.token = self.house.token
        return took

    async def truth(self) -> list[Entry]:
        """Return what the providers know."""
        truth: list[Entry] = []
        for account in self._accounts:
            origin = account.base_url.removesuffix(account.dialect.base_path)
            async with self._session.get(origin + "/_ledger") as response:
                truth += await response.json()
        return truth

    async def look(self) -> Counter[str]:
        """Read what arrived since the last look; return how many endings were delivered, by provider."""
        async with self._session.get(self._arrivals_url, params={"after": len(self.arrivals)}) as response:
            self.arrivals += await response.json()
        told = {(arrival["provider"], arrival["remote_id"]) for arrival in self.arrivals if is_delivered(arrival)}
        return Counter(provider for provider, _ in told)

    async def recorded(self) -> dict[Job, str]:
        """Return the status of every task as the daemon's API tells it."""
        found: dict[Job, str] = {}
        query = {"limit": str(PAGE)}
        headers = {"Authorization": f"Bearer {self.house.token}"}
        while True:
            url = self.house.api_url + "/v1/tasks"
            async with self._session.get(url, params=query, headers=headers) as response:
                response.raise_for_status()
                page = await response.json()
            found |= {(task["provider"], task["remote_id"]): task["status"] for task in page["data"]}
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]


@asynccontextmanager
async def staged(folder: Path, plan: dict[str, Json]) -> AsyncIterator[Stage]:
    """Open everything but the daemon, whose files go into *folder*; close everything at the end.

    *plan* is what the providers are told: seed, speed and faults.
    """
    seed = int(str(plan["seed"]))
    secret = encode_secret(secrets.token_bytes(32))
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(companion("daemon.demo.providers", plan))
        accounts = _accounts(told)
        wishes: dict[str, Json] = {"secret": secret, "fail_rate": FAIL_RATE, "seed": seed}
        receiver = await stack.enter_async_context(companion("daemon.demo.receiver", wishes))
        hook_url = str(receiver["url"])
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        house = House(folder, accounts, hook_url, secret)
        stack.push_async_callback(house.stop)
        yield Stage(session, accounts, hook_url, house=house, seed=seed)


def _accounts(told: dict[str, Json]) -> list[Account]:
    urls, keys = told["base_urls"], told["keys"]
    assert isinstance(urls, dict)
    assert isinstance(keys, dict)
    return [
        Account(dialect=dialect, base_url=str(urls[dialect.name]), key=str(keys[dialect.name])) for dialect in DIALECTS
    ]
