"""Amounts of bytes as people write them: ``"500MB"``, ``"2GiB"``, or a plain number of bytes."""

from __future__ import annotations

import re

_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BINARY = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_FACTORS = {unit.lower(): factor for unit, factor in (_UNITS | _BINARY).items()}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?b)?", re.IGNORECASE)


def size_in_bytes(text: str | int) -> int:
    """Return an amount in bytes; raise ValueError that says what is allowed unless it is one."""
    found = _SIZE.fullmatch(str(text).strip())
    factor = None if found is None else _FACTORS.get((found[2] or "B").lower())
    if found is None or factor is None or isinstance(text, bool):
        raise ValueError(
            f'not an amount of bytes: {text!r}; write a number with a unit ("500MB", "2GiB") or plain bytes'
        )
    return round(float(found[1]) * factor)


def spoken_size(size: int) -> str:
    """Return bytes exactly in the largest unit that divides them: 2147483648 is ``"2GiB"``."""
    fitting = [(factor, unit) for unit, factor in (_UNITS | _BINARY).items() if size and size % factor == 0]
    factor, unit = max(fitting, default=(1, "B"))
    return f"{size // factor}{unit}"
