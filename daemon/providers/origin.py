"""Origins: to which scheme, host and port a provider's key may be sent.

The rule guarded here is guarantee 5: a URL from a caller or an answer is used with the key only where its origin is
that of ``base_url`` or matches an entry of ``hosts``, and never with user-info.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from yarl import URL

_ODD = re.compile(r"[\s\\\x00-\x1f\x7f]")
_LOCAL = tuple(
    ip_network(net) for net in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
_PATTERN = re.compile(r"(?:(https?)://)?(\*\.)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Origin:
    """A scheme, a host and a port; ``is_wild`` covers every subdomain of the host instead of the host itself."""

    scheme: str
    host: str
    port: int
    is_wild: bool = False

    def __str__(self) -> str:
        port = "" if self.port == (443 if self.scheme == "https" else 80) else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{'*.' if self.is_wild else ''}{host}{port}"

    def covers(self, other: Origin) -> bool:
        """Whether *other* is this origin, or one of its subdomains where this is a wildcard."""
        if (self.scheme, self.port) != (other.scheme, other.port):
            return False
        return other.host.endswith("." + self.host) if self.is_wild else other.host == self.host


@dataclass(frozen=True, slots=True)
class Allowed:
    """The origins of one definition, that of ``base_url`` first."""

    origins: tuple[Origin, ...]

    def __str__(self) -> str:
        return ", ".join(str(origin) for origin in self.origins)

    def covers(self, url: URL) -> bool:
        """Whether the key may be sent to *url*."""
        origin = origin_of(url)
        return origin is not None and any(allowed.covers(origin) for allowed in self.origins)


def origin_of(url: URL) -> Origin | None:
    """Return the origin of an absolute http(s) *url* without user-info, None for any other."""
    if url.scheme not in ("http", "https") or not url.raw_host or url.port is None:
        return None
    if url.raw_user is not None or url.raw_password is not None:
        return None
    return Origin(url.scheme, url.raw_host.lower().rstrip("."), url.port)


def parsed(text: str) -> URL | None:
    """Parse a URL or a relative reference, keeping its encoding as it is; None where it is none."""
    if not text or _ODD.search(text) or not text.isascii():
        return None
    try:
        url = URL(text, encoded=True)
        _ = url.port, url.raw_host
    except (ValueError, UnicodeError, IndexError):  # the last is yarl's for "https://[::1]@"
        return None
    return url


def joined(base: URL, text: str) -> URL | None:
    """Resolve *text*, absolute or relative, against *base* (RFC 3986, 5.2); None where it is no URL."""
    url = parsed(text)
    if url is None or (url.scheme and not url.absolute):
        return None
    try:
        return url if url.scheme else base.join(url)
    except (ValueError, UnicodeError):
        return None


def entry(text: str) -> Origin:
    """Read an entry of ``hosts``: ``host``, ``host:port``, ``*.host`` or an origin; https unless http is written."""
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise ValueError(f'an entry of hosts reads "api.example.com", "*.example.com" or "host:port", {shown(text)}')
    scheme, wild, host, port = found[1] or "https", found[2], found[3].strip("[]").lower().rstrip("."), found[4]
    if wild and host.count(".") < 1:
        raise ValueError(
            f'a wildcard needs a domain of two labels or more below it, such as "*.example.com", got {text!r}'
        )
    if scheme == "http" and not is_local(host):
        raise ValueError(f"plain http is allowed on a loopback or private address only, got {text!r}")
    number = int(port) if port else (443 if scheme == "https" else 80)
    if not 0 < number < 65536:
        raise ValueError(f"a port is 1 to 65535, got {text!r}")
    return Origin(scheme, host, number, bool(wild))


def shown(text: str) -> str:
    """Return ``got "…"`` for a message about a bad URL, without what might be a password or a key in it."""
    if "@" in text:
        return "got one with user-info"
    bare, mark, _ = text.partition("?")
    return f'got "{bare[:120]}{"?…" if mark else ""}"'


def is_local(host: str) -> bool:
    """Whether *host* is literally a loopback or private address, or a localhost name."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name.strip("[]"))
    except ValueError:
        return False
    return any(address in net for net in _LOCAL if net.version == address.version)
