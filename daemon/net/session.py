"""Sessions for outgoing requests: no pool limit, no proxy from the environment, no cookies, TLS 1.2 at least.

A lane is the only queue there is: a pool limit would count waiting for a connection as request time.
"""

from __future__ import annotations

import ssl
import time
from functools import partial
from typing import Any

import aiohttp

from daemon import __version__
from daemon.net.exchange import Request, passage
from daemon.net.guard import Guard, dial
from daemon.net.names import Names

USER_AGENT = f"pollhook/{__version__}"
HEADER_BYTES = 16 * 1024
HEADERS = 128


def open_session(
    *,
    guard: Guard | None,
    keep_alive: float = 15.0,
    remember_names: float = 0.0,
    decompress: bool = True,
    tls: ssl.SSLContext | None = None,
    proxy: str | None = None,
) -> aiohttp.ClientSession:
    """Open a session for ``exchange``, which brings the deadline; the caller closes it. Needs a running loop.

    *guard* judges every address dialled. *keep_alive* is how many seconds an idle connection is kept, 0 for one
    request per connection; *remember_names* how many seconds a resolved name is believed, 0 to resolve each time.
    With *proxy* all goes through that forward proxy, which is then the only address dialled.
    """
    connector = aiohttp.TCPConnector(
        limit=0,
        force_close=keep_alive <= 0,
        keepalive_timeout=keep_alive if keep_alive > 0 else None,
        use_dns_cache=remember_names > 0,
        ttl_dns_cache=max(1, round(remember_names)),
        resolver=Names(guard),
        socket_factory=partial(dial, guard),
        ssl=tls or tls_context(),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT},
        request_class=Request,
        auto_decompress=decompress,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=False,
        proxy=proxy,
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
        max_headers=HEADERS,
    )


class _NotingContext(ssl.SSLContext):
    """Notes when TLS begins, which is when TCP is connected."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Begin TLS."""
        note = passage.get()
        if note is not None and note.marks is not None:
            note.marks.dialled = time.monotonic()
        return super().wrap_bio(*args, **kwargs)


def tls_context(*, ca_file: str | None = None, ca: str | None = None) -> ssl.SSLContext:
    """Return a verifying TLS context, 1.2 or newer; *ca_file* names and *ca* holds (as PEM) further authorities
    beside the system's.
    """
    context = _NotingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    if ca_file is not None or ca is not None:
        context.load_verify_locations(ca_file, cadata=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
