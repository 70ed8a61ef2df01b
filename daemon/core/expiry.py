"""When a link ends: read from what its own signature says, never asked of anybody.

Known are the query signatures of AWS, Google Cloud, Alibaba OSS and Volcengine TOS (a date and seconds), the older ones
of S3, OSS, Google Cloud and CloudFront (``Expires``, Unix seconds), Azure's SAS (``se``), and Tencent COS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from daemon.core.observation import Output

_VENDORS = ("amz", "goog", "oss", "tos")
_UNIX = ("expires", "x-oss-expires", "x-expires")
_EARLIEST, _LATEST = 1e9, 1e11
_LONGEST = 100 * 365 * 86400.0
_FIELDS = 200
_AZURE = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,7})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)


def expires_at(url: str) -> float | None:
    """Return the wall-clock second at which the signed *url* ends; None where it does not say."""
    try:
        query = parse_qsl(urlsplit(url).query, max_num_fields=_FIELDS)
    except ValueError:
        return None
    said = {name.lower(): value for name, value in reversed(query)}
    return min(_ends(said), default=None)


def dated(output: Output) -> Output:
    """Return *output* with the end of its link where only the link itself tells it."""
    return output if output.expires_at is not None else replace(output, expires_at=expires_at(output.url))


def _ends(said: Mapping[str, str]) -> Iterator[float]:
    for vendor in _VENDORS:
        begun, lasts = _basic_date(said.get(f"x-{vendor}-date")), _number(said.get(f"x-{vendor}-expires"))
        if begun is not None and lasts is not None and lasts <= _LONGEST:
            yield begun + lasts
    for name in _UNIX:
        yield from _moments(said.get(name))
    yield from _moments(said.get("q-sign-time", "").partition(";")[2])
    if "sig" in said and (ends := _azure(said.get("se"))) is not None:
        yield ends


def _moments(text: str | None) -> Iterator[float]:
    at = _number(text)
    if at is not None and _EARLIEST <= at <= _LATEST:
        yield at


def _number(text: str | None) -> float | None:
    is_one = text is not None and text.isascii() and text.isdigit() and len(text) <= 15
    return float(text or 0) if is_one else None


def _basic_date(text: str | None) -> float | None:
    try:
        return datetime.strptime(text or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _azure(text: str | None) -> float | None:
    if text is None or not _AZURE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
