"""Where a webhook may go: the rules on the address actually dialled, and the early rules on the text of a URL.

Default deny for everything that is not plainly the public internet. Only ``verdict`` on the dialled address protects;
``check_url`` gives a clear message early. Python's ``is_global`` and ``is_private`` are not used: they differ between
patch releases and call multicast, SIIT, IPv4-compatible and site-local addresses global.
Sources: IANA special-purpose registries; OWASP SSRF prevention; the filters of Svix, Hook0 and Smokescreen.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias

from daemon.core.origin import IPAddress, Origin, parse_origin

IPNetwork: TypeAlias = IPv4Network | IPv6Network
Listener: TypeAlias = tuple[IPAddress, int]


def _v4(text: str) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(part) for part in text.split())


def _v6(text: str) -> tuple[IPv6Network, ...]:
    return tuple(IPv6Network(part) for part in text.split())


_LOCAL: tuple[IPNetwork, ...] = (
    *_v4("10.0.0.0/8 127.0.0.0/8 172.16.0.0/12 192.168.0.0/16"),
    *_v6("::1/128 fc00::/7"),
)
_METADATA: tuple[IPNetwork, ...] = (
    *_v4("169.254.0.0/16 168.63.129.16/32 100.100.100.200/32 192.0.0.192/32"),
    *_v6("fd00:ec2::/32 fd20:ce::/32"),
)
_REFUSED_4 = _v4(
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24"
    " 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15"
    " 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
)
_GLOBAL_6 = IPv6Network("2000::/3")
_REFUSED_6 = _v6("2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20")
_MAPPED = IPv6Network("::ffff:0:0/96")
_EMBEDDING = _v6("::/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_ISATAP = (0x00005EFE, 0x02005EFE)
_ALL_ONES = 0xFFFFFFFF

JUDGED = 4096
"""Addresses of which it is remembered what they are; most attempts go where the last ones went."""

_LOW_PORTS = (80, 443)
_DATABASE_PORTS = frozenset({1433, 1521, 3306, 5432, 5984, 6379, 9042, 9200, 9300, 11211, 27017, 27018, 27019})
_SERVICE_PORTS = frozenset({2049, 2181, 2375, 2376, 2379, 2380, 3389, 5672, 5900, 6443, 9092, 10250, 10255})
_DAEMON_PORTS = _DATABASE_PORTS | _SERVICE_PORTS
_ALLOWANCE = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[0-9.]+))(?:/(?P<bits>\d{1,3}))?:(?P<port>\d{1,5})")
_LOCAL_NAME = re.compile(r"(?:.+\.)?(?:localhost|local|internal|home\.arpa)|host\.docker\.internal")


@dataclass(frozen=True, slots=True)
class Allowance:
    """One entry of ``[egress] allow``: every address of *network*, at one *port*."""

    network: IPNetwork
    port: int

    def covers(self, address: IPAddress, port: int) -> bool:
        """Whether *address* and *port* fall under this entry."""
        return port == self.port and _lies_in(address, self.network)


def allowance(text: str) -> Allowance:
    """Read ``"127.0.0.1/32:9000"`` or ``"[::1]/128:9000"``; raise ValueError that says what is allowed."""
    found = _ALLOWANCE.fullmatch(text.strip())
    if not found:
        raise ValueError(
            f'write an address range and a port, as in "127.0.0.1/32:9000" or "[::1]/128:9000", not {text!r}'
        )
    bits = f"/{found['bits']}" if found["bits"] else ""
    try:
        network = ip_network(f"{found['six'] or found['four']}{bits}")
    except ValueError as error:
        raise ValueError(f"{text!r} is no address range: {error}") from None
    port = int(found["port"])
    if not 1 <= port <= 65535:
        raise ValueError(f"a port lies between 1 and 65535, got {port}")
    if _is_inside(network, (_MAPPED,)):
        raise ValueError(f"{text!r} maps IPv4 addresses; write them as IPv4")
    if _is_inside(network, _METADATA):
        raise ValueError(f"{text!r} holds nothing but metadata addresses, which can never be allowed")
    return Allowance(network, port)


def verdict(
    address: IPAddress,
    port: int,
    *,
    allow: Sequence[Allowance] = (),
    is_trusted: bool = False,
    own: Collection[Listener] = (),
    is_plain: bool = False,
) -> str | None:
    """Return why *address* and *port* may not be dialled, or None where they may.

    *is_trusted* says that the operator typed the URL: loopback and private addresses and every port are then open.
    *own* holds the daemon's listeners. *is_plain* marks http without TLS, which stays on local or allowed addresses.
    Neither *allow* nor *is_trusted* opens a metadata address or an own listener.
    """
    bare = _unwrapped(address)
    if _is_own(bare, port, own):
        return "it is the daemon's own listener"
    if _is_metadata(bare):
        return "it is a link-local or metadata address"
    if any(entry.covers(bare, port) for entry in allow) or (is_trusted and is_local(bare)):
        return None
    if _is_refused(bare):
        return "it is not a public address"
    if is_plain:
        return "plain http goes only to loopback, private or allowed addresses"
    return None if is_trusted else _port_complaint(port)


def check_url(
    url: str, *, allow: Sequence[Allowance] = (), is_trusted: bool = False, own: Collection[Listener] = ()
) -> str | None:
    """Return why *url* cannot be a webhook's target, or None where only dialling can tell.

    An early message, not the protection: a name that passes is judged again by the addresses it resolves to.
    """
    try:
        target = parse_origin(url)
    except ValueError as error:
        return str(error)
    is_plain = target.scheme == "http"
    if target.address is not None:
        return verdict(target.address, target.port, allow=allow, is_trusted=is_trusted, own=own, is_plain=is_plain)
    if is_trusted or any(entry.port == target.port for entry in allow):
        return None
    return _name_complaint(target)


@lru_cache(JUDGED)
def is_local(address: IPAddress) -> bool:
    """Whether *address* is loopback or private: where the operator's own URLs and plain http may go."""
    return any(_lies_in(_unwrapped(address), network) for network in _LOCAL)


def _name_complaint(target: Origin) -> str | None:
    if _LOCAL_NAME.fullmatch(target.host):
        return "the name belongs to this machine or its own network"
    if target.scheme == "http":
        return "a webhook goes to https; plain http only to loopback, private or allowed addresses"
    return _port_complaint(target.port)


def _port_complaint(port: int) -> str | None:
    if (port < 1024 and port not in _LOW_PORTS) or port in _DAEMON_PORTS:
        return f"port {port} is not one for webhooks; allowed are 80, 443 and those from 1024 that no known daemon uses"
    return None


@lru_cache(JUDGED)
def _is_refused(address: IPAddress) -> bool:
    if isinstance(address, IPv4Address):
        return any(address in network for network in _REFUSED_4)
    if address not in _GLOBAL_6 or any(address in network for network in _REFUSED_6):
        return True
    return any(_is_refused(inner) for inner in _embedded(address))


@lru_cache(JUDGED)
def _is_metadata(address: IPAddress) -> bool:
    candidates = (address, *(_embedded(address) if isinstance(address, IPv6Address) else ()))
    return any(_lies_in(candidate, network) for candidate in candidates for network in _METADATA)


def _is_own(address: IPAddress, port: int, own: Collection[Listener]) -> bool:
    """A listener on all addresses is met at every local one, and an unspecified address meets every local listener."""
    for listener, own_port in own:
        bare = _unwrapped(listener)
        everywhere = bare.is_unspecified and is_local(address)
        if port == own_port and (bare == address or everywhere or address.is_unspecified):
            return True
    return False


def _unwrapped(address: IPAddress) -> IPAddress:
    if isinstance(address, IPv6Address):
        plain = IPv6Address(int(address))
        return plain.ipv4_mapped or plain
    return address


def _embedded(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that tunnels and translators would find in *address*."""
    number = int(address)
    found = []
    if any(address in network for network in _EMBEDDING) or (number >> 32) & _ALL_ONES in _ISATAP:
        found.append(number & _ALL_ONES)
    if address in _SIX_TO_FOUR:
        found.append(number >> 80 & _ALL_ONES)
    if address in _TEREDO:
        found += [number >> 64 & _ALL_ONES, (number & _ALL_ONES) ^ _ALL_ONES]
    return [IPv4Address(part) for part in found]


def _lies_in(address: IPAddress, network: IPNetwork) -> bool:
    return address.version == network.version and address in network


def _is_inside(network: IPNetwork, ranges: Collection[IPNetwork]) -> bool:
    return any(_lies_in(network[0], wide) and _lies_in(network[-1], wide) for wide in ranges)
