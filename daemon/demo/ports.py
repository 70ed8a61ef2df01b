"""A port for a daemon that is about to start."""

from __future__ import annotations

import random
import socket

FIRST, PAST = 10_000, 32_768  # below those that Linux hands to connections by itself, one of which would take it again

_dice = random.SystemRandom()  # not the common dice: tests that seed those beside each other would all throw the same


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nobody listens, and which no connection takes in the meantime."""
    while True:
        port = _dice.randrange(FIRST, PAST)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
