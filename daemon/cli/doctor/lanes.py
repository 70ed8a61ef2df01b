"""The checks of the lanes: one status request for a task that does not exist, with the lane's key.

It is the request that every poll makes, so it costs nothing; the request for a result, which may bill, is never sent.
An answer that knows no such task says that the provider is there and took the key.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from daemon.cli.attempt import made_up
from daemon.cli.complaint import Complaint
from daemon.cli.doctor.clock import against
from daemon.cli.doctor.finding import Finding, error, note, ok, warning
from daemon.cli.recording import Exchange, recorder
from daemon.core.observation import Missed, Observation
from daemon.core.record import Application
from daemon.core.task import Miss
from daemon.net.session import open_session
from daemon.providers.account import Account
from daemon.providers.client import HttpProvider

LANE = "lane"
AT_ONCE = 8
NO_ID = "00000000-0000-4000-8000-000000000000"
KEY = "set the right api_key and reload; `pollhook provider try NAME ID` shows a request step by step"
UNREACHED = (Miss.NETWORK, Miss.TIMEOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What one made-up status request saw; None where the definition cannot be asked about a made-up task."""

    seen: Observation | None
    why: str = ""
    date: str | None = None
    at: float = 0.0
    seconds: float = 0.0
    was_sent: bool = False
    http_status: int | None = None


async def lanes(accounts: Sequence[Account]) -> list[Finding]:
    """Ask every lane once, a few at a time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def look(account: Account) -> list[Finding]:
        async with room:
            probe = await _probe(account)
        host = account.definition.base.host or account.name
        return [_judged(account, probe), *against(host, probe.date, now_at=probe.at)]

    return [finding for found in await asyncio.gather(*map(look, accounts)) for finding in found]


def application(account: Account) -> Application:
    """Return a registration of a task that does not exist, its id in the shape that the definition's examples show."""
    definition = account.definition
    examples = (example.expect.id for example in definition.examples if example.of == "submission")
    shown = next((text for text in examples if text), NO_ID)
    names = [name for name in definition.status.names if name not in ("id", "model", "key", *definition.variables)]
    return Application(
        provider=account.name,
        remote_id=re.sub(r"[A-Za-z0-9](?=[^A-Za-z0-9]*(?:[A-Za-z0-9][^A-Za-z0-9]*){0,5}$)", "0", shown),
        model="none" if "model" in definition.status.names else None,
        params=tuple((name, "none") for name in names),
    )


async def _probe(account: Account) -> Probe:
    exchanges: list[Exchange] = []
    session = open_session(guard=None, keep_alive=0)
    session.trace_configs.append(recorder(exchanges))
    async with session:
        provider = HttpProvider(account, session, time.time)
        try:
            task = made_up(provider, application(account))
        except Complaint as complaint:
            return Probe(seen=None, why="; ".join((complaint.text, *complaint.hints)))
        began = time.monotonic()
        seen = await provider.poll(task)
        seconds = time.monotonic() - began
    last = exchanges[-1] if exchanges else None
    return Probe(
        seen=seen,
        date=last.answered.get("Date") if last else None,
        at=time.time(),
        seconds=seconds,
        was_sent=last is not None,
        http_status=last.status if last else None,
    )


def _judged(account: Account, probe: Probe) -> Finding:
    name, seen = account.name, probe.seen
    if seen is None:
        advice = f"with the id of a real one: `pollhook provider try {name} ID`"
        return note(LANE, f"{name}: cannot be asked about a made-up task ({probe.why})", advice)
    if isinstance(seen, Missed) and not _is_unknown(seen, probe):
        return _missed(name, seen, probe)
    taken = "key accepted" if account.definition.auth.needs_key else "no key needed"
    return ok(LANE, f"{name}: answered in {probe.seconds:.2f} s, {taken} (HTTP {probe.http_status} for a made-up task)")


def _is_unknown(seen: Missed, probe: Probe) -> bool:
    """Whether the answer says that there is no such task, or no such id."""
    is_about_key = seen.miss in (Miss.UNAUTHORIZED, Miss.FORBIDDEN)
    return not is_about_key and (seen.miss is Miss.NOT_FOUND or probe.http_status in (400, 404, 410, 422))


def _missed(name: str, seen: Missed, probe: Probe) -> Finding:
    if seen.miss is Miss.UNAUTHORIZED:
        return error(LANE, f"{name}: the provider refuses the key ({seen.detail})", KEY)
    if seen.miss is Miss.FORBIDDEN:
        return warning(LANE, f"{name}: a made-up task is forbidden ({seen.detail})", f"if real ones are, too: {KEY}")
    if not probe.was_sent:
        return error(LANE, f"{name}: nothing could be asked: {seen.detail}", KEY)
    if seen.miss in UNREACHED or probe.http_status is None:
        advice = "is its base_url right, and does a firewall let us out?"
        return error(LANE, f"{name}: the provider cannot be reached: {seen.detail}", advice)
    advice = "try again later; the provider has trouble, or its definition does not know this answer"
    return warning(LANE, f"{name}: {seen.detail}", advice)
