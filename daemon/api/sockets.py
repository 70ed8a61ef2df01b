"""Listening sockets: loopback addresses, unix sockets with a mode, and those that systemd passes on.

An address in use, a foreign file where a socket should stand and a symlink are Faults that say what to do.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from daemon.core.errors import Fault

BACKLOG = 512
UNIX_MODE = 0o660
UNIX_PREFIX = "unix:"
_FIRST_INHERITED = 3
_PROBLEM = (
    b'{"type":"about:blank","title":"Service Unavailable","status":503,"code":"not_started",'
    b'"detail":"the daemon cannot start with its configuration; see journalctl -u pollhook"}'
)
_NOT_STARTED = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_PROBLEM), _PROBLEM)
)


def open_socket(spec: str) -> socket.socket:
    """Return a bound socket for *spec*: ``127.0.0.1:8710``, ``[::1]:8710`` or ``unix:/path``; raise Fault."""
    if spec.startswith(UNIX_PREFIX):
        return _open_unix(Path(spec.removeprefix(UNIX_PREFIX)))
    host, port = address_of(spec)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise Fault(_why_not(spec, error)) from None
    sock.setblocking(False)
    return sock


def address_of(spec: str) -> tuple[str, int]:
    """Return host and port of a TCP *spec*; raise Fault unless it is an IP address and a port."""
    host, _, port = spec.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ip_address(bare)
    except ValueError:
        address = None
    if address is None or (address.version == 6) != host.startswith("[") or not port.isdecimal() or int(port) > 65535:
        raise Fault(f'cannot listen on "{spec}": write "127.0.0.1:8710", "[::1]:8710" or "unix:/path/to.sock"')
    return bare, int(port)


def inherited_sockets(environ: Mapping[str, str], pid: int) -> list[socket.socket]:
    """Return the stream sockets systemd passed to process *pid* (sd_listen_fds(3)), none where they are not for it."""
    count = environ.get("LISTEN_FDS", "0")
    if environ.get("LISTEN_PID") != str(pid) or not count.isdecimal():
        return []
    return [_inherit(descriptor) for descriptor in range(_FIRST_INHERITED, _FIRST_INHERITED + min(int(count), 64))]


def dismiss_callers(environ: Mapping[str, str], pid: int) -> None:
    """Answer 503 to whoever waits on a socket of systemd's, before a daemon that will not start is gone.

    A caller left waiting would have systemd start it again, and again, for as long as the caller waits.
    """
    with contextlib.suppress(Fault):
        for sock in inherited_sockets(environ, pid):
            with contextlib.suppress(OSError):
                while True:
                    caller, _ = sock.accept()
                    with contextlib.suppress(OSError), caller:
                        caller.settimeout(0.2)
                        caller.recv(65536)
                        caller.sendall(_NOT_STARTED)


def forget_unix(path: Path, inode: int) -> None:
    """Remove our own socket file; one that another process has put there since is left alone."""
    with contextlib.suppress(FileNotFoundError):
        if path.lstat().st_ino == inode:
            path.unlink()


def _inherit(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise Fault(f"descriptor {descriptor}, passed by systemd, is no socket: {error.strerror}") from None
    if sock.type != socket.SOCK_STREAM:
        raise Fault(f"descriptor {descriptor}, passed by systemd, is no stream socket: use ListenStream=")
    sock.setblocking(False)
    return sock


def _open_unix(path: Path) -> socket.socket:
    _clear_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(UNIX_MODE, follow_symlinks=True)
    except OSError as error:
        sock.close()
        raise Fault(_why_not(f"{UNIX_PREFIX}{path}", error)) from None
    sock.setblocking(False)
    return sock


def _clear_stale(path: Path) -> None:
    """Remove a socket file that nobody listens on; raise Fault for anything else that stands there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise Fault(_why_not(f"{UNIX_PREFIX}{path}", error)) from None
    if stat.S_ISLNK(mode):
        raise Fault(f"cannot listen on unix:{path}: it is a symlink; name the socket itself, or remove the link")
    if not stat.S_ISSOCK(mode):
        raise Fault(f"cannot listen on unix:{path}: a file that is no socket stands there; move it away")
    if _is_answered(path):
        raise Fault(f"cannot listen on unix:{path}: another process listens there; stop it, or choose another path")
    path.unlink()


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True


def _why_not(spec: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        hint = "it is in use; stop the other process (`ss -ltnp` names it), or set another [server] listen"
    elif error.errno == errno.EADDRNOTAVAIL:
        hint = "this machine has no such address; set another [server] listen"
    elif error.errno in (errno.EACCES, errno.EPERM):
        hint = "permission is denied; choose a port above 1023, or a folder this user may write"
    elif error.errno == errno.ENOENT:
        hint = "its folder does not exist; create it, or use RuntimeDirectory= under systemd"
    else:
        hint = error.strerror or str(error)
    return f"cannot listen on {spec}: {hint}"
