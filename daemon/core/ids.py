"""Identifiers: a prefix and a UUIDv7 in Crockford base32, so ids sort by the time they were made."""

from __future__ import annotations

from typing import NewType

TaskId = NewType("TaskId", str)
EventId = NewType("EventId", str)
DeliveryId = NewType("DeliveryId", str)

ENTROPY_BITS = 74
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_SHIFTS = range(120, -1, -10)


def task_id(now_at: float, entropy: int) -> TaskId:
    """Return a new task id for the wall-clock second *now_at* and 74 random bits."""
    return TaskId("tsk_" + crockford(uuid7(now_at, entropy)))


def event_id(now_at: float, entropy: int) -> EventId:
    """Return a new event id; it holds no full stop, as Standard Webhooks asks of ``webhook-id``."""
    return EventId("msg_" + crockford(uuid7(now_at, entropy)))


def delivery_id(now_at: float, entropy: int) -> DeliveryId:
    """Return a new delivery id."""
    return DeliveryId("dlv_" + crockford(uuid7(now_at, entropy)))


def uuid7(now_at: float, entropy: int) -> int:
    """Return a 128-bit UUIDv7 (RFC 9562, 5.7): 48 bits of milliseconds, then version, variant and entropy."""
    milliseconds = int(now_at * 1000) & ((1 << 48) - 1)
    high, low = (entropy >> 62) & 0xFFF, entropy & ((1 << 62) - 1)
    return milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low


def crockford(number: int) -> str:
    """Return a 128-bit *number* as 26 lower-case Crockford base32 digits."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])
