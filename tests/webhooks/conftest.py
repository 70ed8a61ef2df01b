"""Receivers on loopback that say whatever a test wants, and a sender that may reach them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.core.delivery import Delivery
from daemon.core.endpoint import Endpoint
from daemon.core.event import Event
from daemon.core.ids import DeliveryId, EventId
from daemon.core.signing import hmac_key
from daemon.net.guard import Guard
from daemon.webhooks.sender import HttpSender, open_way

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="session")
def vectors() -> dict:
    """Public vectors of Standard Webhooks; each entry names its source."""
    return json.loads((Path(__file__).parent / "standard-webhooks-vectors.json").read_text())


@dataclass
class Receiver:
    """A scripted receiver: *script* holds raw answers, the last one for all further requests; None closes unanswered."""

    script: list[bytes | None]
    requests: list[SimpleNamespace] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *fields = head.strip().split("\r\n")
                headers = [tuple(text.split(": ", 1)) for text in fields]
                lower = {name.lower(): value for name, value in headers}
                body = await reader.readexactly(int(lower.get("content-length", 0)))
                self.requests.append(SimpleNamespace(line=line, fields=headers, headers=lower, body=body))
                answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
                if b"close-after" in answer:
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def receive():
    """``await receive(answer, …)`` starts a receiver with that script."""
    servers = []

    async def start(*script: bytes | None) -> Receiver:
        receiver = Receiver(list(script))
        server = await asyncio.start_server(receiver, "127.0.0.1", 0)
        servers.append(server)
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        return receiver

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def answer():
    """Spell a whole HTTP answer."""

    def spell(status: int, *fields: str, body: bytes = b"") -> bytes:
        lines = [f"HTTP/1.1 {status} Whatever", *fields, f"Content-Length: {len(body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    return spell


@pytest.fixture
async def deliver():
    """``await deliver(url, …)`` makes one attempt to a trusted endpoint at *url* and answers its receipt."""
    clock = SimpleNamespace(now_at=1_700_000_000.75)
    endpoints: dict[str, Endpoint] = {}
    trusted, untrusted = open_way(Guard(is_trusted=True)), open_way(Guard())
    sender = HttpSender(
        lambda delivery: endpoints.get(delivery.endpoint),
        trusted=trusted,
        untrusted=untrusted,
        now_at=lambda: clock.now_at,
    )
    delivery = Delivery(id=DeliveryId("dlv_1"), event_id=EventId("msg_1"), endpoint="default", url=None)

    async def attempt(url: str | None, *, body: bytes = b'{"type":"task.succeeded"}', event_id: str = "msg_1", **rest):
        if url is not None:
            rest = {"keys": (hmac_key(SECRET),), "is_trusted": True, "timeout": 5.0} | rest
            endpoints["default"] = Endpoint(name="default", url=url, **rest)
        event = Event(id=EventId(event_id), type="task.succeeded", task_id=None, created_at=0.0, body=body)
        return await sender.send(delivery, event)

    attempt.clock = clock
    yield attempt
    await trusted.session.close()
    await untrusted.session.close()
