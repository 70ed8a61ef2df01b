"""The egress rules at the socket: nothing is dialled that ``core.egress`` forbids.

The text of a URL proves nothing, so the address is judged twice: every address a name resolves to (one bad one
condemns the name, because split answers are the rebinding trick), and the one address handed to the socket, which is
also the only place where literals pass, as the connector asks no resolver for them.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from aiohappyeyeballs import AddrInfoType

from daemon.core.egress import Allowance, Listener, check_url, is_local, verdict
from daemon.core.origin import parse_origin
from daemon.net.barred import Barred
from daemon.net.exchange import passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The rules for one class of targets; each class needs a session of its own, so that no connection is shared."""

    allow: Sequence[Allowance] = ()
    is_trusted: bool = False
    own: Collection[Listener] = ()

    def check_url(self, url: str) -> str | None:
        """Return why *url* cannot be a target, or None where only dialling can tell."""
        return check_url(url, allow=self.allow, is_trusted=self.is_trusted, own=self.own)

    def is_near(self, url: str) -> bool:
        """Whether *url*, a possible target, names a local or allowed address: no forward proxy stands before those."""
        target = parse_origin(url)
        if target.address is None:
            return target.host == "localhost"
        return is_local(target.address) or any(each.covers(target.address, target.port) for each in self.allow)

    def check(self, host: str, port: int) -> str | None:
        """Return why the numeric address *host* may not be dialled at *port* by the exchange under way."""
        note = passage.get()
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return "it is no numeric address"
        return verdict(
            address,
            port,
            allow=self.allow,
            is_trusted=self.is_trusted,
            own=self.own,
            is_plain=note is not None and note.is_plain,
        )


def dial(guard: Guard | None, info: AddrInfoType) -> socket.socket:
    """Make the socket for *info* and note what is dialled; raise Barred where *guard* forbids it."""
    family, kind, protocol, _, address = info
    host, port = str(address[0]), int(address[1])
    complaint = None if guard is None else guard.check(host, port)
    if complaint:
        raise Barred(f"{host} port {port}: {complaint}")
    note = passage.get()
    if note is not None:
        note.dialled = host
    return socket.socket(family=family, type=kind, proto=protocol)
