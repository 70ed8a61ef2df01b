"""``pollhook doctor endpoint NAME``: one signed test sent to an endpoint, each step with its time and what to do.

The steps go the daemon's own way: the same rules on the address, the same keys, headers and deadline, for endpoints of
the config file and for those written over the API. The daemon need not run, and nothing is recorded.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from daemon.cli import settings as found
from daemon.cli.complaint import Complaint, misuse
from daemon.cli.doctor.finding import Finding, error, note, ok
from daemon.config import Settings, allowances
from daemon.core.delivery import Accepted, Delivery, Receipt, Refusal, Refused
from daemon.core.endpoint import Endpoint
from daemon.core.errors import Fault, NotFound
from daemon.core.event import Event, operational_event
from daemon.core.ids import ENTROPY_BITS, DeliveryId, event_id
from daemon.net.guard import Guard
from daemon.net.session import tls_context
from daemon.service.peeking import peeked_endpoint
from daemon.webhooks.sender import HttpSender, open_way

RULES, RESOLVE, CONNECT, TLS, SIGN, SEND = "rules", "resolve", "connect", "tls", "sign", "send"
_ADVICE: Mapping[Refusal, str] = {
    Refusal.DNS: "is the name right? `getent hosts NAME` asks as the daemon does; see /etc/resolv.conf",
    Refusal.CONNECT: "start what listens there, mend the url, or let us through the firewall",
    Refusal.TLS: "mend that server's certificate, or name its authority: `ca` of the endpoint",
    Refusal.TIMEOUT: "answer 2xx first and do the work afterwards, or raise `timeout` of the endpoint",
    Refusal.PROTOCOL: "what listens there is no HTTP server, or breaks off its answers",
    Refusal.TARGET_NOT_ALLOWED: "see docs/egress.md; [egress] allow opens private addresses by address and port",
    Refusal.REDIRECT: "write the url that it redirects to into the configuration: redirects are never followed",
    Refusal.GONE: "the receiver says it is gone for good; a real event would disable the endpoint now",
}
_STATUS_ADVICE: Mapping[int, str] = {
    400: "does the receiver verify the raw bytes, before any JSON parser has touched them?",
    401: "does the receiver know this secret? `pollhook secret NAME` prints it",
    403: "does the receiver know this secret, and is there a gateway before it that wants a header (`headers`)?",
    404: "the path of the url is not what the receiver listens on",
    405: "the receiver must take POST",
    413: "let the receiver take bodies of 256 KiB",
    429: "the receiver asks for fewer: `rate` and `concurrency` of the endpoint",
}


def examined(name: str, config: Path | None) -> list[Finding]:
    """Send a signed test to the endpoint *name* and return what each step brought."""
    settings = found.read_settings(config)
    try:
        return asyncio.run(_examined(name, settings))
    except NotFound as failure:
        raise misuse(str(failure)) from None
    except Fault as failure:
        raise Complaint(str(failure)) from None


async def _examined(name: str, settings: Settings) -> list[Finding]:
    target = await peeked_endpoint(settings, name, found.database_file(settings))
    return [finding async for finding in steps(target, settings)]


async def steps(target: Endpoint, settings: Settings) -> AsyncIterator[Finding]:
    """Yield what each step of one signed test to *target* brought, the first that fails last."""
    guard = Guard(allow=allowances(settings), is_trusted=target.is_trusted)
    complaint = guard.check_url(target.url)
    if complaint:
        yield error(RULES, complaint, _ADVICE[Refusal.TARGET_NOT_ALLOWED])
        return
    yield ok(RULES, "the url may be a target; its address is judged again when it is dialled")
    way = open_way(guard, tls_context(ca=target.ca), settings.egress.proxy)
    shown = replace(target, is_trusted=True)  # whoever runs this may know why an address is refused
    sender = HttpSender(lambda _: shown, trusted=way, untrusted=way, now_at=time.time)
    event = _event(target.name)
    try:
        got = await sender.send(_delivery(event, target), event)
    finally:
        await way.close()
    for finding in _told(target, got, through_proxy=way.proxy_for(target.url) is not None):
        yield finding


def _told(target: Endpoint, got: Receipt, *, through_proxy: bool) -> Iterator[Finding]:
    if through_proxy:
        yield note(
            RESOLVE, "left to the forward proxy, which also judges what the name resolves to", "see docs/egress.md"
        )
    yield from _stages(got)
    if isinstance(got, Refused) and got.http_status is None:
        step = {Refusal.DNS: RESOLVE, Refusal.CONNECT: CONNECT, Refusal.TLS: TLS, Refusal.TARGET_NOT_ALLOWED: RULES}
        yield error(step.get(got.refusal, SEND), f"{got.detail} ({_ms(got.seconds)})", _ADVICE[got.refusal])
        return
    yield ok(SIGN, f"signed with {', '.join(f'{key.version} {key.fingerprint}' for key in target.keys)}")
    first = got.stages.first_byte
    taken = f" after {_ms(first)}, {_ms(got.seconds)} in all" if first is not None else f" in {_ms(got.seconds)}"
    if isinstance(got, Accepted):
        yield ok(SEND, f"answered {got.http_status}{taken}: it has the test")
    else:
        known = _STATUS_ADVICE.get(got.http_status or 0, "look into the receiver's own log at this moment")
        yield error(SEND, f"{got.detail}{taken}", _ADVICE.get(got.refusal, known))


def _stages(got: Receipt) -> Iterator[Finding]:
    stages = got.stages
    if stages.dns is not None:
        yield ok(RESOLVE, f"the name has addresses, in {_ms(stages.dns)}")
    if stages.connect is not None:
        yield ok(CONNECT, f"connected to {got.address or 'it'} in {_ms(stages.connect)}")
    if stages.tls is not None:
        yield ok(TLS, f"the certificate holds, TLS took {_ms(stages.tls)}")


def _event(name: str) -> Event:
    at = time.time()
    return operational_event(
        event_id(at, secrets.randbits(ENTROPY_BITS)),
        "endpoint.test",
        {"endpoint": name, "by": "pollhook doctor"},
        created_at=at,
    )


def _delivery(event: Event, target: Endpoint) -> Delivery:
    return Delivery(id=DeliveryId("dlv_doctor"), event_id=event.id, endpoint=target.name, url=None)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
