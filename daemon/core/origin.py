"""Where a URL points: scheme, host and port, read strictly, so that no two readers of one URL can disagree.

What browsers and parsers mend differently (backslashes, control characters, user-info, percent signs in a host,
addresses in odd spellings) is refused here, not mended.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

IPAddress: TypeAlias = IPv4Address | IPv6Address

URL_LIMIT = 4096
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029]")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme, host and explicit port.

    ``host`` is lower-case ASCII without a final dot, ``address`` is set where it is a literal.
    """

    scheme: str
    host: str
    port: int
    address: IPAddress | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def origin(url: str) -> str:
    """Return ``scheme://host:port`` of *url*; raise ValueError as ``parse_origin`` does."""
    return str(parse_origin(url))


@lru_cache(4096)
def parse_origin(url: str) -> Origin:
    """Read the origin of an absolute http(s) *url*; raise ValueError that says what is wrong, without repeating it."""
    if len(url) > URL_LIMIT:
        raise ValueError(f"a URL has at most {URL_LIMIT} characters, this one {len(url)}")
    if _UNPRINTABLE.search(url):
        raise ValueError("a URL holds no space, control character or backslash")
    parts = _split(url)
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("a URL begins with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("a URL holds no user name or password")
    host, address = _host(parts.netloc)
    return Origin(scheme=parts.scheme, host=host, port=_port(parts), address=address)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("what stands in square brackets is no IPv6 address") from None


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("a port lies between 1 and 65535")
    return _DEFAULT_PORTS[parts.scheme] if port is None else port


def _host(netloc: str) -> tuple[str, IPAddress | None]:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::\d*)?", netloc)
    if bracketed:
        address = _literal6(bracketed[1])
        return str(address), address
    name = _ascii(netloc.partition(":")[0])
    if not _NUMERIC_END.fullmatch(name):
        return name, None
    try:
        return name, IPv4Address(name)
    except ValueError:
        raise ValueError("an address is written as four decimal numbers, without leading zeros") from None


def _literal6(text: str) -> IPv6Address:
    if "%" in text:
        raise ValueError("an address holds no zone id")
    try:
        return IPv6Address(text)
    except ValueError:
        raise ValueError("what stands in square brackets is no IPv6 address") from None


def _ascii(host: str) -> str:
    """Return *host* in ASCII, lower-case; refuse names that the versions of IDNA map differently (ß, ς, joiners)."""
    plain = unicodedata.normalize("NFKC", host).lower()
    try:
        name = plain.encode("idna").decode("ascii")
        is_stable = plain.isascii() or (_is_word(plain) and name.encode("ascii").decode("idna") == plain)
    except UnicodeError:
        raise ValueError("the host is no valid name") from None
    if not is_stable:
        raise ValueError("the host is ambiguous; write it in its ASCII form (xn--…)")
    name = name.removesuffix(".")
    if not _NAME.fullmatch(name):
        raise ValueError("the host is no valid name")
    return name


def _is_word(text: str) -> bool:
    """Whether *text* is letters, digits and marks that every version of IDNA knows: those of Unicode 3.2."""
    categories = [unicodedata.ucd_3_2_0.category(mark) for mark in text if mark not in ".-_"]
    return all(category[0] == "L" or category in ("Nd", "Mn", "Mc") for category in categories)
