"""The delivering half of the daemon, as the service joins it, between a real database and real receivers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from daemon.config import Settings
from daemon.core.record import AttemptRecord, DeliveryRecord
from daemon.service.parts import Parts, assemble
from tests.net.conftest import certificates, replies, serve

__all__ = ["certificates", "replies", "serve"]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TIMEOUT = 0.6


class Outgoing:
    """The running parts, and what a test asks of them."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def publish(self, endpoint: str = "default", **data: Any) -> str:
        return await self.parts.courier.send_test("task.succeeded", {"n": 1} | data, endpoint)

    async def delivery(self, delivery_id: str) -> tuple[DeliveryRecord, list[AttemptRecord]]:
        found = await self.parts.store.outbox.delivery(delivery_id)
        assert found is not None
        return found

    async def attempted(self, delivery_id: str, times: int = 1) -> tuple[DeliveryRecord, list[AttemptRecord]]:
        """Return the delivery once it was attempted so many times and nothing is in flight."""
        async with asyncio.timeout(20):
            while True:
                record, attempts = await self.delivery(delivery_id)
                if len(attempts) >= times and not self.parts.courier.pump.in_flight:
                    return record, attempts
                await asyncio.sleep(0.01)

    async def tell(self, url: str | None = None, **data: Any) -> tuple[DeliveryRecord, AttemptRecord]:
        """Publish one event and return what its first attempt left."""
        record, attempts = await self.attempted(await self.publish(**data))
        return record, attempts[0]


@pytest.fixture
def outgoing(tmp_path: Path):
    """``async with outgoing(url, …) as rig`` runs it with one endpoint ``default``; tables are those of the config."""

    @asynccontextmanager
    async def run(url: str, *, tables: dict[str, Any] | None = None, **endpoint: Any):
        settings = Settings.model_validate({
            "store": {"path": str(tmp_path / "state" / "pollhook.db")},
            "endpoints": {"default": {"url": url, "secret": SECRET, "timeout": TIMEOUT} | endpoint},
            **(tables or {}),
        })  # fmt: skip
        async with AsyncExitStack() as stack:
            parts = await assemble(settings, stack, environ={}, hide=lambda _: None)
            pump = asyncio.create_task(parts.courier.pump.run())
            try:
                yield Outgoing(parts)
            finally:
                pump.cancel()
                await asyncio.wait([pump])

    return run
