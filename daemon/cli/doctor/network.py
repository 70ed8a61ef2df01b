"""The checks of the network: names, and whether anybody takes a connection where webhooks go."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Iterable
from ipaddress import ip_address

from yarl import URL

from daemon.cli.doctor.finding import Finding, error, ok, warning
from daemon.net.session import tls_context

DNS, ENDPOINT = "dns", "endpoint"
PATIENCE = 5.0
DAY = 86400.0


async def names(hosts: Iterable[str]) -> list[Finding]:
    """Resolve every one of *hosts*."""
    asked = sorted({host for host in hosts if not _is_address(host)})
    return list(await asyncio.gather(*map(_resolve, asked)))


async def endpoints(targets: Iterable[tuple[str, str]]) -> list[Finding]:
    """Connect to every (name, URL) of *targets* and send nothing."""
    return list(await asyncio.gather(*(_connect(name, URL(url)) for name, url in targets)))


async def _resolve(host: str) -> Finding:
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        return error(DNS, f"{host}: no answer within {PATIENCE:g} s", "look at /etc/resolv.conf and its servers")
    except OSError as failure:
        return error(DNS, f"{host}: {failure.strerror or failure}", "is the name right, and /etc/resolv.conf?")
    addresses = sorted({str(entry[4][0]) for entry in found})
    return ok(DNS, f"{host}: {', '.join(addresses[:3])} in {(time.monotonic() - began) * 1000:.0f} ms")


async def _connect(name: str, url: URL) -> Finding:
    where = f"{name}: {url.host}:{url.port}"
    context = tls_context() if url.scheme == "https" else None
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
    except TimeoutError:
        return error(
            ENDPOINT, f"{where}: no connection within {PATIENCE:g} s", "is it up, and does a firewall let us out?"
        )
    except ssl.SSLError as failure:
        text = getattr(failure, "verify_message", "") or failure.reason
        return error(ENDPOINT, f"{where}: TLS fails: {text}", "mend the certificate of that server")
    except OSError as failure:
        text = os.strerror(failure.errno) if failure.errno else str(failure)
        return error(ENDPOINT, f"{where}: {text}", "start what listens there, or mend its url")
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    return _dated(where, certificate.get("notAfter"))


def _dated(where: str, until: str | None) -> Finding:
    left = None if until is None else (ssl.cert_time_to_seconds(until) - time.time()) / DAY
    if left is not None and left < 14:
        return warning(ENDPOINT, f"{where}: its certificate ends in {left:.0f} days", "renew it before that")
    return ok(ENDPOINT, f"{where}: takes connections")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True
