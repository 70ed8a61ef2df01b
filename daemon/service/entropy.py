"""Unguessable bits for ids, drawn from the operating system in blocks: one call for each id costs more than the id."""

from __future__ import annotations

import os

BLOCK = 4096


class Entropy:
    """Bits of ``os.urandom``; each is handed out once, and none is kept past its block."""

    def __init__(self) -> None:
        self._block = b""
        self._used = 0

    def bits(self, count: int) -> int:
        """Return *count* random bits, at most eight times ``BLOCK`` of them."""
        size = (count + 7) // 8
        end = self._used + size
        if end > len(self._block):
            self._block, end = os.urandom(BLOCK), size
        drawn = self._block[end - size : end]
        self._used = end
        return int.from_bytes(drawn, "big") >> (8 * size - count)
