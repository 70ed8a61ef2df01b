"""Word to systemd over ``$NOTIFY_SOCKET`` (sd_notify(3)); without the socket nothing happens.

A message that cannot be sent is dropped: the watchdog, not this process, decides what silence means.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping

import structlog

log = structlog.get_logger()


class Notifier:
    """Tells the service manager where the daemon stands."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self) -> bool:
        """Say that work is taken, at start or after a reload; like all of these, return whether it was sent."""
        return self._send("READY=1")

    def reloading(self) -> bool:
        """Say that the configuration is read again; ``ready`` ends it."""
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> bool:
        """Say that the daemon drains and ends."""
        return self._send("STOPPING=1")

    def status(self, text: str) -> bool:
        """Show *text*, one line of it, in ``systemctl status``."""
        return self._send(f"STATUS={' '.join(text.split())}")

    def watchdog(self) -> bool:
        """Say that the work gets on."""
        return self._send("WATCHDOG=1")

    def _send(self, message: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            ) as sender:
                sender.sendto(message.encode(), self._address)
        except (OSError, ValueError):
            return False
        return True


def watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """Return the seconds between watchdog messages, half of what systemd allows; None where it expects none."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    allowed = environ.get("WATCHDOG_USEC", "")
    return int(allowed) / 2_000_000 if allowed.isascii() and allowed.isdecimal() and int(allowed) > 0 else None


async def keep_watchdog(notifier: Notifier, interval: float | None, standstill: Callable[[], str | None]) -> None:
    """Feed the watchdog every *interval* seconds, but not while *standstill* tells a reason; without one, return.

    What stands still is logged at every look, so that the journal says why systemd killed the daemon.
    """
    while interval is not None:
        why = standstill()
        if why is None:
            notifier.watchdog()
        else:
            log.error("watchdog.withheld", why=why)
        await asyncio.sleep(interval)
